//! Every provider of the facade, over what deployed peers wrote and what somebody should refuse.
#![allow(clippy::unwrap_used, reason = "a test stops where something is not as expected")]

use studioml_envelope::provider;
use studioml_envelope_conformance::{Report, Vectors};

#[test]
fn every_provider_passes_every_suite() {
    let vectors = Vectors::bundled().unwrap();
    let mut report = Report::default();
    std::thread::scope(|scope| {
        let run = |provider| studioml_envelope_conformance::provider(&vectors, provider);
        let runs: Vec<_> = provider::ALL.iter().map(|provider| scope.spawn(move || run(provider))).collect();
        for run in runs {
            report.extend(run.join().unwrap());
        }
    });
    println!("{report}");
    assert!(report.is_success(), "see the table above");
}
