//! Key files on disk (docs/spec.md §5.7): written whole or not at all, private ones 0600 from their first moment, never
//! over another file unless told to, never through a symbolic link; read with a look at who else can read them.
//!
//! The attacker shares the machine: he waits for a key to be readable for a moment, or puts a link where a key will be
//! written.

use std::{
    fs::{File, Metadata, Permissions},
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
};

use studioml_envelope_core::SecretBytes;
use thiserror::Error;
use zeroize::Zeroizing;

use crate::{Passphrase, limits};

/// The largest passphrase file in bytes.
pub const MAX_PASSPHRASE_FILE: usize = 64 * 1024;

const PRIVATE: u32 = 0o600;
const PUBLIC: u32 = 0o666;

/// A file could not be read or written. The application adds which.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DiskError {
    /// There is a file already, and replacing it was not asked for.
    #[error("the file exists already")]
    Exists,
    /// There is a symbolic link where the file is to be written. It is neither followed nor replaced.
    #[error("there is a symbolic link in its place")]
    SymbolicLink,
    /// A private key file that its group or everybody can read or write.
    #[error("others can read or change it (mode {mode:03o}); a private key is for its owner alone")]
    ReadableByOthers {
        /// The permission bits of its mode.
        mode: u32,
    },
    /// It is not a file.
    #[error("it is a directory")]
    Directory,
    /// It is larger than anything of its kind.
    #[error("larger than {maximum} bytes")]
    TooLarge {
        /// The limit in bytes.
        maximum: usize,
    },
    /// The system says no.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Whether a file may take the place of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replace {
    /// Never: an existing file is an error, also if it appears at the last moment.
    Never,
    /// An existing file is replaced, in one step.
    Existing,
}

/// Who else may be able to read a private key file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Nobody but its owner.
    OwnerOnly,
    /// Anybody: the caller was told so, or the file is a mounted secret, which Kubernetes makes readable for a group.
    Anyone,
}

/// Writes a secret file with mode 0600, whatever the umask is.
///
/// # Errors
/// [`DiskError`]. There is no file then, or the old one.
pub fn write_private(path: &Path, contents: &[u8], replace: Replace) -> Result<(), DiskError> {
    write(path, contents, replace, PRIVATE)
}

/// Writes a public file with the mode that the umask gives.
///
/// # Errors
/// [`DiskError`]. There is no file then, or the old one.
pub fn write_public(path: &Path, contents: &[u8], replace: Replace) -> Result<(), DiskError> {
    write(path, contents, replace, PUBLIC)
}

/// Writes a temporary file in the same directory and moves it to its place.
fn write(path: &Path, contents: &[u8], replace: Replace, mode: u32) -> Result<(), DiskError> {
    refuse_symbolic_link(path)?;
    let directory = directory_of(path);
    // before anything is written, so that a directory that is missing says so itself
    let parent = File::open(&directory)?;
    // created with O_EXCL and with its final mode: there is no moment at which it has another
    let mut file =
        tempfile::Builder::new().prefix(".studioml-").permissions(permissions(mode)).tempfile_in(&directory)?;
    if mode == PRIVATE {
        file.as_file().set_permissions(permissions(PRIVATE))?; // a umask can take its owner's permissions, too
    }
    file.write_all(contents)?;
    file.as_file().sync_all()?;
    match replace {
        Replace::Existing => file.persist(path).map_err(|error| error.error)?,
        Replace::Never => file.persist_noclobber(path).map_err(|error| match error.error.kind() {
            io::ErrorKind::AlreadyExists => DiskError::Exists,
            _ => DiskError::Io(error.error),
        })?,
    };
    // the name is on disk when its directory is
    parent.sync_all()?;
    Ok(())
}

fn refuse_symbolic_link(path: &Path) -> Result<(), DiskError> {
    match path.symlink_metadata() {
        Ok(metadata) if metadata.is_symlink() => Err(DiskError::SymbolicLink),
        Ok(metadata) if metadata.is_dir() => Err(DiskError::Directory),
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn directory_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

#[cfg(not(unix))]
compile_error!("private key files are kept private by the permissions that Unix has");

#[cfg(unix)]
fn permissions(mode: u32) -> Permissions {
    use std::os::unix::fs::PermissionsExt as _;
    Permissions::from_mode(mode)
}

/// Reads a private key file.
///
/// # Errors
/// [`DiskError`]; [`DiskError::ReadableByOthers`] if `access` does not allow what the mode allows.
pub fn read_private(path: &Path, access: Access) -> Result<SecretBytes, DiskError> {
    let mut file = File::open(path)?;
    let metadata = file.metadata()?;
    if access == Access::OwnerOnly {
        refuse_readable_by_others(&metadata)?;
    }
    read(&mut file, &metadata, limits::MAX_KEY_FILE)
}

/// Reads a public key file.
///
/// # Errors
/// [`DiskError`].
pub fn read_public(path: &Path) -> Result<Vec<u8>, DiskError> {
    let mut file = File::open(path)?;
    let metadata = file.metadata()?;
    Ok(read(&mut file, &metadata, limits::MAX_KEY_FILE)?.expose_secret().to_vec())
}

/// Reads a passphrase file, for [`Passphrase::from_file_contents`]. Its mode is the caller's to judge by
/// [`is_readable_by_others`]: deployed instructions make it with whatever the umask gives.
///
/// # Errors
/// [`DiskError`].
pub fn read_passphrase(path: &Path) -> Result<Passphrase, DiskError> {
    let mut file = File::open(path)?;
    let metadata = file.metadata()?;
    let contents = read(&mut file, &metadata, MAX_PASSPHRASE_FILE)?;
    Ok(Passphrase::from_file_contents(contents.expose_secret().to_vec()))
}

/// Whether group or everybody can read or write a file, by its mode.
///
/// # Errors
/// [`io::Error`] if it cannot be looked at.
pub fn is_readable_by_others(path: &Path) -> io::Result<bool> {
    Ok(refuse_readable_by_others(&path.metadata()?).is_err())
}

/// Only regular files: a pipe belongs to the two who hold its ends.
#[cfg(unix)]
fn refuse_readable_by_others(metadata: &Metadata) -> Result<(), DiskError> {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = metadata.permissions().mode() & 0o777;
    if metadata.is_file() && mode & 0o066 != 0 { Err(DiskError::ReadableByOthers { mode }) } else { Ok(()) }
}

/// Reads to the end in one buffer of the right size: one that grows by itself would leave copies behind.
fn read(file: &mut File, metadata: &Metadata, maximum: usize) -> Result<SecretBytes, DiskError> {
    if metadata.is_dir() {
        return Err(DiskError::Directory);
    }
    let size = if metadata.is_file() { usize::try_from(metadata.len()).unwrap_or(usize::MAX) } else { maximum };
    let mut buffer = Zeroizing::new(vec![0; size.min(maximum).saturating_add(1)]);
    let mut filled = 0_usize;
    loop {
        let rest = buffer.get_mut(filled..).unwrap_or_default();
        if rest.is_empty() {
            if filled > maximum {
                return Err(DiskError::TooLarge { maximum });
            }
            // longer than it said: it grew, or its file system says 0 of every file
            let mut larger = Zeroizing::new(vec![0; maximum.saturating_add(1)]);
            larger.get_mut(..filled).unwrap_or_default().copy_from_slice(&buffer);
            buffer = larger;
            continue;
        }
        match file.read(rest) {
            Ok(0) => break,
            Ok(read) => filled = filled.saturating_add(read),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
    buffer.truncate(filled);
    Ok(SecretBytes::new(core::mem::take(&mut *buffer)))
}
