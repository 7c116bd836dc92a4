//! StudioML message envelopes: seal, sign, verify, open, with a choice of crypto libraries.
//!
//! An experimenter seals a Request for a cluster and signs it; a runner verifies and opens it. Reports go back sealed.
//!
//! ```
//! use studioml_envelope::{DEFAULT_MAX_PLAINTEXT, Message, Opener, Sealer, Signer, Verifier};
//! use studioml_envelope::{generate_ed25519, generate_rsa, provider};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let provider = provider::default();
//! // keys come from files (crate studioml-envelope-keys); here they are made on the spot
//! let cluster_key = generate_rsa(&provider, 2048)?;
//! let signing_key = generate_ed25519(&provider)?;
//!
//! // the experimenter
//! let signer = Signer::new(&provider, &signing_key)?;
//! let sealer = Sealer::new(&provider, cluster_key.public_key())?;
//! let request = br#"{"experiment":{"status":"waiting"},"config":{}}"#;
//! let mut message = sealer.seal_signed_envelope(request, &signer)?;
//!
//! // the runner
//! let verifier = Verifier::new(&provider, [signer.public_key()])?;
//! let opener = Opener::new(&provider, [&cluster_key])?;
//! let opened = opener.open(verifier.verify(Message::parse(&mut message, DEFAULT_MAX_PLAINTEXT)?)?)?;
//! assert_eq!(opened.plaintext(), request);
//! # Ok(())
//! # }
//! ```
//!
//! # Choosing a provider
//!
//! A [`Provider`] is a struct with one part for every role. The features `aws-lc-rs`, `rustcrypto`, `ring` and `simd` add the
//! named compositions of [`provider`]; [`provider::default`] is the best one compiled in. They are wire-identical. One of the
//! first three is needed; `simd` puts our own SecretBox into the first two. The default is `aws-lc-rs` and `simd`. The feature
//! `rayon` adds the module `batch`, which opens and seals many messages over all cores.
//!
//! # What is in the type
//!
//! [`Message`] is parsed and no more. [`Verifier::verify`] alone makes a [`Verified`] of it, [`Opener::open`] alone an
//! [`Opened`], and only that gives a [`Request`]. Clear-text headers are reached through
//! [`Message::unauthenticated_headers`], and what nobody signed comes as [`UnauthenticatedPlaintext`].
#![forbid(unsafe_code)]
#![deny(missing_docs)]

#[cfg(not(any(feature = "aws-lc-rs", feature = "rustcrypto", feature = "ring")))]
compile_error!("studioml-envelope needs a crypto library: enable the feature aws-lc-rs, rustcrypto or ring");

#[cfg(feature = "rayon")]
pub mod batch;
mod party;
pub mod provider;

pub use party::{Opener, Sealer, Signer, Verifier, generate_ed25519, generate_p256, generate_rsa};
pub use studioml_envelope_core::*;

/// The README's example, run as a doctest.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct ReadmeDoctests;
