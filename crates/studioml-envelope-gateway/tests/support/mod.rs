//! What the tests of the running gateway have in common: keys as Kubernetes mounts them, a directory queue's other parties,
//! and the gateway as a process that can be killed.
#![allow(dead_code, reason = "each test program uses its part")]

pub mod keys;
pub mod poison;
pub mod process;
pub mod queue;
pub mod rabbit;
pub mod wait;

use std::path::{Path, PathBuf};

use studioml_envelope::Provider;

pub fn provider() -> Provider {
    studioml_envelope::provider::default()
}

/// The vectors of the workspace.
pub fn vectors() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../studioml-envelope-conformance/vectors")
}

/// Whether the long forms are wanted: `STUDIOML_GATEWAY_LONG=1`.
pub fn long() -> bool {
    std::env::var_os("STUDIOML_GATEWAY_LONG").is_some_and(|value| value != "0")
}

/// A number for CI, and one for the long form.
pub fn short_or_long<T>(short: T, long: T) -> T {
    if self::long() { long } else { short }
}
