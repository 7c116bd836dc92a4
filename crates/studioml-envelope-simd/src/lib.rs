//! NaCl `secretbox` (XSalsa20-Poly1305) with vector kernels of our own: one part, [`SECRET_BOX`].
//!
//! | path | needs | cipher | MAC |
//! |---|---|---|---|
//! | `avx512ifma` | AVX-512 F, VL, BW, IFMA | 16 blocks in 512-bit registers | 8 lanes in radix 2^44 |
//! | `avx2` | AVX2, BMI2 | 8 blocks in 256-bit registers | 4 lanes in radix 2^26 |
//! | `portable` | any CPU | RustCrypto's `salsa20` | RustCrypto's `poly1305` |
//!
//! The path is detected at run time and chosen once per message. Nothing but the CPU can change it: there is no environment
//! variable, no feature and no setter. [`Part::implementation`](studioml_envelope_core::Part::implementation) says which one
//! runs.
//!
//! # How to do without
//!
//! Any other part that implements [`SecretBox`] gives the same bytes and the same verdicts: fill the provider's
//! `secret_box` slot with it, or build the facade without its feature `simd`.
//!
//! ```
//! use studioml_envelope_core::SessionKey;
//! use studioml_envelope_simd::SECRET_BOX;
//!
//! let key = SessionKey::from_bytes([7; 32]);
//! let nonce = [9; 24]; // fresh for every message
//! let mut text = *b"attack at dawn";
//! let tag = SECRET_BOX.seal_in_place(&key, &nonce, &mut text);
//! assert!(SECRET_BOX.open_in_place(&key, &nonce, &tag, &mut text).is_ok());
//! assert_eq!(&text, b"attack at dawn");
//! ```
#![deny(missing_docs)]
#![deny(unsafe_op_in_unsafe_fn)]
#![deny(clippy::undocumented_unsafe_blocks)]

mod dispatch;
#[cfg(target_arch = "x86_64")]
mod flow;
#[cfg(target_arch = "x86_64")]
mod frame;
#[doc(hidden)]
pub mod hazmat;
#[cfg(target_arch = "x86_64")]
mod paths;
mod poly1305;
mod portable;
#[cfg(target_arch = "x86_64")]
mod salsa20;
#[cfg(target_arch = "x86_64")]
mod span;
mod wipe;

use studioml_envelope_core::SecretBox;

/// XSalsa20-Poly1305 on the best kernels that this CPU has.
pub const SECRET_BOX: &dyn SecretBox = &dispatch::Detected;
