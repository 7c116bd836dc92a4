//! Salsa20 with 512-bit vectors: four blocks to a vector in the diagonal shape, sixteen in the word-sliced one.
//!
//! Rotations are one instruction here (`vprold`), and thirty-two registers hold the sixteen words of the sliced shape, the
//! four diagonals of a seventeenth block and the temporaries of both.

#![allow(
    clippy::indexing_slicing,
    reason = "arrays of registers, indexed by constants and by loops with constant bounds"
)]

use core::arch::x86_64::*;

use super::avx2::{diagonals, hsalsa20_input, matrix_of_diagonals, rows_of_matrix, store_two};
use super::lanes::{avx512_128, avx512_256, avx512_512, avx512_512_short};
use super::{BLOCK, Matrix, Stream, diagonal_double_round, diagonal_round, sliced_double_round};
use crate::frame::Aligned;
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

/// 64 bytes from any address.
#[inline]
#[target_feature(enable = "avx512f")]
fn load_512(bytes: &[u8; 64]) -> __m512i {
    // SAFETY: 64 readable bytes; the instruction wants no alignment.
    unsafe { _mm512_loadu_si512(bytes.as_ptr().cast()) }
}

/// HSalsa20 of `key` and the first 16 bytes of a nonce, and from it the matrix of Salsa20 with the other 8.
#[inline]
#[target_feature(enable = "avx2,avx512f,avx512vl")]
pub(crate) fn xsalsa20(key: &[u8; 32], input: &[u8; 16], nonce: &[u8; 8], matrix: &mut Matrix) {
    use avx512_128::{step, turn};
    let [mut a, mut b, mut c, mut d] = hsalsa20_input(key, input).map(|diagonal| [diagonal]);
    for _ in 0..10 {
        diagonal_double_round!(a, b, c, d);
    }
    let ([a], [b], [c], [d]) = (a, b, c, d);
    matrix_of_diagonals([a, b, c, d], nonce, matrix);
}

/// The first `blocks` blocks of key stream, at most 6; what stands in `stream` behind them is not specified.
#[inline]
#[target_feature(enable = "avx2,avx512f,avx512vl,avx512bw")]
pub(crate) fn few_blocks(matrix: &Matrix, blocks: usize, stream: &mut Stream<6>) {
    if blocks <= 4 {
        diagonal::<1>(matrix, 0, &mut stream.0);
    } else {
        six(matrix, &mut stream.0);
    }
}

/// The first `blocks` blocks of key stream, at most [`FIRST`]; what stands in `stream` behind them is not specified.
#[inline]
#[target_feature(enable = "avx2,avx512f,avx512vl,avx512bw")]
pub(crate) fn first_blocks<const N: usize>(matrix: &Matrix, blocks: usize, stream: &mut Stream<N>) {
    let mut frame = Aligned::new();
    frame.hold();
    let stream = stream.0.as_mut_slice();
    match blocks {
        0..=8 => diagonal::<2>(matrix, 0, stream),
        9..=12 => diagonal::<3>(matrix, 0, stream),
        _ => seventeen(matrix, stream),
    }
}

/// XORs the key stream from block `counter` on onto `span`.
///
/// The words of one pass are transposed between the rounds of the next: alone, the transposition would wait for the few
/// units that shuffle while the rest is idle.
#[inline]
#[target_feature(enable = "avx2,avx512f,avx512vl,avx512bw")]
pub(crate) fn xor<const N: usize>(matrix: &Matrix, mut counter: u64, mut span: Span<'_>, work: &mut Stream<N>) {
    let Some(words) = work.0.first_chunk_mut::<SLICE>() else { unreachable!() };
    let mut before = None;
    while let Some((source, target)) = span.take(SLICE * BLOCK) {
        let x = match before {
            None => sliced_rounds(matrix, counter, |_| ()),
            Some((source, target)) => sliced_rounds(matrix, counter, |part| {
                // SAFETY: the pointers are good for one pass of bytes, once: those of the pass before.
                unsafe { transpose_part(part, words, source, target) };
            }),
        };
        for (to, x) in words.as_chunks_mut::<4>().0.iter_mut().zip(x.as_chunks::<4>().0) {
            for (to, quad) in to.iter_mut().zip(quads(*x)) {
                store_512(to, quad);
            }
        }
        before = Some((source, target));
        counter = counter.wrapping_add(SLICE as u64);
    }
    if let Some((source, target)) = before {
        for round in 0..4 {
            // SAFETY: as above, for the last pass.
            unsafe { transpose_part(round, words, source, target) };
        }
    }
    if span.len() > 0 {
        match span.len().div_ceil(BLOCK) {
            0..=4 => diagonal::<1>(matrix, counter, &mut work.0),
            5..=8 => diagonal::<2>(matrix, counter, &mut work.0),
            9..=12 => diagonal::<3>(matrix, counter, &mut work.0),
            _ => sliced_into(matrix, counter, &mut work.0),
        }
        xor_bytes(span, work.0.as_flattened());
    }
}

/// Sixteen blocks in the word-sliced shape, not transposed; `between` is done after each double-round.
#[inline]
#[target_feature(enable = "avx512f")]
fn sliced_rounds(matrix: &Matrix, counter: u64, mut between: impl FnMut(usize)) -> [__m512i; SLICE] {
    use avx512_512::step;
    // A load takes a word to all lanes, at the beginning and again at the end. Behind a barrier: what is known to be the same in
    // every pass would be taken out of the loop, and spilled.
    let matrix = core::hint::black_box(matrix);
    let mut x = matrix.0.map(|word| _mm512_set1_epi32(word as i32));
    let [low, high] = counters(counter);
    (x[8], x[9]) = (low, high);
    for part in 0..4 {
        sliced_double_round!(x);
        between(part);
    }
    for _ in 4..10 {
        sliced_double_round!(x);
    }
    let matrix = core::hint::black_box(matrix);
    for (index, (x, word)) in x.iter_mut().zip(&matrix.0).enumerate() {
        let first = match index {
            8 => low,
            9 => high,
            _ => _mm512_set1_epi32(*word as i32),
        };
        *x = _mm512_add_epi32(*x, first);
    }
    x
}

/// The low and the high words of the counters of sixteen blocks.
#[inline]
#[target_feature(enable = "avx512f")]
fn counters(counter: u64) -> [__m512i; 2] {
    let step = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    let high = _mm512_set1_epi32((counter >> 32) as i32);
    let low = _mm512_add_epi32(_mm512_set1_epi32(counter as i32), step);
    let carried = _mm512_cmplt_epu32_mask(low, step);
    [low, _mm512_mask_add_epi32(high, carried, high, _mm512_set1_epi32(1))]
}

/// A quarter of the rest of the transposition of one pass: `words`, quads of the words of four blocks, to blocks, onto the text.
///
/// # Safety
/// A pass of bytes is readable at `source` and writable at `target`.
#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn transpose_part(part: usize, words: &mut [[u8; BLOCK]; SLICE], source: *const u8, target: *mut u8) {
    let j = part;
    let x = [load_512(&words[j]), load_512(&words[j + 4]), load_512(&words[j + 8]), load_512(&words[j + 12])];
    for (quarter, block) in transpose_quarters(x).into_iter().enumerate() {
        let at = (4 * quarter + j) * BLOCK;
        // SAFETY: as the caller promises; `at` + 64 is at most a pass.
        unsafe { xor_512(source.add(at), target.add(at), block) };
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
    // One group waits for its own results, more of them for the vector units.
    if GROUPS == 1 {
        use avx512_512_short::{step, turn};
        for _ in 0..10 {
            diagonal_double_round!(a, b, c, d);
        }
    } else {
        use avx512_512::{step, turn};
        for _ in 0..10 {
            diagonal_double_round!(a, b, c, d);
        }
    }
    for (group, four) in stream.chunks_mut(4).take(GROUPS).enumerate() {
        let a = _mm512_add_epi32(a[group], first_a[group]);
        let b = _mm512_add_epi32(b[group], first_b[group]);
        let c = _mm512_add_epi32(c[group], first_c[group]);
        let d = _mm512_add_epi32(d[group], first_d[group]);
        store_four([a, b, c, d], four);
    }
}

/// Diagonals of four blocks to bytes, as far as there is room in `four`.
#[inline]
#[target_feature(enable = "avx512f")]
fn store_four([a, b, c, d]: [__m512i; 4], four: &mut [[u8; BLOCK]]) {
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

/// Blocks 0 to 5 in the diagonal shape: four in wide vectors, two in narrower ones, which leaves room in the units that shift for
/// the shortest chain of both.
#[inline]
#[target_feature(enable = "avx2,avx512f,avx512vl")]
fn six(matrix: &Matrix, stream: &mut [[u8; BLOCK]; 6]) {
    let (four, two) = stream.split_at_mut(4);
    let rows = diagonals(rows_of_matrix(matrix));
    // The counter is zero: its low word is the first lane of c.
    let mut first = rows.map(|row| _mm512_broadcast_i32x4(row));
    first[2] = _mm512_or_si512(first[2], _mm512_setr_epi64(0, 0, 1, 0, 2, 0, 3, 0));
    let mut first_two = rows.map(|row| _mm256_broadcastsi128_si256(row));
    first_two[2] = _mm256_or_si256(first_two[2], _mm256_setr_epi64x(4, 0, 5, 0));
    let [mut a, mut b, mut c, mut d] = first.map(|x| [x]);
    let [mut e, mut f, mut g, mut h] = first_two.map(|x| [x]);
    for _ in 0..10 {
        {
            use avx512_512_short::{step, turn};
            diagonal_double_round!(a, b, c, d);
        }
        {
            use avx512_256::{step, turn};
            diagonal_double_round!(e, f, g, h);
        }
    }
    let ([a], [b], [c], [d]) = (a, b, c, d);
    let mut done = [a, b, c, d];
    for (done, first) in done.iter_mut().zip(first) {
        *done = _mm512_add_epi32(*done, first);
    }
    store_four(done, four);
    let ([e], [f], [g], [h]) = (e, f, g, h);
    let mut done = [e, f, g, h];
    for (done, first) in done.iter_mut().zip(first_two) {
        *done = _mm256_add_epi32(*done, first);
    }
    store_two(done, two);
}

/// Sixteen blocks into the front of `stream`.
#[inline]
#[target_feature(enable = "avx512f")]
fn sliced_into(matrix: &Matrix, counter: u64, stream: &mut [[u8; BLOCK]]) {
    sliced(matrix, counter, |index, block| {
        if let Some(to) = stream.get_mut(index) {
            store_512(to, block);
        }
    });
}

/// Sixteen blocks in the word-sliced shape, each handed to `sink` with its index.
///
/// They go straight from the registers to where they are used: an array of them would be written to the stack and read back.
#[inline]
#[target_feature(enable = "avx512f")]
fn sliced(matrix: &Matrix, counter: u64, sink: impl FnMut(usize, __m512i)) {
    use avx512_512::step;
    let first = sliced_input(matrix, counter);
    let mut x = first;
    for _ in 0..10 {
        sliced_double_round!(x);
    }
    for (x, first) in x.iter_mut().zip(first) {
        *x = _mm512_add_epi32(*x, first);
    }
    transpose(x, sink);
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
            use avx512_128::{step, turn};
            diagonal_double_round!(a, b, c, d);
        }
        {
            use avx512_512::step;
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
    transpose(x, |index, block| {
        if let Some(to) = stream.get_mut(index) {
            store_512(to, block);
        }
    });
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
    [x[8], x[9]] = counters(counter);
    x
}

/// Sixteen vectors of one word of sixteen blocks to sixteen blocks of sixteen words, handed to `sink` with their indices.
#[inline]
#[target_feature(enable = "avx512f")]
fn transpose(x: [__m512i; 16], mut sink: impl FnMut(usize, __m512i)) {
    let mut all = [[_mm512_setzero_si512(); 4]; 4];
    for (to, x) in all.iter_mut().zip(x.as_chunks::<4>().0) {
        *to = quads(*x);
    }
    for j in 0..4 {
        for (quarter, block) in transpose_quarters(all.map(|quad| quad[j])).into_iter().enumerate() {
            sink(4 * quarter + j, block);
        }
    }
}

/// One word of sixteen blocks in each of four vectors, to four words of four blocks in each: result j holds blocks j, 4 + j, 8 + j
/// and 12 + j.
#[inline]
#[target_feature(enable = "avx512f")]
fn quads([x0, x1, x2, x3]: [__m512i; 4]) -> [__m512i; 4] {
    let (t0, t1) = (_mm512_unpacklo_epi32(x0, x1), _mm512_unpackhi_epi32(x0, x1));
    let (t2, t3) = (_mm512_unpacklo_epi32(x2, x3), _mm512_unpackhi_epi32(x2, x3));
    [
        _mm512_unpacklo_epi64(t0, t2),
        _mm512_unpackhi_epi64(t0, t2),
        _mm512_unpacklo_epi64(t1, t3),
        _mm512_unpackhi_epi64(t1, t3),
    ]
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
