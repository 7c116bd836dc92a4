//! Input and output: files or the standard streams, whole or not at all.

use std::{
    fmt::{Display, Write as _},
    fs::File,
    io::{self, IsTerminal as _, Read, Write as _},
    os::fd::AsFd as _,
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
};

use serde_json::Value;
use studioml_envelope_keys::{
    disk::{self, DiskError, Replace},
    limits::MAX_KEY_FILE,
};
use zeroize::Zeroizing;

use crate::failure::{Failure, Outcome};

/// What an output file holds, which decides who may read it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contents {
    /// A private key or an opened message: mode 0600.
    Secret,
    /// Anything else: as the umask says.
    Public,
}

/// How much of an input is read. Whoever chose the input may have chosen one that never ends.
#[derive(Clone, Copy, Debug)]
pub struct Limit {
    bytes: usize,
    of: &'static str,
    hint: Option<&'static str>,
}

impl Limit {
    /// A key file.
    pub const KEY_FILE: Self = Self { bytes: MAX_KEY_FILE, of: "a key file", hint: None };
    /// What the clear-text headers, the signature and the white space of an envelope may take.
    const BESIDE_PAYLOAD: usize = 1 << 20;
    const HINT: Option<&'static str> = Some("--max-plaintext BYTES lets larger ones through");

    /// A plaintext.
    pub const fn plaintext(max_plaintext: usize) -> Self {
        Self { bytes: max_plaintext, of: "a plaintext", hint: Self::HINT }
    }

    /// A payload or an envelope with a plaintext of at most so many bytes: base64 makes four characters of three.
    pub const fn message(max_plaintext: usize) -> Self {
        let bytes = (max_plaintext / 3).saturating_mul(4).saturating_add(Self::BESIDE_PAYLOAD);
        Self { bytes, of: "a message", hint: Self::HINT }
    }

    /// What a channel carries.
    pub const fn channel(max_message: usize) -> Self {
        Self { bytes: max_message, of: "a message on a channel", hint: None }
    }

    fn exceeded(self, name: &str) -> Failure {
        let failure =
            Failure::unusable(format!("{name}: larger than the maximum of {} bytes of {}", self.bytes, self.of));
        match self.hint {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    }
}

/// Whether a path means the standard stream.
pub fn is_stream(path: Option<&Path>) -> bool {
    path.is_none_or(|path| path.as_os_str() == "-")
}

/// Whether an output goes to standard output, by one of its names: behind these may be a file, which was opened for this
/// program and is written on from where it stands.
pub fn is_standard_output(path: Option<&Path>) -> bool {
    let names = ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"];
    is_stream(path) || path.is_some_and(|path| names.iter().any(|name| path.as_os_str() == *name))
}

/// How an input is called in messages.
pub fn name_of(path: Option<&Path>) -> String {
    match path {
        Some(path) if !is_stream(Some(path)) => path.display().to_string(),
        _ => "standard input".to_owned(),
    }
}

/// Reads all of IN, up to a limit.
pub fn read_input(path: Option<&Path>, limit: Limit) -> Outcome<Vec<u8>> {
    let name = name_of(path);
    let failed = |error: io::Error| Failure::input(format!("{name}: {error}"), &error);
    let (file, size) = match path {
        Some(path) if !is_stream(Some(path)) => {
            let file = File::open(path).map_err(failed)?;
            // a hint: a file may grow, and a pipe has no size
            let size = file.metadata().map_or(0, |metadata| metadata.len());
            (file, usize::try_from(size).unwrap_or(usize::MAX))
        }
        // of a file it may be the rest
        _ => (standard_input()?, 0),
    };
    if size > limit.bytes {
        return Err(limit.exceeded(&name));
    }
    let mut bytes = Vec::new();
    // one more than there is, so that the end is seen without growing
    bytes.try_reserve_exact(size.saturating_add(1)).map_err(|error| Failure::io(format!("{name}: {error}")))?;
    file.take((limit.bytes as u64).saturating_add(1)).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() > limit.bytes { Err(limit.exceeded(&name)) } else { Ok(bytes) }
}

/// Reads a secret to its end, in one buffer of the right size: one that grows would leave copies behind.
pub fn read_secret(source: &File, name: &str, maximum: usize) -> Outcome<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(maximum + 1));
    let read = source.take(maximum as u64 + 1).read_to_end(&mut bytes);
    read.map_err(|error| Failure::input(format!("{name}: {error}"), &error))?;
    if bytes.len() > maximum {
        return Err(Failure::unusable(format!("{name}: larger than {maximum} bytes")));
    }
    Ok(bytes)
}

/// Standard input without the library's buffer, which nobody wipes.
pub fn standard_input() -> Outcome<File> {
    take_standard_input()?;
    if io::stdin().is_terminal() {
        say("studioml-envelope: reading standard input from the terminal; end with Ctrl-D");
    }
    let stream = io::stdin().as_fd().try_clone_to_owned();
    stream.map(File::from).map_err(|error| Failure::input(format!("standard input: {error}"), &error))
}

/// There is one standard input. Who read it second would find nothing, and take that for a message.
pub fn take_standard_input() -> Outcome {
    static IS_TAKEN: AtomicBool = AtomicBool::new(false);
    if IS_TAKEN.swap(true, Ordering::Relaxed) {
        return Err(Failure::usage("two inputs are to come from standard input, which is read once")
            .hint("give one of them by the name of its file"));
    }
    Ok(())
}

/// Fails early where OUT cannot be written as `--force` says, before a key is unlocked or a message opened.
pub fn check_output(path: Option<&Path>, force: bool) -> Outcome {
    match path {
        Some(path) if !is_standard_output(Some(path)) => check_file(path, force),
        _ => Ok(()),
    }
}

fn check_file(path: &Path, force: bool) -> Outcome {
    if is_device(path) {
        return Ok(());
    }
    match path.symlink_metadata() {
        Ok(metadata) if metadata.is_symlink() => Err(not_written(path, &DiskError::SymbolicLink)),
        Ok(metadata) if metadata.is_dir() => Err(not_written(path, &DiskError::Directory)),
        Ok(_) if !force => Err(not_written(path, &DiskError::Exists)),
        _ => Ok(()),
    }
}

/// A device or a pipe is written to as it is, behind a link too: `/dev/stderr` is one.
fn is_device(path: &Path) -> bool {
    path.metadata().is_ok_and(|metadata| !metadata.is_file() && !metadata.is_dir())
}

fn not_written(path: &Path, error: &DiskError) -> Failure {
    let failure = Failure::io(format!("{}: {error}", path.display()));
    match error {
        DiskError::Exists => failure.hint("--force writes over it"),
        DiskError::SymbolicLink => {
            failure.hint("it is never written through: name the file itself, or remove the link")
        }
        _ => failure,
    }
}

/// Writes all of OUT: a file whole or not at all, or standard output.
pub fn write_output(path: Option<&Path>, bytes: &[u8], contents: Contents, force: bool) -> Outcome {
    match path {
        Some(path) if !is_standard_output(Some(path)) => write_file(path, bytes, contents, force),
        _ => {
            let mut stdout = io::stdout().lock();
            stdout.write_all(bytes).and_then(|()| stdout.flush()).map_err(|error| not_printed(&error))
        }
    }
}

/// What a failed write to standard output comes to.
pub fn not_printed(error: &io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::BrokenPipe => Failure::reader_gone(),
        _ => Failure::io(format!("standard output: {error}")),
    }
}

/// Writes a file whole or not at all; never over an existing one without `force`. A device or a pipe is written to as it is.
pub fn write_file(path: &Path, bytes: &[u8], contents: Contents, force: bool) -> Outcome {
    if is_device(path) {
        let written = File::options().write(true).open(path).and_then(|mut device| device.write_all(bytes));
        return written.map_err(|error| not_written(path, &error.into()));
    }
    let replace = if force { Replace::Existing } else { Replace::Never };
    let written = match contents {
        Contents::Secret => disk::write_private(path, bytes, replace),
        Contents::Public => disk::write_public(path, bytes, replace),
    };
    written.map_err(|error| not_written(path, &error))
}

/// Prints one line of result on standard output, [`printable`].
pub fn print_line(line: &str) -> Outcome {
    print(printable(line))
}

/// Prints a text of several lines, each [`printable`].
pub fn print_lines(text: &str) -> Outcome {
    print(printable_lines(text))
}

/// Prints a value as one line of JSON, with the control characters escaped that JSON lets stand.
pub fn print_json(value: &Value) -> Outcome {
    let mut line = String::new();
    for character in value.to_string().chars() {
        match character {
            '\u{7f}'..='\u{9f}' => {
                let _ = write!(line, "\\u{:04x}", u32::from(character)); // a String takes whatever there is
            }
            other => line.push(other),
        }
    }
    print(line)
}

fn print(mut line: String) -> Outcome {
    line.push('\n');
    write_output(None, line.as_bytes(), Contents::Public, false)
}

/// Says something on standard error. That nobody reads it is no reason to end: a server goes on.
pub fn say(message: impl Display) {
    let _ = io::stderr().write_all(format!("{}\n", printable_lines(&message.to_string())).as_bytes());
}

/// Says something on standard error that is neither result nor failure.
pub fn warn(message: impl Display) {
    say(format!("studioml-envelope: warning: {message}"));
}

/// A text with its control characters (C0, DEL, C1) escaped: names of files and of members are somebody else's to choose, and a
/// terminal obeys such characters.
fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_control() { out.extend(character.escape_default()) } else { out.push(character) }
    }
    out
}

/// The same for a text of several lines.
fn printable_lines(text: &str) -> String {
    text.split('\n').map(printable).collect::<Vec<_>>().join("\n")
}
