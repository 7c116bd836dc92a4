//! The directory of vectors accounts for itself: nothing in it lies about untested.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test stops where something is not as expected")]

use std::{
    fs,
    path::{Path, PathBuf},
};

use studioml_envelope::provider;
use studioml_envelope_conformance::{Vectors, VectorsError, bad_messages};
use tempfile::TempDir;

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// A copy of the vectors that may be spoilt.
fn copied() -> (TempDir, PathBuf) {
    let directory = TempDir::new().unwrap();
    let root = directory.path().join("vectors");
    copy(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/vectors")), &root);
    (directory, root)
}

fn replace(file: &Path, from: &str, to: &str) {
    let text = fs::read_to_string(file).unwrap();
    assert!(text.contains(from));
    fs::write(file, text.replacen(from, to, 1)).unwrap();
}

#[test]
fn every_file_says_where_it_came_from_and_what_it_expects() {
    let vectors = Vectors::bundled().unwrap();
    let origins: Vec<_> = vectors.origins().collect();
    assert!(origins.len() > 200, "{} files", origins.len());
    for (file, origin) in origins {
        assert!(!origin.from.trim().is_empty(), "{file}");
        assert!(!origin.expects.trim().is_empty(), "{file}");
    }
}

#[test]
fn a_file_that_no_manifest_names_fails() {
    let (_directory, root) = copied();
    fs::write(root.join("bad/87.json"), "{}").unwrap();
    match Vectors::open(&root) {
        Err(VectorsError::Unaccounted(file)) => assert_eq!(file, "bad/87.json"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_file_that_a_manifest_names_and_that_is_gone_fails() {
    let (_directory, root) = copied();
    fs::remove_file(root.join("go/stock.signature-ssh-wire")).unwrap();
    match Vectors::open(&root) {
        Err(VectorsError::Missing(file)) => assert_eq!(file, "go/stock.signature-ssh-wire"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_file_that_is_named_twice_fails() {
    let (_directory, root) = copied();
    replace(&root.join("manifest.json"), r#"{"file": "expected.json""#, r#"{"file": "requests/stock.json""#);
    assert!(matches!(Vectors::open(&root), Err(VectorsError::NamedTwice(_))));
}

#[test]
fn a_key_that_no_type_knows_fails() {
    for file in ["expected.json", "manifest.json", "bad/verdicts.json"] {
        let (_directory, root) = copied();
        replace(&root.join(file), r#""about""#, r#""new_rule": "", "about""#);
        match Vectors::open(&root) {
            Err(VectorsError::Manifest { file: found, .. }) => assert_eq!(found, file),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_message_without_a_verdict_and_a_verdict_without_a_message_fail() {
    let case = r#"{"file": "bad/01.json", "case": "nonce+ct short: 2nd field empty""#;
    for (spoilt, expected) in [
        (case.replace("01", "02"), vec![("bad/01.json", "no verdict"), ("bad/02.json", "no such case")]),
        (case.replace("empty", "short"), vec![("bad/01.json", "no such case")]),
    ] {
        let (_directory, root) = copied();
        replace(&root.join("bad/verdicts.json"), case, &spoilt);
        let report = bad_messages(&Vectors::open(&root).unwrap(), &provider::default());
        let found: Vec<_> = report.failures.iter().map(|failure| (&*failure.file, &*failure.what)).collect();
        assert_eq!(found.len(), expected.len(), "{found:?}");
        for ((file, what), (expected, why)) in found.into_iter().zip(expected) {
            assert!(file == expected && what.contains(why), "{file}: {what}");
        }
    }
}
