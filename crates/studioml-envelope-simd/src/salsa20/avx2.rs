//! Salsa20 with 256-bit vectors: two blocks to a vector in the diagonal shape, eight in the word-sliced one.
//!
//! The sliced shape wants sixteen registers for the words alone, and there are sixteen: some words wait on the stack. Frames
//! here hold a 64-byte-aligned local so that those slots are aligned; unaligned ones straddle cache lines and halve the speed.

#![allow(
    clippy::indexing_slicing,
    reason = "arrays of registers, indexed by constants and by loops with constant bounds"
)]

use core::arch::x86_64::*;

use super::ahead::{self, sliced_first_double_round};
use super::lanes::{avx2_128, avx2_256};
use super::{BLOCK, MAC_KEY, Matrix, Room, SIGMA, Stream, diagonal_double_round, diagonal_round, sliced_double_round};
use crate::frame::Aligned;
use crate::poly1305::avx2::Mac;
use crate::span::Span;

/// Blocks that [`begin`] gives at most.
pub(crate) const FIRST: usize = 8;

/// Blocks in one sliced pass.
const SLICE: usize = 8;

/// 16 bytes at any address.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn load_128(bytes: &[u8; 16]) -> __m128i {
    // SAFETY: 16 readable bytes; the instruction wants no alignment.
    unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) }
}

/// A block in two halves.
#[inline]
#[target_feature(enable = "avx2")]
fn store_block(room: &mut Room, [front, back]: [__m256i; 2]) {
    let to = room.as_mut_ptr().cast::<__m256i>();
    // SAFETY: twice 32 writable bytes; the instruction wants no alignment.
    unsafe {
        _mm256_storeu_si256(to, front);
        _mm256_storeu_si256(to.add(1), back);
    }
}

/// The rows of the matrix that a key and 16 bytes of input give (Salsa20 specification, §9).
#[inline]
#[target_feature(enable = "avx2")]
fn rows(key_low: __m128i, key_high: __m128i, input: __m128i) -> [__m128i; 4] {
    let [c0, c1, c2, c3] = SIGMA.map(|word| word as i32);
    let sigma = _mm_setr_epi32(c0, c1, c2, c3);
    // (σ₀, k₀, k₁, k₂)
    let first = _mm_blend_epi32::<0b0001>(_mm_shuffle_epi32::<0b10_01_00_00>(key_low), sigma);
    // (k₃, σ₁, n₀, n₁)
    let second = _mm_blend_epi32::<0b0010>(_mm_shuffle_epi32::<0b11_11_11_11>(key_low), sigma);
    let second = _mm_blend_epi32::<0b1100>(second, _mm_shuffle_epi32::<0b01_00_00_00>(input));
    // (n₂, n₃, σ₂, k₄)
    let third = _mm_blend_epi32::<0b0100>(_mm_shuffle_epi32::<0b00_00_11_10>(input), sigma);
    let third = _mm_blend_epi32::<0b1000>(third, _mm_shuffle_epi32::<0b00_00_00_00>(key_high));
    // (k₅, k₆, k₇, σ₃)
    let fourth = _mm_blend_epi32::<0b1000>(_mm_shuffle_epi32::<0b11_11_10_01>(key_high), sigma);
    [first, second, third, fourth]
}

/// Rows to diagonals (x₀x₅x₁₀x₁₅, x₄x₉x₁₄x₃, x₈x₁₃x₂x₇, x₁₂x₁x₆x₁₁): every word stays in its lane.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn diagonals([r0, r1, r2, r3]: [__m128i; 4]) -> [__m128i; 4] {
    let p = _mm_blend_epi32::<0b1010>(r0, r1);
    let q = _mm_blend_epi32::<0b1010>(r2, r3);
    let s = _mm_blend_epi32::<0b1010>(r1, r2);
    let t = _mm_blend_epi32::<0b1010>(r3, r0);
    [
        _mm_blend_epi32::<0b1100>(p, q),
        _mm_blend_epi32::<0b1100>(s, t),
        _mm_blend_epi32::<0b1100>(q, p),
        _mm_blend_epi32::<0b1100>(t, s),
    ]
}

/// The diagonals of HSalsa20's input, and back: what differs between instruction sets is only the rounds between the two.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn hsalsa20_input(key: &[u8; 32], input: &[u8; 16]) -> [__m128i; 4] {
    let [low, high] = halves(key);
    diagonals(rows(load_128(low), load_128(high), load_128(input)))
}

/// The matrix of Salsa20 under the key that HSalsa20 leaves in its diagonals, z₀z₅z₁₀z₁₅z₆z₇z₈z₉, with `nonce` and a zero
/// counter.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn matrix_of_diagonals([a, b, c, d]: [__m128i; 4], nonce: &[u8; 8], matrix: &mut Matrix) {
    // (z₆, z₇, z₈, z₉) = (d₂, c₃, c₀, b₁)
    let z8_z9 = _mm_unpacklo_epi32(c, _mm_shuffle_epi32::<0b01_01_01_01>(b));
    let z6_z7 = _mm_unpackhi_epi32(d, _mm_shuffle_epi32::<0b11_11_11_11>(c));
    let high = _mm_unpacklo_epi64(z6_z7, z8_z9);
    let input = _mm_cvtsi64_si128(i64::from_le_bytes(*nonce));
    matrix_of_rows(rows(a, high, input), matrix);
}

#[inline]
#[target_feature(enable = "avx2")]
fn matrix_of_rows(rows: [__m128i; 4], matrix: &mut Matrix) {
    for (to, row) in matrix.words.as_chunks_mut::<4>().0.iter_mut().zip(rows) {
        // SAFETY: 16 writable bytes; the instruction wants no alignment.
        unsafe { _mm_storeu_si128(to.as_mut_ptr().cast(), row) };
    }
}

/// The matrix as rows of vectors.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn rows_of_matrix(matrix: &Matrix) -> [__m128i; 4] {
    let mut rows = [_mm_setzero_si128(); 4];
    for (row, from) in rows.iter_mut().zip(matrix.words.as_chunks::<4>().0) {
        // SAFETY: 16 readable bytes; the instruction wants no alignment.
        *row = unsafe { _mm_loadu_si128(from.as_ptr().cast()) };
    }
    rows
}

#[inline]
fn halves(key: &[u8; 32]) -> [&[u8; 16]; 2] {
    let ([low, high], []) = key.as_chunks::<16>() else { unreachable!() };
    [low, high]
}

/// HSalsa20 of `key` and the first 16 bytes of `nonce`, and from it the matrix of Salsa20 with the other 8.
#[inline]
#[target_feature(enable = "avx2")]
pub(crate) fn xsalsa20(key: &[u8; 32], input: &[u8; 16], nonce: &[u8; 8], matrix: &mut Matrix) {
    use avx2_128::{step, turn};
    let [mut a, mut b, mut c, mut d] = hsalsa20_input(key, input).map(|diagonal| [diagonal]);
    for _ in 0..10 {
        diagonal_double_round!(a, b, c, d);
    }
    let ([a], [b], [c], [d]) = (a, b, c, d);
    matrix_of_diagonals([a, b, c, d], nonce, matrix);
}

/// The first `blocks` blocks of key stream, at most 6; what stands in `stream` behind them is not specified.
#[inline]
#[target_feature(enable = "avx2")]
pub(crate) fn few_blocks(matrix: &Matrix, blocks: usize, stream: &mut Stream<6>) {
    match blocks {
        0..=2 => diagonal::<1>(matrix, 0, &mut stream.0),
        3..=4 => diagonal::<2>(matrix, 0, &mut stream.0),
        _ => diagonal::<3>(matrix, 0, &mut stream.0),
    }
}

/// The first blocks of key stream for [`xor_first`], [`FIRST`] however many are needed, and the beginning of the MAC of a message
/// of `len` bytes.
#[inline]
#[target_feature(enable = "avx2")]
pub(crate) fn begin<const N: usize>(matrix: &mut Matrix, len: usize, stream: &mut Stream<N>, mac: &mut Mac) {
    const { assert!(N >= FIRST) };
    matrix.look_ahead();
    sliced_into(matrix, 0, &mut stream.0);
    // SAFETY: block 0 has just been written.
    mac.begin(unsafe { stream.mac_key() }, len);
}

/// XORs onto `span`, the beginning of a message, what [`begin`] has made, and the key stream behind it.
///
/// # Safety
/// That has been called.
#[inline]
#[target_feature(enable = "avx2")]
pub(crate) unsafe fn xor_first<const N: usize>(matrix: &Matrix, mut span: Span<'_>, stream: &mut Stream<N>) {
    // SAFETY: as the caller promises.
    xor_bytes(span.take_up_to(FIRST * BLOCK - MAC_KEY), unsafe { stream.behind_mac_key(FIRST) });
    xor(matrix, FIRST as u64, span, stream);
}

/// XORs the key stream from block `counter` on onto `span`.
#[inline]
#[target_feature(enable = "avx2")]
pub(crate) fn xor<const N: usize>(matrix: &Matrix, mut counter: u64, mut span: Span<'_>, work: &mut Stream<N>) {
    let mut frame = Aligned::new();
    frame.hold();
    while let Some((source, target)) = span.take(SLICE * BLOCK) {
        sliced(matrix, counter, |index, [front, back]| {
            let at = index * BLOCK;
            // SAFETY: the index is below 8, and `at` + 64 at most the length taken from the span.
            unsafe {
                xor_256(source.add(at), target.add(at), front);
                xor_256(source.add(at + 32), target.add(at + 32), back);
            }
        });
        counter = counter.wrapping_add(SLICE as u64);
    }
    if span.len() > 0 {
        let blocks = span.len().div_ceil(BLOCK);
        match blocks {
            0..=2 => diagonal::<1>(matrix, counter, &mut work.0),
            3..=4 => diagonal::<2>(matrix, counter, &mut work.0),
            _ => sliced_into(matrix, counter, &mut work.0),
        }
        // SAFETY: at least so many have been written.
        xor_bytes(span, unsafe { work.made(blocks) }.as_flattened());
    }
}

/// XORs `key_stream`, which is at least as long, onto `span`.
#[inline]
#[target_feature(enable = "avx2")]
pub(crate) fn xor_bytes(mut span: Span<'_>, key_stream: &[u8]) {
    debug_assert!(key_stream.len() >= span.len());
    let mut vectors = key_stream.chunks_exact(32);
    while span.len() >= 32
        && let Some(key_stream) = vectors.next()
        && let Some((source, target)) = span.take(32)
    {
        // SAFETY: 32 bytes were taken from the span, and the chunk is 32 bytes long.
        unsafe { xor_256(source, target, _mm256_loadu_si256(key_stream.as_ptr().cast())) };
    }
    let rest = vectors.next().unwrap_or(vectors.remainder());
    for byte in rest {
        let Some((source, target)) = span.take(1) else { break };
        // SAFETY: one byte was taken from the span.
        unsafe { target.write(source.read() ^ byte) };
    }
}

/// XORs one vector from `source` to `target`.
///
/// # Safety
/// 32 bytes are readable at `source` and writable at `target`.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn xor_256(source: *const u8, target: *mut u8, key_stream: __m256i) {
    // SAFETY: as the caller promises; the instructions want no alignment.
    unsafe {
        let text = _mm256_loadu_si256(source.cast());
        _mm256_storeu_si256(target.cast(), _mm256_xor_si256(text, key_stream));
    }
}

/// `2·GROUPS` blocks in the diagonal shape, as far as there is room in `stream`.
#[inline]
#[target_feature(enable = "avx2")]
fn diagonal<const GROUPS: usize>(matrix: &Matrix, counter: u64, stream: &mut [Room]) {
    let mut frame = Aligned::new();
    frame.hold();
    use avx2_256::{step, turn};
    let [a, b, c, d] = diagonals(rows_of_matrix(matrix)).map(|diagonal| _mm256_broadcastsi128_si256(diagonal));
    let (first_a, mut first_b, mut first_c, first_d) = ([a; GROUPS], [b; GROUPS], [c; GROUPS], [d; GROUPS]);
    let low = _mm256_set1_epi64x(0xffff_ffff);
    for (group, (b, c)) in first_b.iter_mut().zip(&mut first_c).enumerate() {
        // The counter's low word is the first lane of c, its high word the second lane of b.
        let block = counter.wrapping_add(2 * group as u64);
        let counters = _mm256_set_epi64x(0, block.wrapping_add(1) as i64, 0, block as i64);
        *c = _mm256_or_si256(*c, _mm256_and_si256(counters, low));
        *b = _mm256_or_si256(*b, _mm256_andnot_si256(low, counters));
    }
    let (mut a, mut b, mut c, mut d) = (first_a, first_b, first_c, first_d);
    for _ in 0..10 {
        diagonal_double_round!(a, b, c, d);
    }
    for (group, pair) in stream.chunks_mut(2).take(GROUPS).enumerate() {
        let a = _mm256_add_epi32(a[group], first_a[group]);
        let b = _mm256_add_epi32(b[group], first_b[group]);
        let c = _mm256_add_epi32(c[group], first_c[group]);
        let d = _mm256_add_epi32(d[group], first_d[group]);
        store_two([a, b, c, d], pair);
    }
}

/// Diagonals of two blocks to bytes, as far as there is room in `pair`.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn store_two([a, b, c, d]: [__m256i; 4], pair: &mut [Room]) {
    // Diagonals to rows: every word stays in its lane.
    let u = _mm256_blend_epi32::<0b1010_1010>(a, d);
    let v = _mm256_blend_epi32::<0b1010_1010>(c, b);
    let w = _mm256_blend_epi32::<0b1010_1010>(b, a);
    let y = _mm256_blend_epi32::<0b1010_1010>(d, c);
    let r0 = _mm256_blend_epi32::<0b1100_1100>(u, v);
    let r1 = _mm256_blend_epi32::<0b1100_1100>(w, y);
    let r2 = _mm256_blend_epi32::<0b1100_1100>(v, u);
    let r3 = _mm256_blend_epi32::<0b1100_1100>(y, w);
    let blocks = [
        [_mm256_permute2x128_si256::<0x20>(r0, r1), _mm256_permute2x128_si256::<0x20>(r2, r3)],
        [_mm256_permute2x128_si256::<0x31>(r0, r1), _mm256_permute2x128_si256::<0x31>(r2, r3)],
    ];
    for (to, halves) in pair.iter_mut().zip(blocks) {
        store_block(to, halves);
    }
}

/// Eight blocks into the front of `stream`.
#[inline]
#[target_feature(enable = "avx2")]
fn sliced_into(matrix: &Matrix, counter: u64, stream: &mut [Room]) {
    sliced(matrix, counter, |index, halves| {
        if let Some(room) = stream.get_mut(index) {
            store_block(room, halves);
        }
    });
}

/// Eight blocks in the word-sliced shape, each handed to `sink` in two halves with its index.
///
/// They go straight from the registers to where they are used: an array of them would be written to the stack and read back.
#[inline]
#[target_feature(enable = "avx2")]
fn sliced(matrix: &Matrix, counter: u64, sink: impl FnMut(usize, [__m256i; 2])) {
    use core::arch::x86_64::{_mm256_set1_epi32 as all, _mm256_xor_si256 as xor};

    use avx2_256::step;
    let mut frame = Aligned::new();
    frame.hold();
    let [low, high] = counters(counter);
    let first = |(index, word): (usize, &u32)| match index {
        8 => low,
        9 => high,
        _ => all(*word as i32),
    };
    let mut x = [low; 16];
    if counter <= ahead::END - SLICE as u64 {
        x = sliced_first_double_round!(&matrix.ahead, low, all, xor);
    } else {
        for (x, word) in x.iter_mut().zip(matrix.words.iter().enumerate()) {
            *x = first(word);
        }
        sliced_double_round!(x);
    }
    for _ in 1..10 {
        sliced_double_round!(x);
    }
    for (x, word) in x.iter_mut().zip(matrix.words.iter().enumerate()) {
        *x = _mm256_add_epi32(*x, first(word));
    }
    transpose(x, sink);
}

/// The low and the high words of the counters of eight blocks.
#[inline]
#[target_feature(enable = "avx2")]
fn counters(counter: u64) -> [__m256i; 2] {
    let step = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    let start = _mm256_set1_epi32(counter as i32);
    let low = _mm256_add_epi32(start, step);
    // low < start, unsigned: the lanes that carried. Minus one each, so subtracted.
    let top = _mm256_set1_epi32(i32::MIN);
    let carried = _mm256_cmpgt_epi32(_mm256_xor_si256(start, top), _mm256_xor_si256(low, top));
    [low, _mm256_sub_epi32(_mm256_set1_epi32((counter >> 32) as i32), carried)]
}

/// Sixteen vectors of one word of eight blocks to eight blocks of sixteen words, handed to `sink` in halves.
#[inline]
#[target_feature(enable = "avx2")]
fn transpose(x: [__m256i; 16], mut sink: impl FnMut(usize, [__m256i; 2])) {
    let mut quads = [[_mm256_setzero_si256(); 4]; 4];
    for (quad, x) in quads.iter_mut().zip(x.as_chunks::<4>().0) {
        let [x0, x1, x2, x3] = *x;
        let (t0, t1) = (_mm256_unpacklo_epi32(x0, x1), _mm256_unpackhi_epi32(x0, x1));
        let (t2, t3) = (_mm256_unpacklo_epi32(x2, x3), _mm256_unpackhi_epi32(x2, x3));
        // quad[j] holds four words of block j in its lower half and of block 4 + j in its upper half.
        *quad = [
            _mm256_unpacklo_epi64(t0, t2),
            _mm256_unpackhi_epi64(t0, t2),
            _mm256_unpacklo_epi64(t1, t3),
            _mm256_unpackhi_epi64(t1, t3),
        ];
    }
    for j in 0..4 {
        let [q0, q1, q2, q3] = quads.map(|quad| quad[j]);
        sink(j, [_mm256_permute2x128_si256::<0x20>(q0, q1), _mm256_permute2x128_si256::<0x20>(q2, q3)]);
        sink(j + 4, [_mm256_permute2x128_si256::<0x31>(q0, q1), _mm256_permute2x128_si256::<0x31>(q2, q3)]);
    }
}
