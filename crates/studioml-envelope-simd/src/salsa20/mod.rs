//! Salsa20/20 (D. J. Bernstein, *The Salsa20 family of stream ciphers*) and HSalsa20 (*Extending the Salsa20 nonce*).
//!
//! Two shapes of the same 4×4 matrix of 32-bit words x₀ … x₁₅:
//!
//! - **diagonal**: one vector per diagonal, a block in every 128 bits. A quarter-round step is one operation on four words
//!   of each block; three shuffles turn columns into rows and back. Few blocks, and the shortest chain of operations.
//! - **word-sliced**: one vector per word, a block in every lane. No shuffles in the rounds, a transposition at the end. Many
//!   blocks, and the fewest operations.
//!
//! No address and no branch depends on anything but the number of blocks.

pub(crate) mod ahead;
#[cfg(target_arch = "x86_64")]
pub(crate) mod avx2;
#[cfg(target_arch = "x86_64")]
pub(crate) mod avx512;
#[cfg(target_arch = "x86_64")]
mod lanes;

use core::mem::MaybeUninit;

use ahead::Ahead;
use zeroize::optimization_barrier;

/// Length of a block in bytes.
pub(crate) const BLOCK: usize = 64;

/// Bytes of block 0 that are the MAC's key: the message begins to be covered behind them.
pub(crate) const MAC_KEY: usize = 32;

/// σ, "expand 32-byte k": the words x₀, x₅, x₁₀, x₁₅.
pub(crate) const SIGMA: [u32; 4] = [0x6170_7865, 0x3320_646e, 0x7962_2d32, 0x6b20_6574];

/// The matrix that a key and a nonce give, row by row, with a block counter (x₈, x₉) of zero. Wiped on drop.
#[repr(C, align(64))]
pub(crate) struct Matrix {
    pub(crate) words: [u32; 16],
    /// Not there before [`look_ahead`](Self::look_ahead).
    pub(crate) ahead: Ahead,
}

impl Matrix {
    #[inline(always)]
    pub(crate) fn new() -> Self {
        Self { words: [0; 16], ahead: Ahead::default() }
    }

    /// Reckons what the word-sliced shape begins with.
    #[inline(always)]
    pub(crate) fn look_ahead(&mut self) {
        self.ahead = Ahead::of(&self.words);
    }

    /// The matrix of Salsa20 under `key`, which for a message is HSalsa20's output: for tests that start in the middle.
    pub(crate) fn of(key: &[u8; 32], nonce: &[u8; 8]) -> Self {
        let word = |bytes: &[u8], index: usize| {
            bytes.as_chunks::<4>().0.get(index).map_or(0, |word| u32::from_le_bytes(*word))
        };
        let mut words = [0; 16];
        for (index, to) in words.iter_mut().enumerate() {
            *to = match index {
                0 => SIGMA[0],
                5 => SIGMA[1],
                10 => SIGMA[2],
                15 => SIGMA[3],
                1..=4 => word(key, index - 1),
                6 | 7 => word(nonce, index - 6),
                11..=14 => word(key, index - 7),
                _ => 0,
            };
        }
        let mut matrix = Self { words, ahead: Ahead::default() };
        matrix.look_ahead();
        matrix
    }
}

impl Drop for Matrix {
    #[inline]
    fn drop(&mut self) {
        self.words = [0; 16];
        self.ahead = Ahead::default();
        optimization_barrier(self);
    }
}

/// Room for a block.
pub(crate) type Room = MaybeUninit<[u8; BLOCK]>;

/// Some blocks of key stream, or room for them. Wiped on drop.
#[repr(C, align(64))]
pub(crate) struct Stream<const BLOCKS: usize>(pub(crate) [Room; BLOCKS]);

impl<const BLOCKS: usize> Stream<BLOCKS> {
    #[inline(always)]
    pub(crate) fn new() -> Self {
        Self([Room::uninit(); BLOCKS])
    }

    /// The first blocks, at most as many as there is room for.
    ///
    /// # Safety
    /// So many have been written.
    #[inline(always)]
    pub(crate) unsafe fn made(&self, blocks: usize) -> &[[u8; BLOCK]] {
        let (made, _) = self.0.split_at(blocks.min(BLOCKS));
        // SAFETY: as the caller promises.
        unsafe { made.assume_init_ref() }
    }

    /// The MAC's key.
    ///
    /// # Safety
    /// Block 0 has been written.
    #[inline(always)]
    pub(crate) unsafe fn mac_key(&self) -> &[u8; MAC_KEY] {
        // SAFETY: as the caller promises.
        let Some(mac_key) = unsafe { self.made(1) }.as_flattened().first_chunk() else { unreachable!() };
        mac_key
    }

    /// The stream behind the MAC's key.
    ///
    /// # Safety
    /// So many blocks have been written.
    #[inline(always)]
    pub(crate) unsafe fn behind_mac_key(&self, blocks: usize) -> &[u8] {
        // SAFETY: as the caller promises.
        unsafe { self.made(blocks) }.as_flattened().split_at(MAC_KEY).1
    }
}

impl<const BLOCKS: usize> Drop for Stream<BLOCKS> {
    #[inline]
    fn drop(&mut self) {
        self.0 = [Room::zeroed(); BLOCKS];
        optimization_barrier(self);
    }
}

/// One round in the diagonal shape, on `GROUPS` independent groups of vectors side by side: the quarter-round
/// `b ^= (a+d)<<<7; c ^= (b+a)<<<9; d ^= (c+b)<<<13; a ^= (d+c)<<<18` (Salsa20 specification, §3).
macro_rules! diagonal_round {
    ($a:ident, $b:ident, $c:ident, $d:ident) => {
        diagonal_round!(@step $b, $a, $d, 7, 25);
        diagonal_round!(@step $c, $b, $a, 9, 23);
        diagonal_round!(@step $d, $c, $b, 13, 19);
        diagonal_round!(@step $a, $d, $c, 18, 14);
    };
    (@step $to:ident, $x:ident, $y:ident, $left:literal, $right:literal) => {
        for ((to, x), y) in $to.iter_mut().zip(&$x).zip(&$y) {
            *to = step::<$left, $right>(*to, *x, *y);
        }
    };
}

/// Columns and rows in the diagonal shape.
///
/// After the column round (a, b, c, d) = (x₀x₅x₁₀x₁₅, x₄x₉x₁₄x₃, x₈x₁₃x₂x₇, x₁₂x₁x₆x₁₁). For the row round
/// the second, third and fourth word of every row must stand below its first: d turned left by one lane holds x₁x₆x₁₁x₁₂, c by
/// two x₂x₇x₈x₁₃, b by three x₃x₄x₉x₁₄. Turned back they are columns again.
macro_rules! diagonal_double_round {
    ($a:ident, $b:ident, $c:ident, $d:ident) => {
        diagonal_round!($a, $b, $c, $d);
        diagonal_double_round!(@turn $b, $c, $d);
        diagonal_round!($a, $d, $c, $b);
        diagonal_double_round!(@turn $d, $c, $b);
    };
    (@turn $by_three:ident, $by_two:ident, $by_one:ident) => {
        for x in &mut $by_three {
            *x = turn::<0b10_01_00_11>(*x);
        }
        for x in &mut $by_two {
            *x = turn::<0b01_00_11_10>(*x);
        }
        for x in &mut $by_one {
            *x = turn::<0b00_11_10_01>(*x);
        }
    };
}

/// Columns and rows in the word-sliced shape: the quarter-rounds of the specification (§4 and §5). One after another: the CPU
/// works at all four at once anyway, and with 16 registers the fewest words have to wait on the stack.
macro_rules! sliced_double_round {
    ($x:ident) => {
        sliced_double_round!(@quarters $x, [0, 4, 8, 12], [5, 9, 13, 1], [10, 14, 2, 6], [15, 3, 7, 11]);
        sliced_double_round!(@quarters $x, [0, 1, 2, 3], [5, 6, 7, 4], [10, 11, 8, 9], [15, 12, 13, 14]);
    };
    (@quarters $x:ident, $([$a:literal, $b:literal, $c:literal, $d:literal]),+) => {
        $($x[$b] = step::<7, 25>($x[$b], $x[$a], $x[$d]);
        $x[$c] = step::<9, 23>($x[$c], $x[$b], $x[$a]);
        $x[$d] = step::<13, 19>($x[$d], $x[$c], $x[$b]);
        $x[$a] = step::<18, 14>($x[$a], $x[$d], $x[$c]);)+
    };
}

use {diagonal_double_round, diagonal_round, sliced_double_round};
