//! StudioML Envelope parts made of [RustCrypto](https://github.com/RustCrypto) crates and `ed25519-dalek`.
//!
//! The one library here that has every part, all of it in Rust: [`PROVIDER`] fills every slot. It also lends
//! [`SECRET_BOX`] to the providers whose library has no Salsa20.
//!
//! | part | made of |
//! |---|---|
//! | [`RANDOM`] | `getrandom`: the operating system's source |
//! | [`DIGEST`] | `sha2`, `sha1` |
//! | [`KEY_WRAP`], [`KEY_UNWRAP`] | `rsa`, a release candidate: see below |
//! | [`SECRET_BOX`] | `crypto_secretbox`; in pieces, the `salsa20` and `poly1305` below it |
//! | [`SIGN`], [`VERIFY`] | `ed25519-dalek` (`verify_strict`), `p256` |
//! | [`AGREE`], [`AGREE_STATIC`] | `p256` |
//! | [`AEAD`] | `aes-gcm` |
//! | [`KDF`] | `hkdf` over `sha2` |
//!
#![cfg_attr(feature = "full", doc = "```")]
#![cfg_attr(not(feature = "full"), doc = "```ignore")]
//! use studioml_envelope_core::{KeyUnwrap as _, KeyWrap as _, Random as _, SecretBox as _, SessionKey};
//! use studioml_envelope_rustcrypto::{KEY_UNWRAP, KEY_WRAP, RANDOM, SECRET_BOX};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // the receiver makes a key pair; the sender has its public half
//! let private_key = KEY_UNWRAP.generate(2048, &RANDOM)?;
//! let recipient = KEY_WRAP.load(private_key.public_key())?;
//!
//! // the sender draws a session key and a nonce, wraps the one and seals with both
//! let (mut session_key, mut nonce) = (SessionKey::from_bytes([0; 32]), [0; 24]);
//! RANDOM.fill(session_key.expose_secret_mut())?;
//! RANDOM.fill(&mut nonce)?;
//! let mut wrapped_key = vec![0; recipient.wrapped_len()];
//! recipient.wrap(&session_key, &RANDOM, &mut wrapped_key)?;
//! let mut text = *b"a request";
//! let tag = SECRET_BOX.seal_in_place(&session_key, &nonce, &mut text);
//!
//! // the receiver unwraps over a substitute key, so that every failure shows in one place only, the tag
//! let mut session_key = SessionKey::from_bytes([0; 32]);
//! RANDOM.fill(session_key.expose_secret_mut())?;
//! KEY_UNWRAP.load(&private_key)?.unwrap(&wrapped_key, &RANDOM).select_into(&mut session_key);
//! SECRET_BOX.open_in_place(&session_key, &nonce, &tag, &mut text)?;
//! assert_eq!(&text, b"a request");
//! # Ok(())
//! # }
//! ```
//!
//! # RSA and RUSTSEC-2023-0071
//!
//! [RUSTSEC-2023-0071](https://rustsec.org/advisories/RUSTSEC-2023-0071), "Marvin", says that private-key operations of the
//! `rsa` crate take a time that depends on the decrypted number, so that somebody who may send many chosen wrapped keys and
//! measure the answers closely enough, over a network too, can recover a session key. It names every version of `rsa` as
//! affected and none as patched.
//!
//! The version here is 0.10.0-rc.20, pinned exactly:
//!
//! - It stands on `crypto-bigint`, whose modular exponentiation does not branch on the exponent or the base and whose
//!   numbers have a width fixed by the public modulus. Version 0.9 stands on `num-bigint-dig`, whose
//!   arithmetic takes its time from the value: the leak that the advisory is about.
//! - It shares one generation of `digest` and `sha2` with the other crates here.
//! - It is a release candidate: unaudited, and its interface may change. That is why the version is pinned and why
//!   everything it touches is in one module.
//!
//! What is done beside: every unwrap is blinded (the library multiplies by `r^e` for a fresh random `r`, which decouples
//! the time of the exponentiation from the number that the attacker chose) and checked against faults; without random
//! bytes for that nothing is decrypted; padding is checked without early exit; and every failure leaves as one value, over
//! which the caller runs its MAC with a substitute key. What is not claimed: that nothing can be measured. Conversions, the
//! OAEP hashing of a decrypted block and the allocation of its result are the library's, and a result is allocated only if
//! the padding was right. A receiver that strangers can send to, and time, should unwrap with aws-lc-rs, which is what the
//! default provider of the `studioml-envelope` crate does: it takes nothing from here but [`SECRET_BOX`] and does not
//! compile `rsa` at all. Wrapping uses no private key and is not concerned.
//!
//! # Random bytes
//!
//! Everything random comes from the [`Random`](studioml_envelope_core::Random) that the caller hands in, and a failing
//! source is an error. The OAEP seed, the extra input to an ECDSA nonce (RFC 6979 §3.6) and P-256 scalars are the source's
//! own bytes. RSA blinding and RSA key generation draw an amount that nobody knows beforehand, from an interface that cannot
//! be told of failure: they get ChaCha20 (`chacha20`) seeded with 32 bytes of the source.
//!
//! # What is wiped and what is not
//!
//! Wiped when no longer needed: seeds, scalars, RSA exponents and primes, AES and GHASH keys, Salsa20 states, Poly1305 and
//! HMAC keys, shared secrets, decrypted session keys and OAEP blocks; by the libraries (their `zeroize` features are on) or
//! by the adapters here.
//!
//! Not wiped, because the libraries keep no hold of it:
//!
//! - `rsa`: `qInv` of a loaded key; the copies of `d` and of the primes that loading makes while it fixes their widths, and
//!   all of them where a key is refused; candidates for primes; the intermediate numbers of an unwrap (blinded, but for
//!   the last), which are left to the allocator.
//! - `crypto_secretbox`: the working state of HSalsa20; `salsa20`: blocks of key stream; both on the stack.
//! - `p256`: field elements and points on the way to a shared secret or a signature, on the stack.
//! - `hkdf`: the last block of output, on the stack.
//! - Rust itself: what a value leaves behind on the stack where it is moved.
//!
//! # Features
//!
//! `full`, the default, is everything. `secret-box` alone is [`SECRET_BOX`] and the three small crates it is made of.
#![forbid(unsafe_code)]
#![deny(missing_docs)]
// the front page tells of all parts; without them its links lead nowhere
#![cfg_attr(not(feature = "full"), allow(rustdoc::broken_intra_doc_links))]

#[cfg(feature = "full")]
mod aead;
#[cfg(feature = "full")]
mod agreement;
#[cfg(feature = "full")]
mod digest;
#[cfg(feature = "full")]
mod kdf;
#[cfg(feature = "full")]
mod random;
#[cfg(feature = "full")]
mod rsa_oaep;
#[cfg(feature = "secret-box")]
mod secret_box;
#[cfg(feature = "full")]
mod signature;

#[cfg(feature = "secret-box")]
pub use secret_box::{CryptoSecretBox, SECRET_BOX};
#[cfg(feature = "full")]
pub use {
    aead::{AEAD, AesGcm},
    agreement::{AGREE, AGREE_STATIC, EphemeralP256, StaticP256},
    digest::{DIGEST, Sha2AndSha1},
    kdf::{HkdfSha256, KDF},
    random::{OsRandom, RANDOM},
    rsa_oaep::{KEY_UNWRAP, KEY_WRAP, RsaUnwrap, RsaWrap},
    signature::{DalekAndP256Sign, DalekAndP256Verify, SIGN, VERIFY},
};

/// Every slot from this crate.
#[cfg(feature = "full")]
pub const PROVIDER: studioml_envelope_core::Provider = studioml_envelope_core::Provider {
    name: "rustcrypto",
    random: &RANDOM,
    digest: &DIGEST,
    key_wrap: &KEY_WRAP,
    key_unwrap: &KEY_UNWRAP,
    secret_box: &SECRET_BOX,
    sign: &SIGN,
    verify: &VERIFY,
    agree: &AGREE,
    agree_static: &AGREE_STATIC,
    aead: &AEAD,
    kdf: &KDF,
};
