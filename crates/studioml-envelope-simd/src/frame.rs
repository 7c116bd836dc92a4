//! Stack frames that vectors can be spilled to.
//!
//! The stack is aligned to 16 bytes. What the compiler spills from registers of 32 and 64 stands there unaligned, half of it
//! across two cache lines, unless the frame holds a local that wants more: then the whole frame is aligned, and the AVX2
//! kernels are twice as fast. The test `trace` counts what is not aligned.

use core::hint::black_box;
use core::mem::MaybeUninit;

/// Held as a local, it aligns the frame.
#[repr(C, align(64))]
pub(crate) struct Aligned(MaybeUninit<[u8; 64]>);

impl Aligned {
    #[inline(always)]
    pub(crate) fn new() -> Self {
        Self(MaybeUninit::uninit())
    }

    /// Keeps the local from being optimised away. Nothing is written.
    #[inline(always)]
    pub(crate) fn hold(&mut self) {
        black_box(self);
    }
}
