//! P-256 ECDH channel for StudioML: the seed exchange and Noise XX, without I/O and over tokio
#![forbid(unsafe_code)]
#![deny(missing_docs)]
