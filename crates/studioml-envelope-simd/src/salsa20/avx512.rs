//! Salsa20 with 512-bit vectors: four blocks to a vector in the diagonal shape, sixteen in the word-sliced one.
//!
//! Rotations are one instruction here (`vprold`), and thirty-two registers hold the sixteen words of the sliced shape, the
//! four diagonals of a seventeenth block and the temporaries of both.

#![allow(
    clippy::indexing_slicing,
    reason = "arrays of registers, indexed by constants and by loops with constant bounds"
)]

use core::arch::x86_64::*;

use super::avx2::{diagonals, hsalsa20_input, matrix_of_diagonals, rows_of_matrix};
use super::lanes::{avx512_128, avx512_512};
use super::{BLOCK, Matrix, Stream, diagonal_double_round, diagonal_round, sliced_double_round};
use crate::span::Span;

/// Blocks that [`first_blocks`] gives at most.
pub(crate) const FIRST: usize = 17;

/// Blocks in one sliced pass.
const SLICE: usize = 16;

/// 64 bytes to any address.
#[inline]
#[target_feature(enable = "avx512f")]
fn store_512(bytes: &mut [u8; 64], x: __m512i) {
    // SAFETY: 64 writable bytes; the instruction wants no alignment.
    unsafe { _mm512_storeu_si512(bytes.as_mut_ptr().cast(), x) }
}

/// HSalsa20 of `key` and the first 16 bytes of a nonce, and from it the matrix of Salsa20 with the other 8.
#[inline]
#[target_feature(enable = "avx2,avx512f,avx512vl")]
pub(crate) fn xsalsa20(key: &[u8; 32], input: &[u8; 16], nonce: &[u8; 8], matrix: &mut Matrix) {
    use avx512_128::{add, rotate, turn, xor};
    let [mut a, mut b, mut c, mut d] = hsalsa20_input(key, input).map(|diagonal| [diagonal]);
    for _ in 0..10 {
        diagonal_double_round!(a, b, c, d);
    }
    let ([a], [b], [c], [d]) = (a, b, c, d);
    matrix_of_diagonals([a, b, c, d], nonce, matrix);
}

/// The first `blocks` blocks of key stream, at most [`FIRST`]; what stands in `stream` behind them is not specified.
#[inline]
#[target_feature(enable = "avx2,avx512f,avx512vl,avx512bw")]
pub(crate) fn first_blocks<const N: usize>(matrix: &Matrix, blocks: usize, stream: &mut Stream<N>) {
    let stream = stream.0.as_mut_slice();
    match blocks {
        0..=4 => diagonal::<1>(matrix, 0, stream),
        5..=8 => diagonal::<2>(matrix, 0, stream),
        9..=12 => diagonal::<3>(matrix, 0, stream),
        _ => seventeen(matrix, stream),
    }
}

/// XORs the key stream from block `counter` on onto `span`.
#[inline]
#[target_feature(enable = "avx2,avx512f,avx512vl,avx512bw")]
pub(crate) fn xor(matrix: &Matrix, mut counter: u64, mut span: Span<'_>) {
    while let Some((source, target)) = span.take(SLICE * BLOCK) {
        for (index, key_stream) in sliced(matrix, counter).into_iter().enumerate() {
            let at = index * BLOCK;
            // SAFETY: `at` + 64 is at most the length taken from the span.
            unsafe { xor_512(source.add(at), target.add(at), key_stream) };
        }
        counter = counter.wrapping_add(SLICE as u64);
    }
    if span.len() > 0 {
        let mut stream = Stream::<SLICE>([[0; BLOCK]; SLICE]);
        match span.len().div_ceil(BLOCK) {
            0..=4 => diagonal::<1>(matrix, counter, &mut stream.0),
            5..=8 => diagonal::<2>(matrix, counter, &mut stream.0),
            9..=12 => diagonal::<3>(matrix, counter, &mut stream.0),
            _ => sliced_into(matrix, counter, &mut stream.0),
        }
        xor_bytes(span, stream.0.as_flattened());
    }
}

/// XORs `key_stream`, which is at least as long, onto `span`.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
pub(crate) fn xor_bytes(mut span: Span<'_>, key_stream: &[u8]) {
    debug_assert!(key_stream.len() >= span.len());
    let mut vectors = key_stream.chunks_exact(BLOCK);
    while span.len() >= BLOCK
        && let Some(key_stream) = vectors.next()
        && let Some((source, target)) = span.take(BLOCK)
    {
        // SAFETY: 64 bytes were taken from the span, and the chunk is 64 bytes long.
        unsafe { xor_512(source, target, _mm512_loadu_si512(key_stream.as_ptr().cast())) };
    }
    let rest = vectors.next().unwrap_or(vectors.remainder());
    let len = span.len().min(rest.len()) % BLOCK;
    if let Some((source, target)) = span.take(len) {
        let mask = (1_u64 << len) - 1;
        // SAFETY: the mask has a bit for each of the bytes that were taken from the span and are in `rest`; bytes without a bit
        // are neither read nor written.
        unsafe {
            let text = _mm512_maskz_loadu_epi8(mask, source.cast());
            let key_stream = _mm512_maskz_loadu_epi8(mask, rest.as_ptr().cast());
            _mm512_mask_storeu_epi8(target.cast(), mask, _mm512_xor_si512(text, key_stream));
        }
    }
}

/// XORs one vector from `source` to `target`.
///
/// # Safety
/// 64 bytes are readable at `source` and writable at `target`.
#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn xor_512(source: *const u8, target: *mut u8, key_stream: __m512i) {
    // SAFETY: as the caller promises; the instructions want no alignment.
    unsafe {
        let text = _mm512_loadu_si512(source.cast());
        _mm512_storeu_si512(target.cast(), _mm512_xor_si512(text, key_stream));
    }
}

/// `4·GROUPS` blocks in the diagonal shape, as far as there is room in `stream`.
#[inline]
#[target_feature(enable = "avx2,avx512f")]
fn diagonal<const GROUPS: usize>(matrix: &Matrix, counter: u64, stream: &mut [[u8; BLOCK]]) {
    use avx512_512::{add, rotate, turn, xor};
    let [a, b, c, d] = diagonals(rows_of_matrix(matrix)).map(|diagonal| _mm512_broadcast_i32x4(diagonal));
    let (first_a, mut first_b, mut first_c, first_d) = ([a; GROUPS], [b; GROUPS], [c; GROUPS], [d; GROUPS]);
    let step = _mm512_setr_epi64(0, 0, 1, 0, 2, 0, 3, 0);
    for (group, (b, c)) in first_b.iter_mut().zip(&mut first_c).enumerate() {
        // The counter's low word is the first lane of c, its high word the second lane of b.
        let block = _mm512_set1_epi64(counter.wrapping_add(4 * group as u64) as i64);
        let counters = _mm512_maskz_add_epi64(0b0101_0101, block, step);
        *c = _mm512_mask_mov_epi32(*c, 0x1111, counters);
        *b = _mm512_mask_mov_epi32(*b, 0x2222, counters);
    }
    let (mut a, mut b, mut c, mut d) = (first_a, first_b, first_c, first_d);
    for _ in 0..10 {
        diagonal_double_round!(a, b, c, d);
    }
    for (group, four) in stream.chunks_mut(4).take(GROUPS).enumerate() {
        let a = add(a[group], first_a[group]);
        let b = add(b[group], first_b[group]);
        let c = add(c[group], first_c[group]);
        let d = add(d[group], first_d[group]);
        // Diagonals to rows: every word stays in its lane.
        let u = _mm512_mask_blend_epi32(0xaaaa, a, d);
        let v = _mm512_mask_blend_epi32(0xaaaa, c, b);
        let w = _mm512_mask_blend_epi32(0xaaaa, b, a);
        let y = _mm512_mask_blend_epi32(0xaaaa, d, c);
        let rows = [
            _mm512_mask_blend_epi32(0xcccc, u, v),
            _mm512_mask_blend_epi32(0xcccc, w, y),
            _mm512_mask_blend_epi32(0xcccc, v, u),
            _mm512_mask_blend_epi32(0xcccc, y, w),
        ];
        for (to, block) in four.iter_mut().zip(transpose_quarters(rows)) {
            store_512(to, block);
        }
    }
}

/// Sixteen blocks into the front of `stream`.
#[inline]
#[target_feature(enable = "avx512f")]
fn sliced_into(matrix: &Matrix, counter: u64, stream: &mut [[u8; BLOCK]]) {
    for (to, block) in stream.iter_mut().zip(sliced(matrix, counter)) {
        store_512(to, block);
    }
}

/// Sixteen blocks in the word-sliced shape.
#[inline]
#[target_feature(enable = "avx512f")]
fn sliced(matrix: &Matrix, counter: u64) -> [__m512i; SLICE] {
    use avx512_512::{add, rotate, xor};
    let first = sliced_input(matrix, counter);
    let mut x = first;
    for _ in 0..10 {
        sliced_double_round!(x);
    }
    for (x, first) in x.iter_mut().zip(first) {
        *x = add(*x, first);
    }
    transpose(x)
}

/// Blocks 0 to 16 into the front of `stream`: block 0 in the diagonal shape, which is short of work for the vector units,
/// beside sixteen others in the sliced shape, which is not.
#[inline]
#[target_feature(enable = "avx2,avx512f,avx512vl")]
fn seventeen(matrix: &Matrix, stream: &mut [[u8; BLOCK]]) {
    let Some((block_0, stream)) = stream.split_first_mut() else { return };
    let first_x = sliced_input(matrix, 1);
    let first_diagonals = diagonals(rows_of_matrix(matrix));
    let mut x = first_x;
    let [mut a, mut b, mut c, mut d] = first_diagonals.map(|diagonal| [diagonal]);
    for _ in 0..10 {
        {
            use avx512_128::{add, rotate, turn, xor};
            diagonal_double_round!(a, b, c, d);
        }
        {
            use avx512_512::{add, rotate, xor};
            sliced_double_round!(x);
        }
    }
    let ([a], [b], [c], [d]) = (a, b, c, d);
    let mut done = [a, b, c, d];
    for (done, first) in done.iter_mut().zip(first_diagonals) {
        *done = _mm_add_epi32(*done, first);
    }
    for (to, row) in block_0.as_chunks_mut::<16>().0.iter_mut().zip(rows(done)) {
        // SAFETY: 16 writable bytes; the instruction wants no alignment.
        unsafe { _mm_storeu_si128(to.as_mut_ptr().cast(), row) };
    }
    for (x, first) in x.iter_mut().zip(first_x) {
        *x = _mm512_add_epi32(*x, first);
    }
    for (to, block) in stream.iter_mut().zip(transpose(x)) {
        store_512(to, block);
    }
}

/// Diagonals to rows: every word stays in its lane.
#[inline]
#[target_feature(enable = "avx2")]
fn rows([a, b, c, d]: [__m128i; 4]) -> [__m128i; 4] {
    let u = _mm_blend_epi32::<0b1010>(a, d);
    let v = _mm_blend_epi32::<0b1010>(c, b);
    let w = _mm_blend_epi32::<0b1010>(b, a);
    let y = _mm_blend_epi32::<0b1010>(d, c);
    [
        _mm_blend_epi32::<0b1100>(u, v),
        _mm_blend_epi32::<0b1100>(w, y),
        _mm_blend_epi32::<0b1100>(v, u),
        _mm_blend_epi32::<0b1100>(y, w),
    ]
}

/// Every word of the matrix in all lanes, and the counters of sixteen blocks.
#[inline]
#[target_feature(enable = "avx512f")]
fn sliced_input(matrix: &Matrix, counter: u64) -> [__m512i; 16] {
    let mut x = matrix.0.map(|word| _mm512_set1_epi32(word as i32));
    let step = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    let high = _mm512_set1_epi32((counter >> 32) as i32);
    x[8] = _mm512_add_epi32(_mm512_set1_epi32(counter as i32), step);
    let carried = _mm512_cmplt_epu32_mask(x[8], step);
    x[9] = _mm512_mask_add_epi32(high, carried, high, _mm512_set1_epi32(1));
    x
}

/// Sixteen vectors of one word of sixteen blocks to sixteen blocks of sixteen words.
#[inline]
#[target_feature(enable = "avx512f")]
fn transpose(x: [__m512i; 16]) -> [__m512i; SLICE] {
    let mut quads = [[_mm512_setzero_si512(); 4]; 4];
    for (quad, x) in quads.iter_mut().zip(x.as_chunks::<4>().0) {
        let [x0, x1, x2, x3] = *x;
        let (t0, t1) = (_mm512_unpacklo_epi32(x0, x1), _mm512_unpackhi_epi32(x0, x1));
        let (t2, t3) = (_mm512_unpacklo_epi32(x2, x3), _mm512_unpackhi_epi32(x2, x3));
        // quad[j] holds four words of blocks j, 4 + j, 8 + j and 12 + j, one in each quarter.
        *quad = [
            _mm512_unpacklo_epi64(t0, t2),
            _mm512_unpackhi_epi64(t0, t2),
            _mm512_unpacklo_epi64(t1, t3),
            _mm512_unpackhi_epi64(t1, t3),
        ];
    }
    let mut blocks = [_mm512_setzero_si512(); SLICE];
    for j in 0..4 {
        [blocks[j], blocks[j + 4], blocks[j + 8], blocks[j + 12]] = transpose_quarters(quads.map(|quad| quad[j]));
    }
    blocks
}

/// A 4×4 matrix of 128-bit quarters, transposed.
#[inline]
#[target_feature(enable = "avx512f")]
fn transpose_quarters([q0, q1, q2, q3]: [__m512i; 4]) -> [__m512i; 4] {
    let low_01 = _mm512_shuffle_i32x4::<0b01_00_01_00>(q0, q1);
    let high_01 = _mm512_shuffle_i32x4::<0b11_10_11_10>(q0, q1);
    let low_23 = _mm512_shuffle_i32x4::<0b01_00_01_00>(q2, q3);
    let high_23 = _mm512_shuffle_i32x4::<0b11_10_11_10>(q2, q3);
    [
        _mm512_shuffle_i32x4::<0b10_00_10_00>(low_01, low_23),
        _mm512_shuffle_i32x4::<0b11_01_11_01>(low_01, low_23),
        _mm512_shuffle_i32x4::<0b10_00_10_00>(high_01, high_23),
        _mm512_shuffle_i32x4::<0b11_01_11_01>(high_01, high_23),
    ]
}
