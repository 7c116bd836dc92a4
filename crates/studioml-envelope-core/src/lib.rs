//! The contract of StudioML Envelope: roles, keys, secrets, payload, message, verdicts, errors.
//!
//! No crypto library stands below this crate and no third-party type stands in its public API. Backends implement the
//! [roles](role); a [`Provider`] holds one part for each. Who only wants to send and receive messages takes the crate
//! `studioml-envelope`, which has parties that load their keys once.
//!
//! ```
//! use studioml_envelope_core::{DEFAULT_MAX_PLAINTEXT, Payload, seal};
//! use studioml_envelope_rustcrypto::PROVIDER;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let key = PROVIDER.key_unwrap.generate(2048, PROVIDER.random)?;
//! let recipient = PROVIDER.key_wrap.load(key.public_key())?;
//! let identities = [PROVIDER.key_unwrap.load(&key)?];
//!
//! let mut text = seal(&PROVIDER, &*recipient, b"a report", DEFAULT_MAX_PLAINTEXT)?;
//! let payload = Payload::parse(&mut text, DEFAULT_MAX_PLAINTEXT)?;
//! let opened = payload.open_unauthenticated(&PROVIDER, &identities)?;
//! assert_eq!(opened.unauthenticated_plaintext(), b"a report");
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod curve_key;
mod encoding;
mod error;
mod fingerprint;
mod headers;
mod json;
mod json_value;
mod key;
mod message;
mod payload;
mod provider;
pub mod role;
mod rsa_key;
mod secret;
mod signature;
mod verify;

pub use curve_key::{Ed25519PrivateKey, Ed25519PublicKey, P256PrivateKey, P256PublicKey};
pub use error::{
    AgreeError, BadSignature, ClearTextError, FingerprintError, KdfOutputTooLong, KeyError, MessageError, OpenError,
    PayloadError, RandomError, RequestError, SealError, SignatureError, Unauthentic, VerifyError, WrapError,
};
pub use fingerprint::{Fingerprint, FingerprintForm};
pub use headers::UnauthenticatedHeaders;
pub use key::{PrivateKey, PublicKey, SigningPrivateKey, SigningPublicKey};
pub use message::{Message, UnauthenticatedRequest, seal_envelope};
pub use payload::{DEFAULT_MAX_PLAINTEXT, Payload, seal, seal_into, sealed_len};
pub use provider::Provider;
pub use role::{
    Aead, AeadKey, Agree, AgreeStatic, CHUNK, Digest, EphemeralKey, Identity, Implementation, Kdf, KeyUnwrap, KeyWrap,
    Nonce, Part, Random, Recipient, SecretBox, Sign, SigningKey, StaticKey, Tag, Verify, VerifyingKey,
};
pub use rsa_key::{RsaPrivateKey, RsaPrivateNumbers, RsaPublicKey};
pub use secret::{SecretBytes, SessionKey, SharedSecret, Unwrapped, in_wiped_frames};
pub use signature::{Ed25519Signature, P256Signature, Signature};
pub use verify::{
    FingerprintClaim, FingerprintPolicy, Opened, Policy, Request, TrustedSigner, UnauthenticatedPlaintext,
    Verification, Verified,
};
