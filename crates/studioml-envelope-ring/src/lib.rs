//! StudioML Envelope parts made of [`ring`], as far as ring has them.
//!
//! | part | what it is |
//! |---|---|
//! | [`RANDOM`] | the operating system's generator |
//! | [`DIGEST`] | SHA-256, SHA-1 |
//! | [`SIGN`], [`VERIFY`] | Ed25519, ECDSA P-256 with SHA-256 |
//! | [`AGREE`] | ECDH P-256, key pairs for one use |
//! | [`AEAD`] | AES-256-GCM |
//! | [`KDF`] | HKDF-SHA256 |
//!
//! ring has no RSA encryption, no XSalsa20 and no agreement with a key that is kept, so those parts do not exist here; the
//! facade takes them from other crates.
//!
//! # Which random numbers come from where
//!
//! ring takes its own random source only (its trait is sealed). Ephemeral key pairs and ECDSA nonces come from the operating
//! system through it, the nonces hashed together with the private key and the message (`ec/suite_b/ecdsa/signing.rs`), and
//! the `random` argument of those operations is unused here.
//!
//! # What is wiped
//!
//! What these parts copy is wiped by them. **ring wipes no key**: its private keys, key schedules, HKDF keys and shared
//! secrets stay in memory until something is written over them. Its sources say so of agreement ("a pretty liberal
//! interpretation of the NIST's spec's 'Destroy' that doesn't meet the NSA requirement to 'zeroize'", `agreement.rs`) and
//! wipe nowhere else but in the scratch space of some assembly (ring 0.17.14). Where that matters, take these parts from
//! another crate.
//!
//! # Building
//!
//! On Linux a C compiler is needed and nothing else (on Debian: `gcc` and `libc6-dev`): the assembly comes generated with
//! the package.
//!
//! ```
//! use studioml_envelope_core::{Ed25519PrivateKey, SecretBytes, Sign, SigningPrivateKey, Verify};
//! use studioml_envelope_ring::{RANDOM, SIGN, VERIFY};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let seed = SecretBytes::new(vec![7; 32]);
//! let signer = SIGN.load(&SigningPrivateKey::Ed25519(Ed25519PrivateKey::new(seed, None)?))?;
//! let signature = signer.sign(b"payload", &RANDOM)?;
//! VERIFY.load(signer.public_key())?.verify(b"payload", &signature)?;
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod aead;
mod agreement;
mod digest;
mod kdf;
mod random;
mod signature;

use studioml_envelope_core::Implementation;

pub use aead::{AEAD, RingAead};
pub use agreement::{AGREE, RingAgree};
pub use digest::{DIGEST, RingDigest};
pub use kdf::{KDF, RingKdf};
pub use random::{RANDOM, RingRandom};
pub use signature::{RingSign, RingVerify, SIGN, VERIFY};

/// The version of ring that is linked; the conformance suite compares it with the lock file.
const VERSION: &str = "0.17.14";

/// Who every part here is.
const IMPLEMENTATION: Implementation = Implementation { library: "ring", version: VERSION, path: "" };
