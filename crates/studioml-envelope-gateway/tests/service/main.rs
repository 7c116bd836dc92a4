//! The running gateway between two directories: a process of its own, real files, real keys, and real kills.
//!
//! `STUDIOML_GATEWAY_LONG=1` runs the long forms.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "test code")]

#[path = "../support/mod.rs"]
mod support;

mod kills;
mod oracle;
mod poison;
mod rotation;
mod traffic;
mod way;
mod world;

#[test]
#[ignore = "not a test: the process that the tests start and kill"]
fn gateway_process() {
    support::process::be_the_gateway();
}
