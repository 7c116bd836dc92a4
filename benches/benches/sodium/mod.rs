//! libsodium, called as its documentation says, with its AVX-512 kernels and without.

use std::ffi::{c_int, c_ulonglong};
use std::sync::atomic::{AtomicBool, Ordering};

use libsodium_sys::{crypto_secretbox_detached, crypto_secretbox_open_detached, sodium_init};

use super::{KEY, NONCE};

/// What libsodium believes of the CPU.
#[derive(Clone, Copy, PartialEq)]
pub enum Path {
    /// What it finds.
    Best,
    /// The same without AVX-512, so that it takes its AVX2 kernels.
    Avx2,
}

impl Path {
    /// libsodium chooses anew.
    pub fn take(self) {
        AVX512_HIDDEN.store(self == Self::Avx2, Ordering::Relaxed);
        // SAFETY: looks at what the CPU has and sets a pointer; nobody else calls libsodium meanwhile.
        unsafe {
            assert!(sodium_init() >= 0);
            _crypto_stream_salsa20_pick_best_implementation();
        }
    }
}

static AVX512_HIDDEN: AtomicBool = AtomicBool::new(false);

unsafe extern "C" {
    /// What `sodium_init` calls to choose kernels for Salsa20.
    fn _crypto_stream_salsa20_pick_best_implementation() -> c_int;
    fn __real_sodium_runtime_has_avx512f() -> c_int;
}

/// Stands in for libsodium's function of this name: the build script tells the linker to wrap it.
#[unsafe(no_mangle)]
extern "C" fn __wrap_sodium_runtime_has_avx512f() -> c_int {
    // SAFETY: reads a number that `sodium_init` has set.
    if AVX512_HIDDEN.load(Ordering::Relaxed) { 0 } else { unsafe { __real_sodium_runtime_has_avx512f() } }
}

pub fn seal(text: &mut [u8]) -> [u8; 16] {
    let mut tag = [0; 16];
    let length = text.len() as c_ulonglong;
    // SAFETY: text and tag are valid for their lengths and may be the same buffer (libsodium: `c` and `m` can overlap);
    // key and nonce have 32 and 24 bytes.
    let done = unsafe {
        let (out, text) = (text.as_mut_ptr(), text.as_ptr());
        crypto_secretbox_detached(out, tag.as_mut_ptr(), text, length, NONCE.as_ptr(), KEY.as_ptr())
    };
    assert_eq!(done, 0);
    tag
}

pub fn open(text: &mut [u8], tag: &[u8; 16]) {
    let length = text.len() as c_ulonglong;
    // SAFETY: as above.
    let done = unsafe {
        let (out, text) = (text.as_mut_ptr(), text.as_ptr());
        crypto_secretbox_open_detached(out, text, tag.as_ptr(), length, NONCE.as_ptr(), KEY.as_ptr())
    };
    assert_eq!(done, 0);
}
