//! Vectors and the conformance suite for StudioML Envelope parts and providers
#![forbid(unsafe_code)]
#![deny(missing_docs)]
