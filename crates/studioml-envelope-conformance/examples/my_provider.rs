//! How to run the suites over a provider of one's own, here RustCrypto's parts: `cargo run --example my_provider`.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use studioml_envelope_conformance::{Library, Vectors, library, provider};
use studioml_envelope_core::Provider;

/// In its place: a provider with a slot of one's own.
const MINE: Provider = Provider { name: "mine", ..studioml_envelope_rustcrypto::PROVIDER };
/// What stands opposite where a part cannot be judged alone.
const OTHERS: Provider = studioml_envelope_rustcrypto::PROVIDER;

fn main() -> Result<ExitCode, Box<dyn std::error::Error>> {
    let vectors = Vectors::bundled()?;
    let mut report = library(&vectors, &Library::from(&MINE), &OTHERS);
    report.extend(provider(&vectors, &MINE));
    println!("{report}");
    Ok(if report.is_success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
