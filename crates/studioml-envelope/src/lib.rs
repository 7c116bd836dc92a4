//! StudioML message envelopes: seal, sign, verify, open, with a choice of crypto libraries
#![forbid(unsafe_code)]
#![deny(missing_docs)]
