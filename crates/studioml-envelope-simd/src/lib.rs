//! XSalsa20-Poly1305 SecretBox with AVX2 and AVX-512 kernels for StudioML Envelope
#![forbid(unsafe_code)]
#![deny(missing_docs)]
