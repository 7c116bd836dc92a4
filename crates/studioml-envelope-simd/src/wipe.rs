//! Overwriting the stack behind a call that others can leave by a panic.

use zeroize::zeroize_stack;

/// On drop, overwrites `LEN` bytes of the stack below the frame that it stands in.
pub(crate) struct WipeStack<const LEN: usize>;

impl<const LEN: usize> Drop for WipeStack<LEN> {
    #[inline]
    fn drop(&mut self) {
        zeroize_stack::<LEN>();
    }
}
