//! Reading a whole directory at one moment.
//!
//! Kubernetes updates a mount by writing a new directory beside the old one, swapping the symbolic link `..data` and then
//! deleting the old directory. So a scan resolves `..data` once, reads everything through what it found, and looks at the
//! link again: as long as it is the same nothing had begun to disappear. If not, the scan starts over.

use std::{
    fs::{self, DirEntry},
    io,
    path::{Path, PathBuf},
};

use studioml_envelope_core::SecretBytes;
use thiserror::Error;

use super::finding::{Finding, Problem};
use crate::disk::{self, Access, DiskError};

/// The link that Kubernetes swaps.
const DATA_LINK: &str = "..data";
/// Each attempt that fails means a swap during the few milliseconds of a scan; kubelet swaps once a minute.
const ATTEMPTS: usize = 1000;
/// Attempts at a set that is not whole and has not been swapped either: it is nothing that waiting would mend, and while it
/// is looked at the keys of the set before it stay in use.
const ATTEMPTS_AT_ONE_SET: usize = 10;

/// A directory could not be read.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DirectoryError {
    /// The system says no. A directory that does not exist is empty, and is no error.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It changed faster than it could be read, or `..data` leads to a set of which a file is missing.
    #[error("the directory changes faster than it can be read, or is not whole")]
    Unsteady,
}

impl DirectoryError {
    pub(super) fn problem(&self) -> Problem {
        Problem::DirectoryUnreadable(match self {
            Self::Io(error) => error.kind(),
            Self::Unsteady => io::ErrorKind::ResourceBusy,
        })
    }
}

/// One file as it was at the moment of the scan.
pub(super) struct ScannedFile {
    pub name: String,
    pub contents: Result<SecretBytes, Problem>,
}

/// All files of a directory, sorted by name, and what was skipped with a reason.
#[derive(Default)]
pub(super) struct Scan {
    /// Whether there is no directory.
    pub missing: bool,
    pub files: Vec<ScannedFile>,
    pub findings: Vec<Finding>,
}

/// Reads all regular files whose names do not begin with a dot. A missing directory has none.
///
/// # Errors
/// [`DirectoryError`].
pub(super) fn scan(directory: &Path) -> Result<Scan, DirectoryError> {
    let mut in_vain = 0;
    for _ in 0..ATTEMPTS {
        let pinned = pin(directory)?;
        let read = match read_all(pinned.as_deref().unwrap_or(directory), pinned.is_some()) {
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::NotFound && pinned.is_some() => {
                in_vain = if pin(directory)? == pinned { in_vain + 1 } else { 0 };
                if in_vain == ATTEMPTS_AT_ONE_SET {
                    break;
                }
                continue;
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Scan { missing: true, ..Scan::default() });
            }
            Err(error) => return Err(error.into()),
        };
        if pin(directory)? == pinned {
            return Ok(read);
        }
    }
    Err(DirectoryError::Unsteady)
}

/// Where `..data` points now; `None` for a directory without it.
fn pin(directory: &Path) -> io::Result<Option<PathBuf>> {
    match fs::read_link(directory.join(DATA_LINK)) {
        Ok(target) => Ok(Some(directory.join(target))),
        // not there, or something else than a link
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::InvalidInput) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Reads the files of one directory.
///
/// # Errors
/// [`io::Error`] of the directory, and `NotFound` of a file if they are to be `all` there.
fn read_all(directory: &Path, all: bool) -> io::Result<Scan> {
    let mut scan = Scan::default();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        if name.as_encoded_bytes().starts_with(b".") {
            continue;
        }
        let Some(name) = name.to_str() else {
            scan.findings.push(Finding::new(&name.to_string_lossy(), Problem::NameNotUtf8));
            continue;
        };
        match read_file(&entry) {
            Ok(None) => {}
            Ok(Some(contents)) => scan.files.push(ScannedFile { name: name.to_owned(), contents: Ok(contents) }),
            Err(Problem::Unreadable(io::ErrorKind::NotFound)) if all => return Err(io::ErrorKind::NotFound.into()),
            // deleted since it was listed
            Err(Problem::Unreadable(io::ErrorKind::NotFound)) if !is_link(&entry) => {}
            Err(problem) => scan.files.push(ScannedFile { name: name.to_owned(), contents: Err(problem) }),
        }
    }
    // a directory has no order of its own, and a scan of the same files is to be the same
    scan.files.sort_unstable_by(|one, other| one.name.cmp(&other.name));
    scan.findings.sort_unstable_by(|one, other| one.file.cmp(&other.file));
    Ok(scan)
}

/// Whether it is still a link: one that leads nowhere is there and cannot be read, which closes its prefix.
fn is_link(entry: &DirEntry) -> bool {
    fs::symlink_metadata(entry.path()).is_ok_and(|entry| entry.is_symlink())
}

/// The contents of a file, `None` of a directory. What is neither is not opened: a pipe would never end.
fn read_file(entry: &DirEntry) -> Result<Option<SecretBytes>, Problem> {
    let unreadable = |error: io::Error| Problem::Unreadable(error.kind());
    let mut kind = entry.file_type().map_err(unreadable)?;
    if kind.is_symlink() {
        kind = fs::metadata(entry.path()).map_err(unreadable)?.file_type();
    }
    if kind.is_dir() {
        return Ok(None);
    }
    if !kind.is_file() {
        return Err(Problem::NotAFile);
    }
    match disk::read_private(&entry.path(), Access::Anyone) {
        Ok(contents) => Ok(Some(contents)),
        Err(DiskError::Directory) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
