//! The running gateway between real RabbitMQ brokers: real connections, real alarms, real kills.
//!
//! `STUDIOML_GATEWAY_LONG=1` runs the long forms.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "test code")]

#[path = "../support/mod.rs"]
mod support;

mod brokers;
mod faults;
mod hostile;
mod numbers;
mod raw;
mod way;

#[test]
#[ignore = "not a test: the process that the tests start and kill"]
fn gateway_process() {
    support::process::be_the_gateway();
}
