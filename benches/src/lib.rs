//! Shared inputs of the benches.
#![forbid(unsafe_code)]
