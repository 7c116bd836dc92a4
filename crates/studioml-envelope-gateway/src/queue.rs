//! What the gateway asks of a queue system, as two small traits: a [`Source`] hands over messages and hears what became of
//! them; a [`Sink`] takes messages and says when it is responsible for them.

use core::fmt;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io;
use std::sync::Arc;
use std::time::SystemTime;

use async_trait::async_trait;
use studioml_envelope_core::Fingerprint;
use thiserror::Error;
use tokio::sync::watch;
use zeroize::Zeroizing;

use crate::decision::{PauseReason, Published, Reason};

/// The suffix of a report queue: its reports are about the messages of the queue before the suffix.
pub const RESPONSE_SUFFIX: &str = "_response";

/// The name of a queue: 1 to 255 bytes of UTF-8, fit to be a folder's name too (no slash, no leading dot, no control
/// characters).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QueueName(Arc<str>);

impl QueueName {
    /// A queue of this name, if it is a name.
    #[must_use]
    pub fn new(name: &str) -> Option<Self> {
        let fits = (1..=255).contains(&name.len())
            && !name.starts_with('.')
            && !name.contains(|c: char| c == '/' || c.is_control());
        fits.then(|| Self(name.into()))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name, shared.
    #[must_use]
    pub const fn shared(&self) -> &Arc<str> {
        &self.0
    }

    /// Whether it is a report queue.
    #[must_use]
    pub fn is_response(&self) -> bool {
        self.0.ends_with(RESPONSE_SUFFIX)
    }

    /// The report queue of this request queue. `None` if its name would be too long.
    #[must_use]
    pub fn response(&self) -> Option<Self> {
        Self::new(&format!("{}{RESPONSE_SUFFIX}", self.0))
    }
}

impl fmt::Display for QueueName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for QueueName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A source cannot be used at the moment.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SourceError {
    /// It cannot be reached, or its connection broke.
    #[error("the source is out of reach: {0}")]
    Unavailable(String),
    /// The queue does not exist.
    #[error("the queue does not exist")]
    NoQueue,
    /// Another gateway reads from the queue, and only one may at a time.
    #[error("another gateway reads from the queue")]
    Taken,
}

/// The queues that there are.
#[derive(Default)]
pub struct Queues {
    /// Those that are to be looked at.
    pub offered: Vec<QueueName>,
    /// All that exist.
    pub existing: BTreeSet<QueueName>,
}

impl From<Vec<QueueName>> for Queues {
    /// All of them are to be looked at.
    fn from(queues: Vec<QueueName>) -> Self {
        Self { existing: queues.iter().cloned().collect(), offered: queues }
    }
}

/// Where messages come from.
#[async_trait]
pub trait Source: Send + Sync {
    /// The queues that there are now.
    ///
    /// # Errors
    /// [`SourceError`]. An error says nothing about queues; only an answer without a queue does.
    async fn queues(&self) -> Result<Queues, SourceError>;

    /// Begins to take messages from a queue. At most `window` are handed over before some have come to an end.
    ///
    /// A report queue has one reader at a time, over all gateways: two would not keep the order.
    ///
    /// # Errors
    /// [`SourceError`].
    async fn open(&self, queue: &QueueName, window: usize) -> Result<Box<dyn Deliveries>, SourceError>;

    /// Whether it can be reached, as it changes.
    fn connected(&self) -> watch::Receiver<bool>;

    /// What keeps single queues from being read, one line each, that somebody has to do something about.
    fn obstacles(&self) -> Vec<String> {
        Vec::new()
    }
}

/// The messages of one queue, as they come.
#[async_trait]
pub trait Deliveries: Send {
    /// Waits for messages: at least one, at most `room`. What is dropped unread goes back to the queue.
    ///
    /// # Errors
    /// [`SourceError`]: no more come this way. A broker's deliveries are void with it, and are made again; claims on files stay. A
    /// claim says which, [`is_live`](Claim::is_live).
    async fn next(&mut self, room: usize) -> Result<Vec<Delivery>, SourceError>;
}

/// A message that was handed over.
pub struct Delivery {
    /// The hold that the gateway has on it.
    pub claim: Arc<dyn Claim>,
    /// Whether the source says that it had handed it over before.
    pub redelivered: bool,
    /// The name of its file, in a directory queue.
    pub file_name: Option<OsString>,
}

/// The hold that the gateway has on a message. Dropped without an end, the message goes back to its queue.
#[async_trait]
pub trait Claim: Send + Sync {
    /// Length of the message in bytes, as it stands in the queue.
    fn len(&self) -> u64;

    /// Whether there is nothing in it.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A copy of the message, or of its first `limit + 1` bytes if it is longer than `limit`. May block: not for async
    /// workers.
    ///
    /// # Errors
    /// Whatever the disk says.
    fn read(&self, limit: usize) -> io::Result<Vec<u8>>;

    /// Whether the source still knows the delivery. What is dead is not worth an RSA operation.
    fn is_live(&self) -> bool;

    /// Tells the source that the message is taken care of. `false` if the source did not hear it.
    async fn acknowledge(&self) -> bool;

    /// Hands the message back to the source, which offers it again.
    async fn release(&self);

    /// Puts the message, as it came, into the bounded reject queue, and waits until that has confirmed or refused it. The
    /// source has not heard of it then.
    async fn reject(&self, reason: &Reason) -> Published;
}

/// What is published.
pub struct Outgoing {
    /// The bytes. Wiped when they are done with: a decrypted Request is among them.
    pub body: Arc<Zeroizing<Vec<u8>>>,
    /// SHA-256 of the payload string, in hexadecimal. It identifies a request, so that a consumer can tell a duplicate.
    pub message_id: String,
    /// The file name that it had at the source, in a directory queue.
    pub file_name: Option<OsString>,
    /// The queue that it was taken from.
    pub source_queue: QueueName,
    /// The key that signed it. `None` for reports, and for clear-text Requests.
    pub signer: Option<Fingerprint>,
    /// When it was taken.
    pub taken_at: SystemTime,
}

impl fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Outgoing({} bytes, {})", self.body.len(), self.message_id)
    }
}

/// Where messages go.
#[async_trait]
pub trait Sink: Send + Sync {
    /// Whether a queue exists, asked for this one alone. Before what is inside is removed for it; otherwise
    /// [`Source::queues`] has the answer.
    ///
    /// # Errors
    /// [`SourceError::Unavailable`].
    async fn exists(&self, queue: &QueueName) -> Result<bool, SourceError>;

    /// Whether queues are the gateway's to make.
    fn makes_queues(&self) -> bool;

    /// Sees to it that a queue exists: makes it if [`makes_queues`](Sink::makes_queues).
    ///
    /// # Errors
    /// How a publish would end now.
    async fn prepare(&self, queue: &QueueName) -> Result<(), Published>;

    /// Publishes, and waits until the sink has confirmed or refused it.
    async fn publish(&self, queue: &QueueName, message: &Outgoing) -> Published;

    /// Removes a queue and what is in it: somebody deleted its counterpart, which means abort.
    ///
    /// # Errors
    /// [`SourceError::Unavailable`].
    async fn remove(&self, queue: &QueueName) -> Result<(), SourceError>;

    /// Whether it can be reached, as it changes.
    fn connected(&self) -> watch::Receiver<bool>;
}

/// A problem with a destination that only configuration can change.
pub(crate) const REFUSED: Published = Published::Misconfigured(PauseReason::DestinationRefuses);
/// A problem with a reject queue that only configuration can change.
pub(crate) const REJECT_REFUSED: Published = Published::Misconfigured(PauseReason::RejectQueueRefuses);
