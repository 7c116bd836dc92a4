//! Input and output: files or the standard streams, whole or not at all.

use std::{
    fs::File,
    io::{self, IsTerminal as _, Read, Write as _},
    path::Path,
};

use studioml_envelope_keys::disk::{self, DiskError, Replace};

use crate::failure::{Failure, Outcome};

/// What an output file holds, which decides who may read it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contents {
    /// A private key or an opened message: mode 0600.
    Secret,
    /// Anything else: as the umask says.
    Public,
}

/// Whether a path means the standard stream.
pub fn is_stream(path: Option<&Path>) -> bool {
    path.is_none_or(|path| path.as_os_str() == "-")
}

/// How an input is called in messages.
pub fn name_of(path: Option<&Path>) -> String {
    match path {
        Some(path) if !is_stream(Some(path)) => path.display().to_string(),
        _ => "standard input".to_owned(),
    }
}

/// Reads all of IN.
pub fn read_input(path: Option<&Path>) -> Outcome<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = match path {
        Some(path) if !is_stream(Some(path)) => File::open(path).and_then(|mut file| {
            // the size is a hint: a file may grow, and a pipe has none
            let size = file.metadata().map_or(0, |metadata| metadata.len());
            bytes.reserve(usize::try_from(size).unwrap_or(0));
            file.read_to_end(&mut bytes)
        }),
        _ => {
            if io::stdin().is_terminal() {
                eprintln!("studioml-envelope: reading standard input from the terminal; end with Ctrl-D");
            }
            io::stdin().lock().read_to_end(&mut bytes)
        }
    };
    read.map_err(|error| Failure::io(format!("{}: {error}", name_of(path))))?;
    Ok(bytes)
}

/// Drops one trailing LF or CRLF of a payload file (FORMAT §1).
pub fn without_line_end(bytes: &[u8]) -> &[u8] {
    bytes.strip_suffix(b"\r\n").or_else(|| bytes.strip_suffix(b"\n")).unwrap_or(bytes)
}

/// Fails early where OUT exists and `--force` was not given, before a key is unlocked or a message opened.
pub fn check_output(path: Option<&Path>, force: bool) -> Outcome {
    match path {
        Some(path) if !is_stream(Some(path)) && !force && path.metadata().is_ok_and(|metadata| metadata.is_file()) => {
            Err(Failure::io(format!("{}: the file exists already", path.display())).hint("--force writes over it"))
        }
        _ => Ok(()),
    }
}

/// Writes all of OUT: a file whole or not at all, or standard output.
pub fn write_output(path: Option<&Path>, bytes: &[u8], contents: Contents, force: bool) -> Outcome {
    match path {
        Some(path) if !is_stream(Some(path)) => write_file(path, bytes, contents, force),
        _ => {
            let mut stdout = io::stdout().lock();
            let written = stdout.write_all(bytes).and_then(|()| stdout.flush());
            written.map_err(|error| match error.kind() {
                io::ErrorKind::BrokenPipe => Failure::reader_gone(),
                _ => Failure::io(format!("standard output: {error}")),
            })
        }
    }
}

/// Writes a file whole or not at all; never over an existing one without `force`. A device or a pipe is written to as it is.
pub fn write_file(path: &Path, bytes: &[u8], contents: Contents, force: bool) -> Outcome {
    let named = |error: &dyn std::fmt::Display| Failure::io(format!("{}: {error}", path.display()));
    if path.metadata().is_ok_and(|metadata| !metadata.is_file() && !metadata.is_dir()) {
        let written = File::options().write(true).open(path).and_then(|mut device| device.write_all(bytes));
        return written.map_err(|error| named(&error));
    }
    let replace = if force { Replace::Existing } else { Replace::Never };
    let written = match contents {
        Contents::Secret => disk::write_private(path, bytes, replace),
        Contents::Public => disk::write_public(path, bytes, replace),
    };
    written.map_err(|error| match error {
        DiskError::Exists => named(&error).hint("--force writes over it"),
        error => named(&error),
    })
}

/// Prints one line of result on standard output.
pub fn print_line(line: &str) -> Outcome {
    write_output(None, format!("{line}\n").as_bytes(), Contents::Public, false)
}

/// Says something on standard error that is neither result nor failure.
pub fn warn(message: impl std::fmt::Display) {
    eprintln!("studioml-envelope: warning: {message}");
}
