//! Passphrases: from a file, an inherited descriptor or a terminal prompt, never from an argument.

use std::{
    fs::File,
    io::{self, IsTerminal as _},
    path::Path,
};

use studioml_envelope_keys::{
    Passphrase,
    disk::{self, MAX_PASSPHRASE_FILE},
};

use crate::{
    args::PassphraseSource,
    failure::{Failure, Outcome},
    io::{read_secret, take_standard_input},
};

/// The passphrase that the command line points to, or else the environment.
pub fn given(source: &PassphraseSource) -> Outcome<Option<Passphrase>> {
    if let Some(path) = &source.passphrase_file {
        return read_file(path).map(Some);
    }
    if let Some(descriptor) = &source.descriptor {
        if source.passphrase_fd == Some(0) {
            take_standard_input()?;
        }
        let mut bytes = read_secret(descriptor, "passphrase descriptor", MAX_PASSPHRASE_FILE)?;
        return Ok(Some(Passphrase::from_file_contents(std::mem::take(&mut *bytes))));
    }
    source.file_of_environment().map(|path| read_file(&path)).transpose()
}

/// Takes the inherited descriptor, before the process closes its memory and with it `/proc/self` to its own user.
pub fn open_descriptor(source: &mut PassphraseSource) -> Outcome {
    if let Some(number) = source.passphrase_fd {
        // by its name it is opened anew: at its start, with a look at its permissions, and a socket not at all
        let opened = duplicate(number).or_else(|_| File::open(format!("/dev/fd/{number}")));
        let opened = opened.map_err(|error| Failure::input(format!("passphrase descriptor {number}: {error}"), &error));
        source.descriptor = Some(opened?);
    }
    Ok(())
}

/// The descriptor itself, which safe code can only ask the kernel for. It is not there in every sandbox.
#[cfg(target_os = "linux")]
fn duplicate(number: u32) -> io::Result<File> {
    use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};
    use std::os::fd::AsRawFd as _;
    let number = i32::try_from(number).map_err(|_| rustix::io::Errno::BADF)?;
    let process = pidfd_open(getpid(), PidfdFlags::empty())?;
    // nothing was inherited under a number that was free until now
    if process.as_raw_fd() == number {
        return Err(rustix::io::Errno::BADF.into());
    }
    Ok(File::from(pidfd_getfd(process, number, PidfdGetfdFlags::empty())?))
}

#[cfg(not(target_os = "linux"))]
fn duplicate(_number: u32) -> io::Result<File> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Reads a passphrase file.
pub fn read_file(path: &Path) -> Outcome<Passphrase> {
    disk::read_passphrase(path)
        .map_err(|error| Failure::disk(format!("passphrase file {}: {error}", path.display()), &error))
}

/// Asks on the terminal; `None` where there is no terminal to ask on.
pub fn prompt(question: &str) -> Outcome<Option<Passphrase>> {
    if !io::stdin().is_terminal() && File::open("/dev/tty").is_err() {
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
