//! Mode `seed`: the exchange of *the seed*, byte for byte, and AES-256-GCM records under its key (docs/spec.md §8).
//!
//! It is unauthenticated: anybody in the middle can read and change everything, and nothing here can notice. That is why the
//! constructors say so. The seed is the text, with its Python, in which StudioML first described a client and a server that agree
//! on a key; the mode exists to talk to programs that were written after it.

mod pem;
mod record;

use std::sync::Arc;

use studioml_envelope_core::{AeadKey, EphemeralKey, KeyError, P256PublicKey, Provider, SharedSecret};
use zeroize::Zeroizing;

pub use pem::MAX_PEM;
pub(crate) use record::{Reader, Writer};

use crate::{
    HandshakeError, Peer, Progress,
    record::{self as records, Established, RecordOptions, RecordReader, RecordWriter},
};

/// One end of the seed's exchange.
///
/// ```text
/// client → server   client's ephemeral P-256 public key, PEM SubjectPublicKeyInfo
/// server → client   server's, the same way
/// both              key = HKDF-SHA256(ikm = ECDH x-coordinate, salt = none, info = none, length = 32)
/// ```
pub struct Handshake {
    provider: Provider,
    options: RecordOptions,
    direction: Direction,
    state: State,
}

/// Which way records go, as the first byte of the nonce. The side that sends `ClientToServer` is the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Direction {
    ClientToServer = 0,
    ServerToClient = 1,
}

enum State {
    /// The client has said nothing yet.
    Silent,
    /// The client has sent its key and keeps the private half for one agreement.
    Sent(Box<dyn EphemeralKey>),
    /// The server waits for the client's key. It makes its own only then: a silent client costs it no arithmetic.
    Waiting,
    Over,
}

impl Handshake {
    /// The client's end: it sends the first key. **Nothing proves who answers.**
    #[must_use]
    pub const fn unauthenticated_client(provider: &Provider, options: RecordOptions) -> Self {
        Self { provider: *provider, options, direction: Direction::ClientToServer, state: State::Silent }
    }

    /// The server's end: it answers with its key. **Nothing proves who asks.**
    #[must_use]
    pub const fn unauthenticated_server(provider: &Provider, options: RecordOptions) -> Self {
        Self { provider: *provider, options, direction: Direction::ServerToClient, state: State::Waiting }
    }

    /// See [`crate::Handshake::advance`].
    ///
    /// # Errors
    /// [`HandshakeError`], as there.
    pub fn advance(&mut self, input: &[u8], output: &mut Vec<u8>) -> Result<Progress, HandshakeError> {
        match core::mem::replace(&mut self.state, State::Over) {
            State::Silent => {
                let ephemeral = self.generate()?;
                pem::put_public_key(ephemeral.public_key(), output);
                self.state = State::Sent(ephemeral);
                self.advance(input, output)
            }
            State::Sent(ephemeral) => {
                let Some((peer, consumed)) = pem::take_public_key(input)? else {
                    self.state = State::Sent(ephemeral);
                    return Ok(Progress::Incomplete { consumed: 0 });
                };
                self.complete(ephemeral, &peer, consumed)
            }
            State::Waiting => {
                let Some((peer, consumed)) = pem::take_public_key(input)? else {
                    self.state = State::Waiting;
                    return Ok(Progress::Incomplete { consumed: 0 });
                };
                let ephemeral = self.generate()?;
                let public_key = *ephemeral.public_key();
                let progress = self.complete(ephemeral, &peer, consumed)?;
                pem::put_public_key(&public_key, output);
                Ok(progress)
            }
            State::Over => Err(HandshakeError::Over),
        }
    }

    /// Makes this connection's own key pair, consumed by its one use: HKDF has neither salt nor transcript here, so a pair used
    /// twice would repeat key and nonces.
    fn generate(&self) -> Result<Box<dyn EphemeralKey>, HandshakeError> {
        self.provider.agree.generate(self.provider.random).map_err(|_| HandshakeError::Generation)
    }

    fn complete(
        &self,
        ephemeral: Box<dyn EphemeralKey>,
        peer: &P256PublicKey,
        consumed: usize,
    ) -> Result<Progress, HandshakeError> {
        let shared = ephemeral.agree(peer).map_err(|_| KeyError::PointNotOnCurve)?;
        let key = derive_key(&self.provider, &shared)?;
        let (mine, theirs) = match self.direction {
            Direction::ClientToServer => (Direction::ClientToServer, Direction::ServerToClient),
            Direction::ServerToClient => (Direction::ServerToClient, Direction::ClientToServer),
        };
        let key = SharedKey::new(self.provider.aead.load(&key));
        let max_message = self.options.max_message.min(records::DEFAULT_MAX_MESSAGE);
        Ok(Progress::Complete {
            consumed,
            established: Box::new(Established {
                writer: RecordWriter(records::Writer::Seed(Writer::new(key.clone(), mine, max_message))),
                reader: RecordReader(records::Reader::Seed(Reader::new(key, theirs, max_message))),
                peer: Arc::new(Peer::Unauthenticated),
            }),
        })
    }
}

/// The one key of both directions, loaded once. It stays where its part made it, so that no copy of it is left behind unwiped.
#[derive(Clone)]
#[allow(clippy::redundant_allocation, reason = "`Arc<dyn AeadKey>` would move the key out of its box")]
struct SharedKey(Arc<Box<dyn AeadKey>>);

impl SharedKey {
    fn new(key: Box<dyn AeadKey>) -> Self {
        Self(Arc::new(key))
    }
}

impl core::ops::Deref for SharedKey {
    type Target = dyn AeadKey;

    fn deref(&self) -> &Self::Target {
        &**self.0
    }
}

fn derive_key(provider: &Provider, shared: &SharedSecret) -> Result<Box<Zeroizing<[u8; 32]>>, HandshakeError> {
    let mut key = Box::new(Zeroizing::new([0; 32]));
    provider
        .kdf
        .hkdf_sha256(&[], shared.expose_secret(), &[], key.as_mut_slice())
        .map_err(|_| HandshakeError::Generation)?;
    Ok(key)
}

impl core::fmt::Debug for Handshake {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("seed::Handshake").field("direction", &self.direction).finish_non_exhaustive()
    }
}
