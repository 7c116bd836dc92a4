//! Where a kernel reads and where it writes: the same bytes, or two places apart.
//!
//! Sealing in place and sealing from a borrowed plaintext into a scratch are the same work; this is the one place that knows
//! the difference, and the one that hands out raw pointers.

use core::marker::PhantomData;
use core::mem::MaybeUninit;

/// `len` bytes to read and `len` bytes to write.
///
/// Invariant: for `'a`, `source` may be read and `target` written for `len` bytes, nobody else writes to either, and the two
/// ranges are equal or do not overlap. `source` holds initialised bytes as long as they have not been written over.
pub(crate) struct Span<'a> {
    source: *const u8,
    target: *mut u8,
    len: usize,
    borrows: PhantomData<&'a mut [u8]>,
}

impl<'a> Span<'a> {
    /// Reads and writes the same bytes.
    #[inline]
    pub(crate) fn in_place(text: &'a mut [u8]) -> Self {
        let target = text.as_mut_ptr();
        Self { source: target, target, len: text.len(), borrows: PhantomData }
    }

    /// Reads `source` and writes as many bytes of `target`, which is at least as long; a shorter one shortens the span.
    #[inline]
    pub(crate) fn between(source: &'a [u8], target: &'a mut [MaybeUninit<u8>]) -> Self {
        debug_assert_eq!(source.len(), target.len());
        let len = source.len().min(target.len());
        Self { source: source.as_ptr(), target: target.as_mut_ptr().cast(), len, borrows: PhantomData }
    }

    /// The same for a target that has been written before.
    #[inline]
    pub(crate) fn from_to(source: &'a [u8], target: &'a mut [u8]) -> Self {
        debug_assert_eq!(source.len(), target.len());
        let len = source.len().min(target.len());
        Self { source: source.as_ptr(), target: target.as_mut_ptr(), len, borrows: PhantomData }
    }

    /// Bytes left.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Takes the next `len` bytes off the front: where to read them, and where to write them. `None` if there are fewer.
    ///
    /// Both pointers are good for `len` bytes, once: a span never hands out a byte twice. For the rest see the invariant.
    #[inline]
    pub(crate) fn take(&mut self, len: usize) -> Option<(*const u8, *mut u8)> {
        self.len = self.len.checked_sub(len)?;
        let taken = (self.source, self.target);
        // SAFETY: `len` was at most what was left, so both stay within, or one past the end of, their ranges.
        unsafe {
            self.source = self.source.add(len);
            self.target = self.target.add(len);
        }
        Some(taken)
    }

    /// Takes up to `max` bytes off the front, as a span of its own.
    #[inline]
    pub(crate) fn take_up_to(&mut self, max: usize) -> Self {
        let len = self.len.min(max);
        match self.take(len) {
            Some((source, target)) => Self { source, target, len, borrows: PhantomData },
            None => Self { source: self.source, target: self.target, len: 0, borrows: PhantomData },
        }
    }
}
