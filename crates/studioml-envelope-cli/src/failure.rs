//! How the program ends: one cause line, perhaps a hint, and an exit code that scripts rely on.

use std::{fmt, io};

use studioml_envelope_keys::disk::DiskError;

/// The exit codes beside 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// The signature does not verify, the payload cannot be opened, the policy says no.
    Refused = 1,
    /// The command line is wrong.
    Usage = 2,
    /// A key, passphrase, configuration or input cannot be used.
    Unusable = 3,
    /// Input, output or network.
    Io = 4,
}

/// Why the program ends without having done its work.
#[derive(Debug)]
pub struct Failure {
    /// The exit code.
    pub exit: Exit,
    cause: String,
    hint: Option<String>,
}

impl Failure {
    /// A cause in lower case without a full stop; it never holds secret bytes or input at length.
    pub fn new(exit: Exit, cause: impl fmt::Display) -> Self {
        Self { exit, cause: cause.to_string(), hint: None }
    }

    /// Exit 1.
    pub fn refused(cause: impl fmt::Display) -> Self {
        Self::new(Exit::Refused, cause)
    }

    /// Exit 2.
    pub fn usage(cause: impl fmt::Display) -> Self {
        Self::new(Exit::Usage, cause)
    }

    /// Exit 3.
    pub fn unusable(cause: impl fmt::Display) -> Self {
        Self::new(Exit::Unusable, cause)
    }

    /// Exit 4.
    pub fn io(cause: impl fmt::Display) -> Self {
        Self::new(Exit::Io, cause)
    }

    /// An input that cannot be read: exit 3 where its permissions say so, exit 4 otherwise.
    pub fn input(cause: impl fmt::Display, error: &io::Error) -> Self {
        let exit = if error.kind() == io::ErrorKind::PermissionDenied { Exit::Unusable } else { Exit::Io };
        Self::new(exit, cause)
    }

    /// A key or passphrase file that cannot be read: exit 3 where that is for its permissions or its size, exit 4 otherwise.
    pub fn disk(cause: impl fmt::Display, error: &DiskError) -> Self {
        match error {
            DiskError::ReadableByOthers { .. } | DiskError::TooLarge { .. } => Self::unusable(cause),
            DiskError::Io(error) => Self::input(cause, error),
            _ => Self::io(cause),
        }
    }

    /// Exit 4, without a word: whoever read the output has seen enough of it, as `head` does.
    pub fn reader_gone() -> Self {
        Self::io("")
    }

    /// Whether there is something to say on standard error.
    pub fn is_said(&self) -> bool {
        !self.cause.is_empty()
    }

    /// The cause alone, to be said as a warning.
    pub fn cause(&self) -> &str {
        &self.cause
    }

    /// Adds what the user can do about it, with the real name of the flag.
    #[must_use]
    pub fn hint(mut self, hint: impl fmt::Display) -> Self {
        self.hint = Some(hint.to_string());
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "studioml-envelope: {}", self.cause)?;
        match &self.hint {
            Some(hint) => write!(f, "\nhint: {hint}"),
            None => Ok(()),
        }
    }
}

/// What a verb returns.
pub type Outcome<T = ()> = Result<T, Failure>;
