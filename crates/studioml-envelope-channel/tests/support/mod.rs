//! What the tests of the channel share: providers, keys, handshakes run in memory, and parts that answer as they are told.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "each test binary uses a part of this, and a test fails by panicking"
)]

use std::{
    path::PathBuf,
    sync::{Arc, Mutex},
};

use studioml_envelope_channel::{
    Established, Handshake, HandshakeError, PeerKey, PeerPolicy, Pins, Progress, Received, RecordOptions,
    noise::{self, LocalKey},
    seed,
};
use studioml_envelope_core::{
    Agree, EphemeralKey, Fingerprint, Implementation, P256PrivateKey, P256PublicKey, Part, Provider, PublicKey, Random,
    RandomError, SecretBytes, StaticKey,
};

/// Every provider that fills the slots of the channel.
pub fn providers() -> Vec<Provider> {
    vec![studioml_envelope_rustcrypto::PROVIDER, aws_lc_rs()]
}

/// The slots of the channel by aws-lc-rs.
pub fn aws_lc_rs() -> Provider {
    use studioml_envelope_aws_lc_rs::{AEAD, AGREE, AGREE_STATIC, DIGEST, KDF, RANDOM};
    Provider {
        name: "aws-lc-rs for the channel",
        random: &RANDOM,
        digest: &DIGEST,
        agree: &AGREE,
        agree_static: &AGREE_STATIC,
        aead: &AEAD,
        kdf: &KDF,
        ..studioml_envelope_rustcrypto::PROVIDER
    }
}

pub fn vectors() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../studioml-envelope-conformance/vectors")
}

pub fn expected() -> serde_json::Value {
    serde_json::from_slice(&std::fs::read(vectors().join("expected.json")).unwrap()).unwrap()
}

/// A key file of the vectors.
pub fn key_file(name: &str) -> Vec<u8> {
    std::fs::read(vectors().join("keyfiles").join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

pub fn generate(provider: &Provider) -> P256PrivateKey {
    provider.agree_static.generate(provider.random).unwrap()
}

pub fn local_key(provider: &Provider) -> LocalKey {
    LocalKey::load(provider, &generate(provider)).unwrap()
}

pub fn fingerprint(provider: &Provider, key: &P256PublicKey) -> Fingerprint {
    Fingerprint::of(&PublicKey::P256(*key), studioml_envelope_core::FingerprintForm::SshSha256, provider.digest)
}

pub fn pinned(provider: &Provider, key: &LocalKey) -> Arc<dyn PeerPolicy> {
    Arc::new(Pins::new([fingerprint(provider, key.public_key())]))
}

/// Lets everybody in, for tests about something else.
pub struct Anybody;

impl PeerPolicy for Anybody {
    fn permits(&self, _: &PeerKey) -> bool {
        true
    }
}

pub fn seed_pair(provider: &Provider, options: RecordOptions) -> (Handshake, Handshake) {
    (
        seed::Handshake::unauthenticated_client(provider, options).into(),
        seed::Handshake::unauthenticated_server(provider, options).into(),
    )
}

pub fn noise_pair(provider: &Provider, options: RecordOptions) -> (Handshake, Handshake) {
    let (client, server) = (local_key(provider), local_key(provider));
    let (for_client, for_server) = (pinned(provider, &server), pinned(provider, &client));
    (
        noise::Handshake::initiator(provider, client, for_client, options).into(),
        noise::Handshake::responder(provider, server, for_server, options).into(),
    )
}

/// How a handshake in memory ended at both ends; `None` for an end that still waits.
pub struct Outcome {
    pub client: Option<Result<Established, HandshakeError>>,
    pub server: Option<Result<Established, HandshakeError>>,
}

impl Outcome {
    pub fn unwrap(self) -> (Established, Established) {
        (self.client.expect("the client waits").unwrap(), self.server.expect("the server waits").unwrap())
    }
}

/// Runs a handshake until nothing moves. `change` sees each flight of bytes before it arrives and may change it.
pub fn run(mut client: Handshake, mut server: Handshake, mut change: impl FnMut(usize, &mut Vec<u8>)) -> Outcome {
    let mut outcome = Outcome { client: None, server: None };
    let (mut to_client, mut to_server) = (Vec::new(), Vec::new());
    for flight in 0..8 {
        let (end, done, input, output) = if flight % 2 == 0 {
            (&mut client, &mut outcome.client, &mut to_client, &mut to_server)
        } else {
            (&mut server, &mut outcome.server, &mut to_server, &mut to_client)
        };
        if done.is_some() {
            continue;
        }
        let before = output.len();
        match end.advance(input, output) {
            Ok(Progress::Incomplete { consumed }) => drop(input.drain(..consumed)),
            Ok(Progress::Complete { consumed, established }) => {
                drop(input.drain(..consumed));
                *done = Some(Ok(*established));
            }
            Err(error) => *done = Some(Err(error)),
        }
        if output.len() > before {
            let mut sent = output.split_off(before);
            change(flight, &mut sent);
            output.append(&mut sent);
        }
    }
    outcome
}

pub fn establish((client, server): (Handshake, Handshake)) -> (Established, Established) {
    run(client, server, |_, _| {}).unwrap()
}

/// All the bytes of a handshake, flight by flight.
pub fn flights(pair: (Handshake, Handshake)) -> Vec<Vec<u8>> {
    let mut flights = Vec::new();
    run(pair.0, pair.1, |_, bytes| flights.push(bytes.clone())).unwrap();
    flights
}

/// Reads everything in `bytes`: the messages, and whether the close came.
pub fn read_all(
    reader: &mut studioml_envelope_channel::RecordReader,
    mut bytes: &mut [u8],
) -> Result<(Vec<Vec<u8>>, bool), studioml_envelope_channel::RecordError> {
    let mut messages = Vec::new();
    loop {
        let consumed = match reader.read(bytes)? {
            Received::Incomplete { consumed: 0, .. } => return Ok((messages, false)),
            Received::Incomplete { consumed, .. } | Received::Part { consumed } => consumed,
            Received::Message { consumed, message } => {
                messages.push(message.into_owned());
                consumed
            }
            Received::Closed { .. } => return Ok((messages, true)),
        };
        bytes = bytes.split_at_mut(consumed).1;
    }
}

const TEST: Implementation = Implementation { library: "test", version: "0", path: "" };

/// Gives out one key pair, again and again: what the seed's exchange must never do, and what its vectors need.
pub struct FixedAgree {
    pub provider: Provider,
    pub scalar: Vec<u8>,
}

struct FixedKey(Box<dyn StaticKey>);

impl Part for FixedAgree {
    fn implementation(&self) -> Implementation {
        TEST
    }
}

impl Agree for FixedAgree {
    fn generate(&self, _: &dyn Random) -> Result<Box<dyn EphemeralKey>, RandomError> {
        let agree = self.provider.agree_static;
        let scalar = SecretBytes::copy_from(&self.scalar);
        let public = agree.public_key_of(&scalar).unwrap();
        Ok(Box::new(FixedKey(agree.load(&P256PrivateKey::new(scalar, public).unwrap()).unwrap())))
    }
}

impl EphemeralKey for FixedKey {
    fn public_key(&self) -> &P256PublicKey {
        self.0.public_key()
    }

    fn agree(
        self: Box<Self>,
        peer: &P256PublicKey,
    ) -> Result<studioml_envelope_core::SharedSecret, studioml_envelope_core::AgreeError> {
        self.0.agree(peer)
    }
}

/// `provider` with every seed-mode key pair made of one scalar. Leaks the part: a slot is `&'static`.
pub fn with_fixed_pair(provider: Provider, scalar: Vec<u8>) -> Provider {
    Provider { agree: Box::leak(Box::new(FixedAgree { provider, scalar })), ..provider }
}

/// Random bytes from a list; fails when it is used up.
pub struct ScriptedRandom(pub Mutex<Vec<Vec<u8>>>);

impl Part for ScriptedRandom {
    fn implementation(&self) -> Implementation {
        TEST
    }
}

impl Random for ScriptedRandom {
    fn fill(&self, out: &mut [u8]) -> Result<(), RandomError> {
        let mut script = self.0.lock().unwrap();
        if script.is_empty() {
            return Err(RandomError);
        }
        let next = script.remove(0);
        assert_eq!(next.len(), out.len());
        out.copy_from_slice(&next);
        Ok(())
    }
}

/// The scalar of an unencrypted PKCS#8 P-256 key as OpenSSL writes it: 32 bytes after `02 01 01 04 20` (RFC 5915).
pub fn pkcs8_scalar(pem: &[u8]) -> Vec<u8> {
    let (label, der) = pem_rfc7468::decode_vec(pem.trim_ascii()).unwrap();
    assert_eq!(label, "PRIVATE KEY");
    let before = [2, 1, 1, 4, 32];
    let at = der.windows(before.len()).position(|window| window == before).unwrap() + before.len();
    der[at..at + 32].to_vec()
}
