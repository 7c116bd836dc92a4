//! Which library serves which slot: pinned in a golden file, and the versions compared with the lock file, so that no library
//! is credited with another's work and no version with another's behaviour.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test stops where something is not as expected")]

use std::{collections::BTreeSet, fmt::Write as _, fs};

use studioml_envelope::provider;
use studioml_envelope_conformance::Library;

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/providers.txt");
const LOCK_FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.lock");

#[test]
fn every_composition_is_what_the_golden_file_says() {
    let mut found = String::new();
    for provider in provider::ALL {
        writeln!(found, "{}", provider.name).unwrap();
        for (slot, part) in provider.describe() {
            writeln!(found, "    {slot:<12} {}", part.library).unwrap();
        }
    }
    let golden = fs::read_to_string(GOLDEN).unwrap();
    assert!(found == golden, "{GOLDEN} is not what the providers say; they say:\n{found}");
}

#[test]
fn a_library_shows_its_name_and_what_it_lacks() {
    let library = Library { kdf: None, ..Library::from(&provider::RUSTCRYPTO) };
    assert_eq!(format!("{library:?}"), "Library(rustcrypto, without [Kdf])");
}

/// The packages of the lock file, by name and version.
fn locked() -> BTreeSet<(String, String)> {
    let lock: toml::Table = fs::read_to_string(LOCK_FILE).unwrap().parse().unwrap();
    let text = |package: &toml::Value, key: &str| package.get(key).unwrap().as_str().unwrap().to_owned();
    let packages = lock.get("package").unwrap().as_array().unwrap();
    packages.iter().map(|package| (text(package, "name"), text(package, "version"))).collect()
}

#[test]
fn every_part_says_the_version_that_is_locked() {
    let locked = locked();
    let parts = provider::ALL.iter().flat_map(|provider| provider.describe().map(|part| (provider.name, part)));
    for (provider, (slot, part)) in parts {
        // a part of two libraries names both, and both versions
        let libraries: Vec<_> = part.library.split('+').collect();
        let versions: Vec<_> = part.version.split('+').collect();
        assert_eq!(libraries.len(), versions.len(), "{provider} {slot}: {part:?}");
        for (library, version) in libraries.into_iter().zip(versions) {
            let package = (library.to_owned(), version.to_owned());
            assert!(locked.contains(&package), "{provider} {slot}: {library} {version} is not in Cargo.lock");
        }
    }
}
