//! Poly1305 (D. J. Bernstein, *The Poly1305-AES message-authentication code*; RFC 8439 §2.5): the MAC is
//! `((c₁·rⁿ + c₂·rⁿ⁻¹ + … + cₙ·r) mod p) + s mod 2¹²⁸` with p = 2¹³⁰ − 5, where cᵢ is the i-th 16-byte block, little-endian,
//! with a 1 bit set just above its last byte.
//!
//! The vector kernels keep one sum per lane and need every group of blocks to be full, so a message is aligned at its *end*:
//! what is missing to a whole number of groups is filled in front, with blocks that are zero and have no 1 bit. Leading zeros
//! change nothing, `0·r + c = c`, and so no lane needs its own ending.

#[cfg(target_arch = "x86_64")]
pub(crate) mod avx2;
#[cfg(target_arch = "x86_64")]
pub(crate) mod avx512;
pub(crate) mod scalar;

/// Length of a block in bytes.
pub(crate) const BLOCK: usize = 16;

/// How many bytes the first group of a message of `len` bytes takes, if a group has `lanes` blocks: what is left over from
/// whole groups, counted from the end, a partial last block counting as a block.
///
/// At most `lanes · 16`, and `len` itself if there is only one group. `len` is not 0.
pub(crate) const fn first_group(len: usize, lanes: usize) -> usize {
    let blocks = len.div_ceil(BLOCK);
    let whole = (blocks - 1) % lanes + 1;
    if blocks <= lanes { len } else { whole * BLOCK }
}
