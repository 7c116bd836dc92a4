//! The HandshakeState object (Noise §5.3) for one pattern (Noise §7.5), payloads empty, each message after a u16 length:
//!
//! ```text
//! XX:
//!   -> e
//!   <- e, ee, s, es
//!   -> s, se
//! ```
//!
//! Every message has one possible length, so that a wrong one is refused after its first two bytes.

use std::sync::Arc;

use studioml_envelope_core::{KeyError, P256PublicKey, Provider, SharedSecret, StaticKey};

use super::{LocalKey, Reader, TAG, Writer, symmetric::SymmetricState};
use crate::{
    HandshakeError, Peer, PeerKey, PeerPolicy, Progress,
    record::{self as records, Established, RecordOptions, RecordReader, RecordWriter},
};

/// `e`: the ephemeral point, and an empty payload without a key.
const MESSAGE_1: usize = P256PublicKey::LEN;
/// `e`, the encrypted static point, the encrypted empty payload.
const MESSAGE_2: usize = P256PublicKey::LEN + SEALED_POINT + TAG;
/// The encrypted static point, the encrypted empty payload.
const MESSAGE_3: usize = SEALED_POINT + TAG;
const SEALED_POINT: usize = P256PublicKey::LEN + TAG;

/// One end of a Noise XX handshake.
pub struct Handshake {
    provider: Provider,
    options: RecordOptions,
    symmetric: SymmetricState,
    s: LocalKey,
    /// The policy is asked as soon as the peer has proved its key: an initiator never names itself to a stranger.
    peers: Arc<dyn PeerPolicy>,
    state: State,
}

enum State {
    /// The initiator has said nothing yet.
    Initiator,
    /// The initiator has sent message 1.
    AwaitingMessage2 {
        e: Box<dyn StaticKey>,
    },
    /// The responder waits; it makes its ephemeral key only when somebody has sent a point.
    Responder,
    /// The responder has sent message 2.
    AwaitingMessage3 {
        e: Box<dyn StaticKey>,
    },
    Over,
}

impl Handshake {
    /// The client's end.
    #[must_use]
    pub fn initiator(provider: &Provider, s: LocalKey, peers: Arc<dyn PeerPolicy>, options: RecordOptions) -> Self {
        Self::new(provider, s, peers, options, State::Initiator)
    }

    /// The server's end.
    #[must_use]
    pub fn responder(provider: &Provider, s: LocalKey, peers: Arc<dyn PeerPolicy>, options: RecordOptions) -> Self {
        Self::new(provider, s, peers, options, State::Responder)
    }

    fn new(provider: &Provider, s: LocalKey, peers: Arc<dyn PeerPolicy>, options: RecordOptions, state: State) -> Self {
        Self { provider: *provider, options, symmetric: SymmetricState::new(provider), s, peers, state }
    }

    /// See [`crate::Handshake::advance`].
    ///
    /// # Errors
    /// [`HandshakeError`], as there.
    pub fn advance(&mut self, input: &[u8], output: &mut Vec<u8>) -> Result<Progress, HandshakeError> {
        const INCOMPLETE: Progress = Progress::Incomplete { consumed: 0 };
        match core::mem::replace(&mut self.state, State::Over) {
            State::Initiator => {
                let e = self.generate()?;
                self.write_message_1(&*e, output)?;
                self.state = State::AwaitingMessage2 { e };
                self.advance(input, output)
            }
            State::AwaitingMessage2 { e } => {
                let Some((message, consumed)) = take_message::<MESSAGE_2>(input)? else {
                    self.state = State::AwaitingMessage2 { e };
                    return Ok(INCOMPLETE);
                };
                let (re, peer) = self.read_message_2(&*e, message)?;
                self.write_message_3(&re, output)?;
                let (initiators, responders) = self.symmetric.split()?;
                Ok(self.complete(consumed, initiators, responders, peer))
            }
            State::Responder => {
                let Some((message, consumed)) = take_message::<MESSAGE_1>(input)? else {
                    self.state = State::Responder;
                    return Ok(INCOMPLETE);
                };
                let re = self.read_message_1(&message)?;
                let e = self.generate()?;
                self.write_message_2(&*e, &re, output)?;
                self.state = State::AwaitingMessage3 { e };
                Ok(Progress::Incomplete { consumed })
            }
            State::AwaitingMessage3 { e } => {
                let Some((message, consumed)) = take_message::<MESSAGE_3>(input)? else {
                    self.state = State::AwaitingMessage3 { e };
                    return Ok(INCOMPLETE);
                };
                let peer = self.read_message_3(&*e, message)?;
                let (initiators, responders) = self.symmetric.split()?;
                Ok(self.complete(consumed, responders, initiators, peer))
            }
            State::Over => Err(HandshakeError::Over),
        }
    }

    /// `-> e`
    fn write_message_1(&mut self, e: &dyn StaticKey, output: &mut Vec<u8>) -> Result<(), HandshakeError> {
        put_length(MESSAGE_1, output)?;
        self.write_e(e, output);
        self.symmetric.encrypt_and_hash(&[], output)
    }

    fn read_message_1(&mut self, message: &[u8; MESSAGE_1]) -> Result<P256PublicKey, HandshakeError> {
        let re = self.read_e(message)?;
        self.symmetric.mix_hash(&[]); // the empty payload, which has no key yet
        Ok(re)
    }

    /// `<- e, ee, s, es`
    fn write_message_2(
        &mut self,
        e: &dyn StaticKey,
        re: &P256PublicKey,
        output: &mut Vec<u8>,
    ) -> Result<(), HandshakeError> {
        let ee = dh(e, re)?;
        let es = dh(self.s.pair(), re)?;
        put_length(MESSAGE_2, output)?;
        self.write_e(e, output);
        self.symmetric.mix_key(&ee)?;
        self.symmetric.encrypt_and_hash(self.s.public_key().as_bytes(), output)?;
        self.symmetric.mix_key(&es)?;
        self.symmetric.encrypt_and_hash(&[], output)
    }

    fn read_message_2(
        &mut self,
        e: &dyn StaticKey,
        mut message: [u8; MESSAGE_2],
    ) -> Result<(P256PublicKey, PeerKey), HandshakeError> {
        let (point, sealed) =
            message.split_first_chunk_mut::<{ P256PublicKey::LEN }>().ok_or(HandshakeError::Unauthentic)?;
        let re = self.read_e(point)?;
        self.symmetric.mix_key(&dh(e, &re)?)?;
        let (sealed_s, sealed_payload) =
            sealed.split_at_mut_checked(SEALED_POINT).ok_or(HandshakeError::Unauthentic)?;
        let rs = P256PublicKey::from_uncompressed(self.symmetric.decrypt_and_hash(sealed_s)?)?;
        self.symmetric.mix_key(&dh(e, &rs)?)?;
        self.symmetric.decrypt_and_hash(sealed_payload)?;
        Ok((re, self.admit(rs)?))
    }

    /// `-> s, se`
    fn write_message_3(&mut self, re: &P256PublicKey, output: &mut Vec<u8>) -> Result<(), HandshakeError> {
        put_length(MESSAGE_3, output)?;
        self.symmetric.encrypt_and_hash(self.s.public_key().as_bytes(), output)?;
        self.symmetric.mix_key(&dh(self.s.pair(), re)?)?;
        self.symmetric.encrypt_and_hash(&[], output)
    }

    fn read_message_3(&mut self, e: &dyn StaticKey, mut message: [u8; MESSAGE_3]) -> Result<PeerKey, HandshakeError> {
        let (sealed_s, sealed_payload) =
            message.split_at_mut_checked(SEALED_POINT).ok_or(HandshakeError::Unauthentic)?;
        let rs = P256PublicKey::from_uncompressed(self.symmetric.decrypt_and_hash(sealed_s)?)?;
        self.symmetric.mix_key(&dh(e, &rs)?)?;
        self.symmetric.decrypt_and_hash(sealed_payload)?;
        self.admit(rs)
    }

    /// Sets `e` to a key pair of this connection alone. Two tokens need it, so it is not consumed by the first.
    fn generate(&self) -> Result<Box<dyn StaticKey>, HandshakeError> {
        self.provider.agree_static.generate_loaded(self.provider.random).map_err(|_| HandshakeError::Generation)
    }

    fn write_e(&mut self, e: &dyn StaticKey, output: &mut Vec<u8>) {
        output.extend_from_slice(e.public_key().as_bytes());
        self.symmetric.mix_hash(e.public_key().as_bytes());
    }

    fn read_e(&mut self, point: &[u8; P256PublicKey::LEN]) -> Result<P256PublicKey, HandshakeError> {
        let re = P256PublicKey::from_uncompressed(point)?;
        self.symmetric.mix_hash(point);
        Ok(re)
    }

    fn admit(&self, rs: P256PublicKey) -> Result<PeerKey, HandshakeError> {
        let peer = PeerKey::new(rs, self.provider.digest);
        if self.peers.permits(&peer) {
            Ok(peer)
        } else {
            Err(HandshakeError::PeerNotAllowed { fingerprint: *peer.fingerprint() })
        }
    }

    fn complete(
        &self,
        consumed: usize,
        mine: super::cipher::CipherState,
        theirs: super::cipher::CipherState,
        peer: PeerKey,
    ) -> Progress {
        Progress::Complete {
            consumed,
            established: Box::new(Established {
                writer: RecordWriter(records::Writer::Noise(Writer::new(mine, self.options))),
                reader: RecordReader(records::Reader::Noise(Reader::new(theirs, self.options))),
                peer: Arc::new(Peer::Authenticated(peer)),
            }),
        }
    }
}

impl core::fmt::Debug for Handshake {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("noise::Handshake").field("s", &self.s).finish_non_exhaustive()
    }
}

/// `DH(key_pair, public_key)`: the x-coordinate. A point off the curve is refused before it is used.
fn dh(key_pair: &dyn StaticKey, public_key: &P256PublicKey) -> Result<SharedSecret, HandshakeError> {
    key_pair.agree(public_key).map_err(|_| HandshakeError::PeerKey(KeyError::PointNotOnCurve))
}

fn put_length(length: usize, output: &mut Vec<u8>) -> Result<(), HandshakeError> {
    let length = u16::try_from(length).map_err(|_| HandshakeError::Over)?;
    output.extend_from_slice(&length.to_be_bytes());
    Ok(())
}

/// Takes the one message that may come now off the front of `input`; `None` as long as it is not there.
fn take_message<const LENGTH: usize>(input: &[u8]) -> Result<Option<([u8; LENGTH], usize)>, HandshakeError> {
    let Some((length, rest)) = input.split_first_chunk::<2>() else {
        return Ok(None);
    };
    let found = usize::from(u16::from_be_bytes(*length));
    if found != LENGTH {
        return Err(HandshakeError::Length { expected: LENGTH, found });
    }
    Ok(rest.first_chunk::<LENGTH>().map(|message| (*message, LENGTH.saturating_add(2))))
}
