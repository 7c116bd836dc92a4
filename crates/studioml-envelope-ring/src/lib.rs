//! StudioML Envelope parts made of ring
#![forbid(unsafe_code)]
#![deny(missing_docs)]
