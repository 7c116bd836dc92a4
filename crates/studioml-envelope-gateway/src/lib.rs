//! The StudioML queue gateway: sealed requests in, clear requests out.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

pub mod decision;
