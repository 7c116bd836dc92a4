//! Every provider of the facade, over what deployed peers wrote and what somebody should refuse.
#![allow(clippy::unwrap_used, reason = "a test stops where something is not as expected")]
#![allow(clippy::explicit_write, reason = "the harness keeps what println! prints; the table is what a run is for")]

use std::io::Write as _;

use studioml_envelope::provider;
use studioml_envelope_conformance::{Report, Vectors};

/// Prints the table, whatever the verdict.
fn assert_success(report: &Report) {
    writeln!(std::io::stdout(), "\n{report}").unwrap();
    assert!(report.is_success(), "see the table above");
}

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
    assert_success(&report);
}

#[test]
fn what_each_provider_makes_every_other_reads() {
    let vectors = Vectors::bundled().unwrap();
    let report = studioml_envelope_conformance::matrix(&vectors, provider::ALL);
    assert_success(&report);
    // every ordered pair, and the count of libraries
    assert_eq!(report.suites.len(), provider::ALL.len() * provider::ALL.len() + 1);
}

#[test]
fn providers_of_one_library_are_no_matrix() {
    let vectors = Vectors::bundled().unwrap();
    let report = studioml_envelope_conformance::matrix(&vectors, &[provider::RUSTCRYPTO, provider::RUSTCRYPTO]);
    assert!(!report.is_success());
    let failed: Vec<_> = report.failures().map(|(suite, _)| suite.suite.as_str()).collect();
    assert_eq!(failed, ["at least two libraries"; 11]);
}

#[test]
fn a_slot_that_one_library_serves_in_every_provider_is_named() {
    let vectors = Vectors::bundled().unwrap();
    let providers = [provider::RUSTCRYPTO, provider::AWS_LC_RS_WITH_RUSTCRYPTO];
    let report = studioml_envelope_conformance::matrix(&vectors, &providers);
    let failed: Vec<_> = report.failures().map(|(suite, failure)| (suite.suite.as_str(), &*failure.case)).collect();
    assert_eq!(failed, [("at least two libraries", "secret_box")]);
}

#[test]
fn every_provider_says_the_same_of_the_same_input() {
    let vectors = Vectors::bundled().unwrap();
    let report = studioml_envelope_conformance::same_errors(&vectors, provider::ALL);
    assert_success(&report);
}

#[test]
fn one_provider_alone_agrees_with_nobody() {
    let vectors = Vectors::bundled().unwrap();
    assert!(!studioml_envelope_conformance::same_errors(&vectors, &[provider::RUSTCRYPTO]).is_success());
}

/// Who has no cases has no failures either.
#[test]
fn every_message_of_the_peers_is_opened() {
    let vectors = Vectors::bundled().unwrap();
    let sent = vectors.origins().filter(|(file, _)| {
        let (set, name) = file.split_once('/').unwrap_or_default();
        ["go", "python"].contains(&set) && !name.contains('/') && name.contains('.') && !name.ends_with(".plaintext")
    });
    let report = studioml_envelope_conformance::peers(&vectors, &provider::default());
    // and the payload beside the key files
    assert_eq!(report.run, sent.count() + 1);
}
