//! Key files are written whole, for their owner alone, over nothing and through nothing (docs/spec.md §5).
//!
//! One test program with one umask: it is the process's, so it is taken away for all tests here.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]
#![cfg(unix)]

mod support;

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::Path,
    sync::Once,
};

use studioml_envelope_keys::disk::{
    Access, DiskError, Replace, is_readable_by_others, read_passphrase, read_private, read_public, write_private,
    write_public,
};
use tempfile::TempDir;

fn directory() -> TempDir {
    static NO_UMASK: Once = Once::new();
    NO_UMASK.call_once(|| {
        rustix::process::umask(rustix::fs::Mode::empty());
    });
    tempfile::tempdir().unwrap()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn names(directory: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_private_file_is_0600_under_umask_000() {
    let directory = directory();
    let path = directory.path().join("key");
    write_private(&path, b"secret", Replace::Never).unwrap();
    assert_eq!(mode(&path), 0o600);
    write_private(&path, b"another", Replace::Existing).unwrap();
    assert_eq!((mode(&path), fs::read(&path).unwrap().as_slice()), (0o600, b"another".as_slice()));
    write_public(&directory.path().join("key.pub"), b"public", Replace::Never).unwrap();
    assert_eq!(mode(&directory.path().join("key.pub")), 0o666);
    assert_eq!(names(directory.path()), ["key", "key.pub"], "no temporary file is left");
}

#[test]
fn replacing_makes_a_readable_file_private_without_touching_the_old_one() {
    let directory = directory();
    let (path, other_name) = (directory.path().join("key"), directory.path().join("link"));
    fs::write(&path, b"old").unwrap();
    fs::hard_link(&path, &other_name).unwrap();
    write_private(&path, b"new", Replace::Existing).unwrap();
    assert_eq!(mode(&path), 0o600);
    assert_eq!(fs::read(&other_name).unwrap(), b"old", "the new secret is not in the file that others can read");
}

#[test]
fn an_existing_file_stays_unless_told_otherwise() {
    let directory = directory();
    let path = directory.path().join("key");
    fs::write(&path, b"old").unwrap();
    assert!(matches!(write_private(&path, b"new", Replace::Never), Err(DiskError::Exists)));
    assert_eq!(fs::read(&path).unwrap(), b"old");
    assert_eq!(names(directory.path()), ["key"]);
}

#[test]
fn a_symbolic_link_is_neither_followed_nor_replaced() {
    let directory = directory();
    let (target, link) = (directory.path().join("target"), directory.path().join("key"));
    for exists in [false, true] {
        if exists {
            fs::write(&target, b"untouched").unwrap();
        } else {
            symlink(&target, &link).unwrap();
        }
        for replace in [Replace::Never, Replace::Existing] {
            assert!(matches!(write_private(&link, b"secret", replace), Err(DiskError::SymbolicLink)));
            assert!(matches!(write_public(&link, b"secret", replace), Err(DiskError::SymbolicLink)));
        }
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(target.exists(), exists);
    }
    assert_eq!(fs::read(&target).unwrap(), b"untouched");
}

#[test]
fn a_missing_directory_and_a_directory_in_the_place_are_errors() {
    let directory = directory();
    assert!(matches!(write_private(&directory.path().join("none/key"), b"", Replace::Never), Err(DiskError::Io(_))));
    let path = directory.path().join("folder");
    fs::create_dir(&path).unwrap();
    assert!(matches!(write_private(&path, b"", Replace::Existing), Err(DiskError::Directory)));
    assert!(matches!(read_private(&path, Access::Anyone), Err(DiskError::Directory)));
}

#[test]
fn a_private_key_that_others_can_read_is_refused() {
    let directory = directory();
    let path = directory.path().join("key");
    write_private(&path, b"secret", Replace::Never).unwrap();
    assert_eq!(read_private(&path, Access::OwnerOnly).unwrap().expose_secret(), b"secret");
    for readable in [0o640, 0o604, 0o660, 0o602] {
        fs::set_permissions(&path, fs::Permissions::from_mode(readable)).unwrap();
        let error = read_private(&path, Access::OwnerOnly).unwrap_err();
        assert!(matches!(error, DiskError::ReadableByOthers { mode } if mode == readable), "{error}");
        assert!(is_readable_by_others(&path).unwrap());
        assert_eq!(read_private(&path, Access::Anyone).unwrap().expose_secret(), b"secret");
    }
    fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).unwrap();
    assert!(!is_readable_by_others(&path).unwrap());
    assert_eq!(read_private(&path, Access::OwnerOnly).unwrap().expose_secret(), b"secret");
}

#[test]
fn files_larger_than_any_key_are_not_read() {
    let directory = directory();
    let path = directory.path().join("key");
    fs::File::create(&path).unwrap().set_len(1 << 40).unwrap();
    assert!(matches!(read_public(&path), Err(DiskError::TooLarge { maximum: 1_048_576 })));
    assert!(matches!(read_passphrase(&path), Err(DiskError::TooLarge { maximum: 65_536 })));
    fs::write(&path, vec![b'x'; 65_536]).unwrap();
    assert_eq!(read_passphrase(&path).unwrap().expose_secret().len(), 65_536);
    assert_eq!(read_public(&path).unwrap().len(), 65_536);
}

#[test]
fn an_empty_file_is_empty() {
    let directory = directory();
    let path = directory.path().join("key");
    write_private(&path, b"", Replace::Never).unwrap();
    assert!(read_private(&path, Access::OwnerOnly).unwrap().is_empty());
}

/// Every other test here names its files from the root, so that this one may move.
#[test]
fn a_file_is_made_in_its_own_directory_which_for_a_bare_name_is_the_current_one() {
    let (current, other) = (directory(), directory());
    std::env::set_current_dir(current.path()).unwrap();
    write_private(Path::new("bare"), b"secret", Replace::Never).unwrap();
    assert_eq!(fs::read(current.path().join("bare")).unwrap(), b"secret");
    assert_eq!(names(current.path()), ["bare"]);
    // nothing can be made in a directory that is gone
    current.close().unwrap();
    assert!(matches!(write_private(Path::new("bare"), b"secret", Replace::Never), Err(DiskError::Io(_))));
    write_private(&other.path().join("key"), b"secret", Replace::Never).unwrap();
    assert_eq!(names(other.path()), ["key"]);
    std::env::set_current_dir("/").unwrap();
}

/// The memory of this process has nothing at its first address.
#[cfg(target_os = "linux")]
#[test]
fn a_file_that_fails_while_it_is_read_is_an_error() {
    assert!(matches!(read_public(Path::new("/proc/self/mem")), Err(DiskError::Io(_))));
    assert!(matches!(read_private(Path::new("/proc/self/mem"), Access::Anyone), Err(DiskError::Io(_))));
}

/// As some file systems in user space do.
#[cfg(target_os = "linux")]
#[test]
fn a_file_that_says_it_is_empty_is_read_to_its_end() {
    let path = Path::new("/proc/self/status");
    assert_eq!(fs::metadata(path).unwrap().len(), 0);
    assert!(read_public(path).unwrap().starts_with(b"Name:"));
}
