//! Passphrases: from a file, an inherited descriptor or a terminal prompt, never from an argument.

use std::{
    fs::File,
    io::{IsTerminal as _, Read as _},
    path::Path,
};

use studioml_envelope_keys::Passphrase;

use crate::{
    args::PassphraseSource,
    failure::{Failure, Outcome},
};

/// Longest passphrase file read, in bytes.
const MAX_PASSPHRASE_FILE: usize = 4096;

/// The passphrase that the command line points to, if it points to one.
pub fn given(source: &PassphraseSource) -> Outcome<Option<Passphrase>> {
    if let Some(path) = &source.passphrase_file {
        return read_file(path).map(Some);
    }
    if let Some(descriptor) = &source.descriptor {
        return read(descriptor, "passphrase descriptor").map(Some);
    }
    Ok(None)
}

/// Opens the inherited descriptor, before the process closes its memory and with it `/proc/self` to its own user.
pub fn open_descriptor(source: &mut PassphraseSource) -> Outcome {
    if let Some(number) = source.passphrase_fd {
        // the kernel's own name for an inherited descriptor; opening it needs no unsafe code
        let opened = File::open(format!("/dev/fd/{number}"));
        source.descriptor =
            Some(opened.map_err(|error| Failure::io(format!("passphrase descriptor {number}: {error}")))?);
    }
    Ok(())
}

/// Reads a passphrase file.
pub fn read_file(path: &Path) -> Outcome<Passphrase> {
    let name = format!("passphrase file {}", path.display());
    let file = File::open(path).map_err(|error| Failure::io(format!("{name}: {error}")))?;
    read(&file, &name)
}

fn read(file: &File, name: &str) -> Outcome<Passphrase> {
    // room for all of it from the start, so that no copy is left behind by a growing buffer
    let mut bytes = zeroize::Zeroizing::new(Vec::with_capacity(MAX_PASSPHRASE_FILE + 1));
    let read = file.take(MAX_PASSPHRASE_FILE as u64 + 1).read_to_end(&mut bytes);
    read.map_err(|error| Failure::io(format!("{name}: {error}")))?;
    if bytes.len() > MAX_PASSPHRASE_FILE {
        return Err(Failure::unusable(format!("{name}: longer than {MAX_PASSPHRASE_FILE} bytes")));
    }
    Ok(Passphrase::from_file_contents(std::mem::take(&mut *bytes)))
}

/// Asks on the terminal; `None` where there is no terminal to ask on.
pub fn prompt(question: &str) -> Outcome<Option<Passphrase>> {
    if !std::io::stdin().is_terminal() && File::open("/dev/tty").is_err() {
        return Ok(None);
    }
    let answer = rpassword::prompt_password(question).map_err(|error| Failure::io(format!("terminal: {error}")))?;
    Ok(Some(Passphrase::exact(answer.into_bytes())))
}

/// Asks twice for a new passphrase.
pub fn prompt_new(what: &str) -> Outcome<Option<Passphrase>> {
    let Some(first) = prompt(&format!("new passphrase for {what}: "))? else { return Ok(None) };
    let again = prompt("the same again: ")?;
    if again.is_some_and(|again| again.expose_secret() == first.expose_secret()) {
        Ok(Some(first))
    } else {
        Err(Failure::unusable("the two passphrases differ"))
    }
}
