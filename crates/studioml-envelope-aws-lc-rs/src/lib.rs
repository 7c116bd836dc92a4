//! StudioML Envelope parts made of aws-lc-rs
#![forbid(unsafe_code)]
#![deny(missing_docs)]
