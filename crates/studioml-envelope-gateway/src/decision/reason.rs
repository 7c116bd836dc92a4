//! Why a message is refused for good.

use core::fmt;

/// Why a message is refused for good: a code that is counted, and a text for people.
///
/// The text is an error's own; errors are exact about what is public, opaque about what is secret, and never echo input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// What is counted.
    pub code: ReasonCode,
    /// What is told.
    pub detail: String,
}

impl Reason {
    /// A reason with the text of an error.
    #[must_use]
    pub fn new(code: ReasonCode, detail: &impl fmt::Display) -> Self {
        Self { code, detail: detail.to_string() }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code.as_str(), self.detail)
    }
}

/// The classes of permanent failure. Their names are in reject entries and metrics, so they do not change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ReasonCode {
    /// Larger than the configured maximum.
    TooLarge,
    /// Not an envelope, or not a payload in it.
    Malformed,
    /// A clear-text Request where none is allowed.
    ClearText,
    /// An envelope without a signature.
    Unsigned,
    /// The queue has no signing key.
    NoSigningKey,
    /// The signature does not verify, or is not one.
    BadSignature,
    /// A good signature under a fingerprint that is not the signer's.
    Fingerprint,
    /// Seen before, on another queue.
    Replayed,
    /// Sealed for another key, or damaged.
    CannotOpen,
    /// What was inside is no Request.
    NotARequest,
    /// The Request's own time is further back than the configured maximum age.
    TooOld,
    /// Not a JSON object where a report should be.
    NotAReport,
    /// The queue was deleted while the message was being worked on.
    QueueDeleted,
}

impl ReasonCode {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::TooLarge,
        Self::Malformed,
        Self::ClearText,
        Self::Unsigned,
        Self::NoSigningKey,
        Self::BadSignature,
        Self::Fingerprint,
        Self::Replayed,
        Self::CannotOpen,
        Self::NotARequest,
        Self::TooOld,
        Self::NotAReport,
        Self::QueueDeleted,
    ];

    /// Its name in reject entries, metrics and logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TooLarge => "too-large",
            Self::Malformed => "malformed",
            Self::ClearText => "clear-text",
            Self::Unsigned => "unsigned",
            Self::NoSigningKey => "no-signing-key",
            Self::BadSignature => "bad-signature",
            Self::Fingerprint => "fingerprint",
            Self::Replayed => "replayed",
            Self::CannotOpen => "cannot-open",
            Self::NotARequest => "not-a-request",
            Self::TooOld => "too-old",
            Self::NotAReport => "not-a-report",
            Self::QueueDeleted => "queue-deleted",
        }
    }
}
