//! StudioML Envelope parts made of [`aws_lc_rs`], the Rust face of AWS-LC.
//!
//! | part | what it is |
//! |---|---|
//! | [`RANDOM`] | the operating system's generator, through AWS-LC's DRBG |
//! | [`DIGEST`] | SHA-256, SHA-1 |
//! | [`KEY_WRAP`], [`KEY_UNWRAP`] | RSA-OAEP with SHA-256, keys of 2048 to 8192 bits; making keys |
//! | [`SIGN`], [`VERIFY`] | Ed25519, ECDSA P-256 with SHA-256 |
//! | [`AGREE`], [`AGREE_STATIC`] | ECDH P-256, key pairs for one use and key pairs that are kept |
//! | [`AEAD`] | AES-256-GCM |
//! | [`KDF`] | HKDF-SHA256 |
//!
//! AWS-LC has no XSalsa20, so there is no SecretBox here; the facade takes one from another crate.
//!
//! # Which random numbers come from where
//!
//! AWS-LC takes no random source from its caller. The OAEP seed, the RSA blinding factors, ECDSA nonces, ephemeral key pairs
//! and new RSA keys come from its own DRBG, and the `random` argument of those operations is unused here. An ECDSA nonce has
//! a hash of the private key and the message mixed in (`crypto/fipsmodule/ecdsa/ecdsa.c`). `random` is used by
//! [`AgreeStatic::generate`](studioml_envelope_core::AgreeStatic::generate), which draws the scalar itself.
//!
//! # What is wiped
//!
//! What these parts copy is wiped by them. What AWS-LC holds it wipes itself: `OPENSSL_free` cleanses every block it gives
//! back (`crypto/mem.c`), and keys, big numbers and contexts live in such blocks. On the Rust side of aws-lc-rs the DER of a
//! private key, an agreed secret and the keys of HKDF are wiped on drop (`buffer.rs`, `evp_pkey.rs`, `hkdf.rs`). Read in the
//! sources of aws-lc-rs 1.19.0 and aws-lc-sys 0.47.0. What either leaves on the stack is theirs to answer for.
//!
//! # Building
//!
//! On Linux x86-64 a C compiler is needed and nothing else (on Debian: `gcc` and `libc6-dev`): no C++, CMake, Go, Perl or
//! bindgen.
//!
//! ```
//! use studioml_envelope_aws_lc_rs::{RANDOM, SIGN, VERIFY};
//! use studioml_envelope_core::{Ed25519PrivateKey, SecretBytes, Sign, SigningPrivateKey, Verify};
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
mod rsa_oaep;
mod signature;

use studioml_envelope_core::Implementation;

pub use aead::{AEAD, AwsLcAead};
pub use agreement::{AGREE, AGREE_STATIC, AwsLcAgree, AwsLcAgreeStatic};
pub use digest::{AwsLcDigest, DIGEST};
pub use kdf::{AwsLcKdf, KDF};
pub use random::{AwsLcRandom, RANDOM};
pub use rsa_oaep::{AwsLcKeyUnwrap, AwsLcKeyWrap, KEY_UNWRAP, KEY_WRAP};
pub use signature::{AwsLcSign, AwsLcVerify, SIGN, VERIFY};

/// The version of aws-lc-rs that is linked; the conformance suite compares it with the lock file.
const VERSION: &str = "1.19.0";

/// Who every part here is.
const IMPLEMENTATION: Implementation = Implementation { library: "aws-lc-rs", version: VERSION, path: "" };
