//! The program `studioml-envelope`.
#![forbid(unsafe_code)]
fn main() {}
