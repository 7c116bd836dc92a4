//! What the first double-round makes of the words that the block counter has not reached yet.
//!
//! The blocks of a message differ in the counter alone. Its low word, x₈, needs the whole of the first double-round to
//! reach every other word; what it has not reached is the same for all blocks and is reckoned once per message, here:
//! 18 of the 32 steps, and two of the three operations of three more, which is a sixteenth of the work of all ten double-rounds.
//!
//! The counter's high word, x₉, must be the same for all blocks too: it is zero, up to block [`END`].

/// The first block whose counter has a high word that is not zero.
pub(crate) const END: u64 = 1 << 32;

/// After the first double-round, or as far into it as a word comes without x₈. Wiped with the matrix that it stands in.
#[derive(Clone, Copy, Default)]
pub(crate) struct Ahead {
    /// x₀, x₁₂ before the first round; x₁, x₂, x₃, x₉, x₁₀, x₁₃, x₁₄, x₁₅ after it; x₄, x₅, x₆, x₇, x₁₁ after the second.
    /// What is XORed onto x₈ in the first round stands at 8.
    pub(crate) words: [u32; 16],
    /// x₄ after the first round.
    pub(crate) x4: u32,
    /// What is XORed onto x₈ in both rounds.
    pub(crate) onto_8: u32,
    /// What is XORed onto x₁₂ in the second round.
    pub(crate) onto_12: u32,
}

impl Ahead {
    /// From the matrix of block 0.
    #[inline]
    pub(crate) fn of(matrix: &[u32; 16]) -> Self {
        let [x0, x1, x2, x3, x4, x5, x6, x7, x8, x9, x10, x11, x12, x13, x14, x15] = *matrix;
        debug_assert!(x8 == 0 && x9 == 0);

        // Columns (x₀, x₄, x₈, x₁₂) as far as x₈, and (x₅, x₉, x₁₃, x₁), (x₁₀, x₁₄, x₂, x₆), (x₁₅, x₃, x₇, x₁₁).
        let x4 = x4 ^ turned::<7>(x0, x12);
        let onto_8 = turned::<9>(x4, x0);
        let [x5, x9, x13, x1] = quarter_round([x5, x9, x13, x1]);
        let [x10, x14, x2, x6] = quarter_round([x10, x14, x2, x6]);
        let [x15, x3, x7, x11] = quarter_round([x15, x3, x7, x11]);
        let after_first = x4;

        // Rows (x₅, x₆, x₇, x₄), and the beginnings of (x₁₀, x₁₁, x₈, x₉) and (x₁₅, x₁₂, x₁₃, x₁₄).
        let [x5, x6, x7, x4] = quarter_round([x5, x6, x7, x4]);
        let x11 = x11 ^ turned::<7>(x10, x9);
        let onto_12 = turned::<7>(x15, x14);

        Self {
            words: [x0, x1, x2, x3, x4, x5, x6, x7, onto_8, x9, x10, x11, x12, x13, x14, x15],
            x4: after_first,
            onto_8: onto_8 ^ turned::<9>(x11, x10),
            onto_12,
        }
    }
}

/// `(x + y) <<< LEFT`.
#[inline]
fn turned<const LEFT: u32>(x: u32, y: u32) -> u32 {
    x.wrapping_add(y).rotate_left(LEFT)
}

/// Salsa20 specification, §3.
#[inline]
fn quarter_round([a, mut b, mut c, mut d]: [u32; 4]) -> [u32; 4] {
    b ^= turned::<7>(a, d);
    c ^= turned::<9>(b, a);
    d ^= turned::<13>(c, b);
    [a ^ turned::<18>(d, c), b, c, d]
}

/// The first double-round in the word-sliced shape; `$counter` is x₈ of all blocks. (See [`Ahead`] for what the rest stands at.)
macro_rules! sliced_first_double_round {
    ($ahead:expr, $counter:expr, $all:ident, $xor:ident) => {{
        let ahead: &$crate::salsa20::ahead::Ahead = $ahead;
        // No `map`: in a build of several codegen units that stays a call, which takes all sixteen vectors through memory.
        let mut x = [$counter; 16];
        for (x, word) in x.iter_mut().zip(&ahead.words) {
            *x = $all(*word as i32);
        }
        let x4 = $all(ahead.x4 as i32);
        let x8 = $xor($counter, x[8]);
        x[12] = step::<13, 19>(x[12], x8, x4);
        x[0] = step::<18, 14>(x[0], x[12], x8);

        x[1] = step::<7, 25>(x[1], x[0], x[3]);
        x[8] = $xor($counter, $all(ahead.onto_8 as i32));
        x[12] = $xor(x[12], $all(ahead.onto_12 as i32));
        x[2] = step::<9, 23>(x[2], x[1], x[0]);
        x[9] = step::<13, 19>(x[9], x[8], x[11]);
        x[13] = step::<9, 23>(x[13], x[12], x[15]);
        x[3] = step::<13, 19>(x[3], x[2], x[1]);
        x[10] = step::<18, 14>(x[10], x[9], x[8]);
        x[14] = step::<13, 19>(x[14], x[13], x[12]);
        x[0] = step::<18, 14>(x[0], x[3], x[2]);
        x[15] = step::<18, 14>(x[15], x[14], x[13]);
        x
    }};
}

pub(crate) use sliced_first_double_round;
