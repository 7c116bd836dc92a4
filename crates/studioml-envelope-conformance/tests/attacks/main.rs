//! The attacks that the field knows, each a test named for it. What this version cannot prevent is shown to work, in a test
//! whose name says so, and `SECURITY.md` says it too.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test stops where something is not as expected"
)]

mod encodings;
mod floods;
mod identity;
mod oracles;
mod parties;
mod signatures;
mod watched;
