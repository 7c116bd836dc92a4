//! What happens to a message, and when its source may hear that it has been taken care of.
//!
//! Nothing in here does I/O, reads a clock or draws a random number that its caller did not seed: a [`Lane`] takes
//! [`Event`]s and answers with [`Action`]s, so that a test can play a broker which reorders, duplicates, delays and cuts
//! at every step. The one rule that everything serves: *acknowledged means confirmed downstream or in the reject queue*.

mod backoff;
mod lane;
mod memory;
mod reason;

use core::time::Duration;

pub use backoff::Backoff;
pub use lane::{Direction, Lane, Settings};
pub use memory::{Memory, MessageDigest, Offer};
pub use reason::{Reason, ReasonCode};

/// Time since the gateway started. The core compares times and never asks for one.
pub type Time = Duration;

/// One hand-over of one message by a source. The same message handed over twice has two.
///
/// Ids grow in the order of delivery, over all lanes of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeliveryId(pub u64);

/// What has happened.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The source handed over a message; and whether it says that it had done so before.
    Delivered(DeliveryId, bool),
    /// Processing came to a verdict on a message.
    Processed(DeliveryId, Verdict),
    /// A publish came to an end, one way or another.
    Published(DeliveryId, Published),
    /// Putting a message into the reject queue came to an end, one way or another.
    Rejected(DeliveryId, Published),
    /// An acknowledgement came to an end: whether the source took it.
    Acknowledged(DeliveryId, bool),
    /// Handing a message back came to an end.
    Released(DeliveryId),
    /// The connection to the source is gone, and with it every delivery made so far: the source hands them over again.
    SourceLost,
    /// The destination answers again.
    SinkRestored,
    /// Keys or configuration changed: what was paused for them may be tried again.
    KeysChanged,
    /// Time has passed.
    Tick,
    /// No more messages are wanted; those begun are brought to an end.
    Drain,
}

/// What processing found out about a message.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// It is to be published.
    Publish {
        /// What identifies the message.
        digest: MessageDigest,
        /// Whether the [`Memory`] was asked about it. Reports and clear-text Requests may repeat themselves, and are only
        /// recognised when the source says that it had delivered them before.
        remembered: bool,
    },
    /// It was confirmed downstream before: acknowledge and do nothing else.
    Duplicate,
    /// Another delivery of the same message is being worked on: look again when that has come to an end.
    Busy,
    /// It can never be published, whoever tries: into the reject queue.
    Refuse(Reason),
    /// It cannot be judged with what is configured; another configuration may.
    Misconfigured(PauseReason),
    /// Something failed that may work next time.
    Failed,
    /// The source does not know the delivery any more, and hands the message over again.
    Gone,
}

/// How a publish ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Published {
    /// The destination confirmed it, and returned nothing.
    Confirmed,
    /// No queue took it.
    Returned,
    /// The destination refused responsibility for it.
    Nacked,
    /// It was not published: the destination cannot be reached.
    Unavailable,
    /// The connection went, or the time was up, before the confirm: it may or may not be there.
    Unknown,
    /// The destination refuses it for a reason that only configuration can change.
    Misconfigured(PauseReason),
    /// It is larger than the destination takes, today and tomorrow: others may pass.
    TooLarge,
}

/// Why a lane is paused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PauseReason {
    /// No private key is loaded that could open anything.
    NoPrivateKey,
    /// The queue's signing key, or report key, is not held or its file is damaged.
    NoQueueKey,
    /// The destination does not let the gateway publish.
    DestinationRefuses,
    /// What can never pass cannot be put aside: the reject queue does not let the gateway publish, or make it.
    RejectQueueRefuses,
    /// The destination, or the reject queue, has not taken a message for so long that messages were handed back.
    DestinationUnavailable,
}

impl PauseReason {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::NoPrivateKey,
        Self::NoQueueKey,
        Self::DestinationRefuses,
        Self::RejectQueueRefuses,
        Self::DestinationUnavailable,
    ];

    /// Whether only somebody who changes keys or configuration can end it.
    #[must_use]
    pub const fn is_configuration(self) -> bool {
        !matches!(self, Self::DestinationUnavailable)
    }

    /// A short name for metrics and logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NoPrivateKey => "no-private-key",
            Self::NoQueueKey => "no-queue-key",
            Self::DestinationRefuses => "destination-refuses",
            Self::RejectQueueRefuses => "reject-queue-refuses",
            Self::DestinationUnavailable => "destination-unavailable",
        }
    }
}

/// What is to be done. Every action but the last three begins something whose end is reported as an [`Event`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Action {
    /// Ask the [`Memory`], verify, open: [`Event::Processed`] follows.
    Process(DeliveryId),
    /// Publish what processing made: [`Event::Published`] follows.
    Publish(DeliveryId),
    /// Put the message into the reject queue as it came: [`Event::Rejected`] follows.
    Reject(DeliveryId, Reason),
    /// Tell the source that the message is taken care of: [`Event::Acknowledged`] follows.
    Acknowledge(DeliveryId),
    /// Hand the message back to the source, which offers it again: [`Event::Released`] follows.
    Release(DeliveryId),
    /// The delivery is over: what is held for it can go.
    Done(DeliveryId),
    /// Stop taking messages from the source.
    Pause(PauseReason),
    /// Take messages again.
    Resume,
}
