//! Vectors and the conformance suite for StudioML Envelope parts and providers.
//!
//! Anyone who writes a part, or composes a provider of parts, runs the same suites over it that this project runs over its
//! own: what deployed peers wrote, Wycheproof, C2SP/CCTV, NaCl's vectors, every ordered pair of providers, and that all of
//! them refuse the same input with the same error. A run says how many cases were run, how many passed, and how many lie in
//! gaps that are declared in code with a reason and an exact number; nothing is skipped in silence.
//!
//! ```
//! use studioml_envelope_conformance::{suites, Vectors};
//! use studioml_envelope_rustcrypto::{DIGEST, SECRET_BOX};
//!
//! let vectors = Vectors::bundled()?;
//! let report = suites::secret_box::libsodium(&vectors, &SECRET_BOX, &DIGEST);
//! assert!(report.is_success(), "{:?}", report.failures);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod bad;
mod instrument;
mod keys;
mod library;
mod matrix;
mod order;
mod peers;
mod report;
mod run;
mod same;
pub mod suites;
mod vectors;

pub use bad::bad_messages;
pub use library::Library;
pub use matrix::matrix;
pub use order::order_of_work;
pub use peers::peers;
pub use report::{AbsentPart, Failure, Gap, Report, Role, SuiteReport};
pub use run::{library, provider};
pub use same::same_errors;
pub use vectors::{Origin, Vectors, VectorsError};

pub(crate) use report::{Cases, Verdict, expect, expect_bytes, expect_eq};
