//! P-256 ECDH channel for StudioML: the seed exchange and Noise XX, without I/O and over tokio (FORMAT §8).
#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod error;
mod handshake;
pub mod noise;
mod peer;
mod record;
pub mod seed;

pub use error::{HandshakeError, RecordError};
pub use handshake::{Handshake, MAX_HANDSHAKE_INPUT, Progress};
pub use peer::{Peer, PeerKey, PeerPolicy, Pins};
pub use record::{DEFAULT_MAX_MESSAGE, Established, Received, RecordOptions, RecordReader, RecordWriter, Rekey};
