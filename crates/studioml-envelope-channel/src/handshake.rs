//! A handshake of either mode, without I/O: bytes in, bytes out, and at the end the two directions of a channel.

use crate::{HandshakeError, noise, record::Established, seed};

/// The most bytes that a handshake ever looks at in one call. A caller needs no larger buffer before the channel stands.
pub const MAX_HANDSHAKE_INPUT: usize = 1024;

/// A handshake in progress.
#[derive(Debug)]
pub enum Handshake {
    /// The seed's exchange, unauthenticated.
    Seed(Box<seed::Handshake>),
    /// Noise XX.
    Noise(Box<noise::Handshake>),
}

/// How far a handshake has come.
#[derive(Debug)]
pub enum Progress {
    /// More bytes of the peer are needed.
    Incomplete {
        /// Bytes to drop from the front of the input.
        consumed: usize,
    },
    /// The channel stands, once the output has been sent.
    Complete {
        /// Bytes to drop from the front of the input. What follows are records.
        consumed: usize,
        /// The channel.
        established: Box<Established>,
    },
}

impl Handshake {
    /// Takes what has arrived and not been consumed yet, and appends to `output` what is to be sent.
    ///
    /// Call it first with an empty `input`: who begins the conversation gets its first bytes that way.
    ///
    /// # Errors
    /// [`HandshakeError`]. The connection is to be dropped; every further call gives [`HandshakeError::Over`].
    pub fn advance(&mut self, input: &[u8], output: &mut Vec<u8>) -> Result<Progress, HandshakeError> {
        match self {
            Self::Seed(handshake) => handshake.advance(input, output),
            Self::Noise(handshake) => handshake.advance(input, output),
        }
    }
}

impl From<seed::Handshake> for Handshake {
    fn from(handshake: seed::Handshake) -> Self {
        Self::Seed(Box::new(handshake))
    }
}

impl From<noise::Handshake> for Handshake {
    fn from(handshake: noise::Handshake) -> Self {
        Self::Noise(Box::new(handshake))
    }
}
