//! What a server says about itself: counters, a report, events.

use std::{
    fmt, io,
    net::SocketAddr,
    sync::atomic::{AtomicU64, Ordering},
};

use tokio::task::JoinError;

use crate::{ChannelError, Peer};

/// What a server has counted so far.
#[derive(Debug, Default)]
pub struct ServerCounters {
    pub(super) accepted: AtomicU64,
    pub(super) refused: AtomicU64,
    pub(super) handshakes_failed: AtomicU64,
    pub(super) established: AtomicU64,
    pub(super) messages_accepted: AtomicU64,
    pub(super) messages_refused: AtomicU64,
    pub(super) closed: AtomicU64,
    pub(super) failed: AtomicU64,
    pub(super) cut: AtomicU64,
    pub(super) panicked: AtomicU64,
}

/// The counters at one moment. Every connection that was accepted ends in exactly one of `refused`, `handshakes_failed`,
/// `closed`, `failed`, `cut` and `panicked`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ServerReport {
    /// Connections that the listener took.
    pub accepted: u64,
    /// Of these, refused for a cap.
    pub refused: u64,
    /// Handshakes that failed, were too slow, or were given up for others.
    pub handshakes_failed: u64,
    /// Channels that stood.
    pub established: u64,
    /// Messages that were answered with `accepted`.
    pub messages_accepted: u64,
    /// Messages that were answered with `refused`.
    pub messages_refused: u64,
    /// Channels that ended in order, from either side.
    pub closed: u64,
    /// Channels that were cut, too slow, or sent what is no record.
    pub failed: u64,
    /// Connections that were cut when the drain time was over.
    pub cut: u64,
    /// Connections whose handler panicked.
    pub panicked: u64,
}

impl ServerCounters {
    /// Counts the end of a connection that did not come to count it itself.
    pub(super) fn count_end(&self, ended: &Result<(), JoinError>) {
        if let Err(error) = ended {
            let counter = if error.is_panic() { &self.panicked } else { &self.cut };
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The counters as they stand now.
    #[must_use]
    pub fn report(&self) -> ServerReport {
        let read = |counter: &AtomicU64| counter.load(Ordering::Acquire);
        ServerReport {
            accepted: read(&self.accepted),
            refused: read(&self.refused),
            handshakes_failed: read(&self.handshakes_failed),
            established: read(&self.established),
            messages_accepted: read(&self.messages_accepted),
            messages_refused: read(&self.messages_refused),
            closed: read(&self.closed),
            failed: read(&self.failed),
            cut: read(&self.cut),
            panicked: read(&self.panicked),
        }
    }
}

/// Why a connection got no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// The server has all the connections it takes.
    Full,
    /// The address has all the connections it gets.
    AddressFull,
}

/// Something that happened to a connection.
#[derive(Debug)]
#[non_exhaustive]
pub enum ServerEvent<'a> {
    /// The listener could not take a connection.
    AcceptFailed {
        /// Why.
        error: &'a io::Error,
    },
    /// A connection got no place.
    Refused {
        /// From where.
        address: SocketAddr,
        /// Why.
        refusal: Refusal,
    },
    /// A handshake failed.
    HandshakeFailed {
        /// From where.
        address: SocketAddr,
        /// Why. The client was not told.
        error: &'a ChannelError,
    },
    /// A channel stands.
    Established {
        /// From where.
        address: SocketAddr,
        /// Who.
        peer: &'a Peer,
    },
    /// A channel has ended.
    Ended {
        /// From where.
        address: SocketAddr,
        /// Who.
        peer: &'a Peer,
        /// Why, unless it ended in order.
        error: Option<&'a ChannelError>,
    },
}

/// For a log: where, who, and what happened, on one line.
impl fmt::Display for ServerEvent<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AcceptFailed { error } => write!(f, "cannot take connections: {error}"),
            Self::Refused { address, refusal: Refusal::Full } => {
                write!(f, "{address}: refused: the server has all the connections it takes")
            }
            Self::Refused { address, refusal: Refusal::AddressFull } => {
                write!(f, "{address}: refused: the address has all the connections it gets")
            }
            Self::HandshakeFailed { address, error } => write!(f, "{address}: {error}"),
            Self::Established { address, peer } => write!(f, "{address}: connected: {peer}"),
            Self::Ended { address, peer, error: None } => write!(f, "{address}: closed: {peer}"),
            Self::Ended { address, peer, error: Some(error) } => write!(f, "{address}: ended: {peer}: {error}"),
        }
    }
}
