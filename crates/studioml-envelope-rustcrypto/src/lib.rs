//! StudioML Envelope parts made of RustCrypto crates
#![forbid(unsafe_code)]
#![deny(missing_docs)]
