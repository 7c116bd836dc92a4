//! Who takes part: a cluster with an RSA key, experimenters with signing keys, and messages between them.

use std::sync::LazyLock;

use studioml_envelope::{Message, OpenError, Opener, Payload, Policy, Provider, Sealer, Signer, Verifier, VerifyError};
use studioml_envelope_core::{
    Ed25519PrivateKey, MessageError, P256PrivateKey, RsaPrivateKey, SecretBytes, SigningPrivateKey, Verification,
};

/// The cluster's key: 2048 bits, since the private operation is what these tests wait for.
const CLUSTER: &[u8] = include_bytes!("../../../studioml-envelope-rustcrypto/tests/data/rsa-2048.pkcs1.der");

pub const REQUEST: &[u8] = br#"{"experiment":{"status":"waiting","pythonver":"3.8"},"config":{}}"#;

pub fn cluster_key() -> RsaPrivateKey {
    RsaPrivateKey::from_pkcs1_der(CLUSTER).unwrap()
}

/// Another cluster's key.
pub fn other_cluster_key() -> &'static RsaPrivateKey {
    static KEY: LazyLock<RsaPrivateKey> = LazyLock::new(|| {
        let provider = studioml_envelope::provider::default();
        provider.key_unwrap.generate(2048, provider.random).unwrap()
    });
    &KEY
}

pub fn ed25519(seed: u8) -> SigningPrivateKey {
    SigningPrivateKey::Ed25519(Ed25519PrivateKey::new(SecretBytes::copy_from(&[seed; 32]), None).unwrap())
}

pub fn p256(scalar: u8, provider: &Provider) -> SigningPrivateKey {
    let scalar = || SecretBytes::copy_from(&[scalar; 32]);
    let public = provider.agree_static.public_key_of(&scalar()).unwrap();
    SigningPrivateKey::P256(P256PrivateKey::new(scalar(), public).unwrap())
}

/// A sender and a receiver who trusts him.
pub struct Parties {
    pub provider: Provider,
    pub sealer: Sealer,
    pub signer: Signer,
    pub verifier: Verifier,
    pub opener: Opener,
}

/// Why a message was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    Malformed(MessageError),
    Verify(VerifyError),
    Open(OpenError),
}

impl Parties {
    pub fn new(provider: &Provider) -> Self {
        Self::signing_with(provider, &ed25519(1))
    }

    pub fn signing_with(provider: &Provider, key: &SigningPrivateKey) -> Self {
        let signer = Signer::new(provider, key).unwrap();
        Self {
            provider: *provider,
            sealer: Sealer::new(provider, cluster_key().public_key()).unwrap(),
            verifier: Verifier::new(provider, [signer.public_key()]).unwrap(),
            opener: Opener::new(provider, [&cluster_key()]).unwrap(),
            signer,
        }
    }

    /// A sealed and signed message.
    pub fn message(&self) -> String {
        String::from_utf8(self.sealer.seal_signed_envelope(REQUEST, &self.signer).unwrap()).unwrap()
    }

    /// What the receiver makes of a message: the plaintext and what was verified.
    pub fn receive(&self, message: &[u8]) -> Result<(Vec<u8>, Verification), Refused> {
        let mut buffer = message.to_vec();
        let message = Message::parse(&mut buffer, 1 << 20).map_err(Refused::Malformed)?;
        let verified = self.verifier.verify(message).map_err(Refused::Verify)?;
        let opened = self.opener.open(verified).map_err(Refused::Open)?;
        Ok((opened.plaintext().to_vec(), opened.verification().clone()))
    }

    /// What opens of a payload that nobody signed.
    pub fn open_report(&self, payload: &[u8]) -> Result<Vec<u8>, OpenError> {
        let mut buffer = payload.to_vec();
        let payload = Payload::parse(&mut buffer, 1 << 20)?;
        Ok(self.opener.open_unauthenticated(payload)?.unauthenticated_plaintext().to_vec())
    }
}

/// A member of `message`, as text.
pub fn member(message: &str, name: &str) -> String {
    let value: serde_json::Value = serde_json::from_str(message).unwrap();
    value["message"][name].as_str().unwrap().to_owned()
}

/// A message with a member of `message` set, or taken out.
pub fn with_member(message: &str, name: &str, value: Option<serde_json::Value>) -> String {
    let mut whole: serde_json::Value = serde_json::from_str(message).unwrap();
    let members = whole["message"].as_object_mut().unwrap();
    match value {
        Some(value) => members.insert(name.to_owned(), value),
        None => members.remove(name),
    };
    whole.to_string()
}

/// The receiver with another policy.
pub fn lenient() -> Policy {
    let mut policy = Policy::default();
    policy.fingerprint = studioml_envelope::FingerprintPolicy::Warn;
    policy
}
