//! What goes wrong before and after the handshake. Everything that depends on a key is one value, `Unauthentic`.

use studioml_envelope_core::{Fingerprint, KeyError};
use thiserror::Error;

/// A handshake failed. The connection is to be dropped without an answer: whoever is at the other end is nobody yet.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum HandshakeError {
    /// The peer's first bytes are not a PEM `PUBLIC KEY` (RFC 7468 §13).
    #[error("handshake: what the peer sent is not a PEM public key")]
    Pem,
    /// The PEM does not end within the limit.
    #[error("handshake: the peer's PEM is longer than {maximum} bytes")]
    PemTooLong {
        /// The limit in bytes.
        maximum: usize,
    },
    /// A Noise message has another length than its place in the pattern gives it.
    #[error("handshake: a message of {found} bytes where {expected} are due")]
    Length {
        /// Bytes due.
        expected: usize,
        /// Bytes announced.
        found: usize,
    },
    /// The peer's public key cannot be used: wrong kind, wrong curve, explicit parameters, compressed, off the curve.
    #[error("handshake: peer's public key: {0}")]
    PeerKey(#[from] KeyError),
    /// The peer does not know the keys that it claims, or something was changed on the way.
    #[error("handshake: not authentic")]
    Unauthentic,
    /// The peer proved who it is, and that is not somebody who is let in.
    #[error("handshake: the peer {fingerprint} is not on the list of peers")]
    PeerNotAllowed {
        /// The fingerprint of its static key.
        fingerprint: Fingerprint,
    },
    /// No key pair could be made: the random source failed.
    #[error("handshake: no key pair could be made")]
    Generation,
    /// The handshake has completed or failed before; nothing more can be done with it.
    #[error("handshake: it is over")]
    Over,
}

/// A record cannot be written or read. Reading is over after it: the next record could not be told from a forgery.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RecordError {
    /// A record announces a length that no record has.
    #[error("record: {found} bytes announced, there must be {minimum} to {maximum}")]
    Length {
        /// Bytes announced.
        found: usize,
        /// The fewest a record has.
        minimum: usize,
        /// The most that is accepted.
        maximum: usize,
    },
    /// The message is larger than the limit in force.
    #[error("message of more than {maximum} bytes")]
    TooLarge {
        /// The limit in bytes.
        maximum: usize,
    },
    /// The nonce is not the next one of the other direction: a record was replayed, reordered, dropped or reflected.
    #[error("record: not the next one of its direction")]
    OutOfOrder,
    /// The tag is not right: the record was changed, replayed, reordered, dropped or reflected, or the keys differ.
    #[error("record: not authentic")]
    Unauthentic,
    /// An authentic record whose marker byte is missing, unknown, or at odds with its contents (docs/spec.md §8).
    #[error("record: malformed marker")]
    Marker,
    /// The mode `seed` has no empty message: an empty record is the orderly close.
    #[error("an empty message cannot be sent in mode seed")]
    EmptyMessage,
    /// The counter of this direction is used up. It never wraps: a nonce used twice gives both plaintexts away.
    #[error("record: the counter is used up")]
    CounterExhausted,
    /// The direction was closed, or failed before.
    #[error("the channel is closed")]
    Closed,
}
