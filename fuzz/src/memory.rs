//! A limit on memory: no input may make a parser allocate more than a small multiple of its length.

use std::alloc::System;
use std::sync::Once;

use cap::Cap;

#[global_allocator]
static ALLOCATOR: Cap<System> = Cap::new(System, usize::MAX);

/// Runs `run` with `bytes` of memory beyond what is in use. An allocation beyond that ends the process, which is how a fuzzer
/// learns of it.
pub fn at_most<T>(bytes: usize, run: impl FnOnce() -> T) -> T {
    static REPORTS: Once = Once::new();
    REPORTS.call_once(|| {
        let report = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            let _ = ALLOCATOR.set_limit(usize::MAX); // a report takes memory of its own
            report(panic);
        }));
    });
    let limited = ALLOCATOR.set_limit(ALLOCATOR.allocated().saturating_add(bytes));
    assert!(limited.is_ok(), "more memory is in use than a moment ago");
    let outcome = run();
    assert!(ALLOCATOR.set_limit(usize::MAX).is_ok());
    outcome
}
