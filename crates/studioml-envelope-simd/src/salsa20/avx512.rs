//! Salsa20 with 512-bit vectors: four blocks to a vector in the diagonal shape, sixteen in the word-sliced one.
//!
//! Rotations are one instruction here (`vprold`), and thirty-two registers hold the sixteen words of the sliced shape, the
//! four diagonals of a seventeenth block and the temporaries of both.

#![allow(
    clippy::indexing_slicing,
    reason = "arrays of registers, indexed by constants and by loops with constant bounds"
)]

use core::arch::x86_64::*;

use super::ahead::{self, sliced_first_double_round};
use super::avx2::{diagonals, hsalsa20_input, matrix_of_diagonals, rows_of_matrix, store_two};
use super::lanes::{avx512_128, avx512_256, avx512_512, avx512_512_short};
use super::{BLOCK, MAC_KEY, Matrix, Room, Stream, diagonal_double_round, diagonal_round, sliced_double_round};
use crate::flow::blocks;
use crate::frame::Aligned;
use crate::poly1305::avx512::{Mac, POWERS};
use crate::span::Span;

/// Blocks that [`begin`] makes at most.
pub(crate) const FIRST: usize = 1 + SLICE;

/// Blocks in one sliced pass, and their bytes.
const SLICE: usize = 16;
const PASS: usize = SLICE * BLOCK;

/// Double-rounds of Salsa20/20.
const ROUNDS: usize = 10;

/// 64 bytes to any address.
#[inline]
#[target_feature(enable = "avx512f")]
fn store_512(room: &mut Room, x: __m512i) {
    // SAFETY: 64 writable bytes; the instruction wants no alignment.
    unsafe { _mm512_storeu_si512(room.as_mut_ptr().cast(), x) }
}

/// 64 bytes from any address.
///
/// # Safety
/// They have been written.
#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn load_512(room: &Room) -> __m512i {
    // SAFETY: as the caller promises; the instruction wants no alignment.
    unsafe { _mm512_loadu_si512(room.as_ptr().cast()) }
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

/// The first blocks of key stream that a message of `len` bytes needs, or [`FIRST`] if that are fewer, for [`xor_first`], and the
/// beginning of its MAC. From [`SLICED`] on there are block 0 and the words of sixteen others, not transposed.
#[inline]
#[target_feature(enable = "avx2,avx512f,avx512vl,avx512bw,avx512ifma")]
pub(crate) fn begin(matrix: &mut Matrix, len: usize, stream: &mut Stream<FIRST>, mac: &mut Mac) {
    let mut frame = Aligned::new();
    frame.hold();
    let blocks = blocks(len);
    if blocks >= SLICED {
        matrix.look_ahead();
        return seventeen(matrix, len, stream, mac);
    }
    if blocks <= 8 {
        diagonal::<2>(matrix, 0, &mut stream.0);
    } else {
        diagonal::<3>(matrix, 0, &mut stream.0);
    }
    // SAFETY: block 0 has just been written.
    mac.begin(unsafe { stream.mac_key() }, len);
}

/// How many blocks the sliced shape makes faster than the diagonal one.
const SLICED: usize = 13;

/// Words of sixteen blocks, or the blocks.
type Words = [Room; SLICE];

/// Block 0, and the sixteen behind it.
#[inline]
fn parts(stream: &mut Stream<FIRST>) -> (&mut Room, &mut Words) {
    let [block_0, words @ ..] = &mut stream.0;
    (block_0, words)
}

/// XORs onto `span`, the beginning of a message, what [`begin`] has made, and the key stream behind it.
///
/// # Safety
/// That has been called for a message that `span` is the whole of, or of which it covers [`FIRST`] blocks.
#[inline]
#[target_feature(enable = "avx2,avx512f,avx512vl,avx512bw")]
pub(crate) unsafe fn xor_first(matrix: &Matrix, mut span: Span<'_>, stream: &mut Stream<FIRST>) {
    let len = span.len();
    if len < FIRST * BLOCK - MAC_KEY {
        let blocks = (len + MAC_KEY).div_ceil(BLOCK);
        if blocks >= SLICED {
            // SAFETY: from that many blocks on there are words of all.
            unsafe { transpose(parts(stream).1) };
        }
        // SAFETY: `begin` has made so many.
        return xor_bytes(span, unsafe { stream.behind_mac_key(blocks) });
    }
    // SAFETY: `begin` has made block 0.
    xor_bytes(span.take_up_to(BLOCK - MAC_KEY), unsafe { stream.behind_mac_key(1) });
    let (_, words) = parts(stream);
    let before = span.take(PASS);
    // SAFETY: the words belong to the bytes that were taken.
    unsafe { passes(matrix, FIRST as u64, before, span, words) };
}

/// XORs the key stream from block `counter` on onto `span`.
#[inline]
#[target_feature(enable = "avx2,avx512f,avx512vl,avx512bw")]
pub(crate) fn xor(matrix: &Matrix, counter: u64, span: Span<'_>, work: &mut Stream<FIRST>) {
    let (_, words) = parts(work);
    // SAFETY: there are no words yet that belong anywhere.
    unsafe { passes(matrix, counter, None, span, words) };
}

/// [`xor`], after what stands in `words` if `before` says where that belongs.
///
/// The words of one pass are transposed between the rounds of the next: alone, the transposition would wait for the few
/// units that shuffle while the rest is idle.
///
/// # Safety
/// If there is a `before`, a pass of bytes is readable at its first pointer and writable at its second, and `words` has
/// been written.
#[inline]
#[target_feature(enable = "avx2,avx512f,avx512vl,avx512bw")]
unsafe fn passes(
    matrix: &Matrix,
    mut counter: u64,
    mut before: Option<(*const u8, *mut u8)>,
    mut span: Span<'_>,
    words: &mut Words,
) {
    let sliced = |counter: u64, len: usize| counter <= ahead::END - SLICE as u64 && len > (SLICED - 1) * BLOCK;
    if before.is_none() && sliced(counter, span.len()) {
        store_words(sliced_rounds(matrix, counter, &mut (), |_, _| (), |_, _| ()), words);
        counter += SLICE as u64;
        before = span.take(PASS);
        if before.is_none() {
            // SAFETY: the words have just been written.
            return unsafe { xor_words(span, words) };
        }
    }
    while sliced(counter, span.len())
        && let Some((source, target)) = before
    {
        let x = sliced_rounds(
            matrix,
            counter,
            words,
            // SAFETY: the pointers are those of the pass before, whose words have been written; each part is done once.
            |words, part| unsafe { xor_part(part, words, source, target) },
            |_, _| (),
        );
        store_words(x, words);
        counter += SLICE as u64;
        before = span.take(PASS);
        if before.is_none() {
            // SAFETY: the words have just been written.
            return unsafe { xor_words(span, words) };
        }
    }
    if let Some((source, target)) = before {
        for part in 0..PARTS {
            // SAFETY: as above, for the last pass.
            unsafe { xor_part(part, words, source, target) };
        }
    }
    // What is less than a pass, and what is behind the blocks that the sliced shape knows.
    while span.len() > 0 {
        let blocks = match span.len().div_ceil(BLOCK) {
            0..=4 => {
                diagonal::<1>(matrix, counter, words);
                4
            }
            5..=8 => {
                diagonal::<2>(matrix, counter, words);
                8
            }
            _ => {
                diagonal::<3>(matrix, counter, words);
                12
            }
        };
        let (made, _) = words.split_at(blocks);
        // SAFETY: each arm has written as many blocks as it says.
        xor_bytes(span.take_up_to(blocks * BLOCK), unsafe { made.assume_init_ref() }.as_flattened());
        counter = counter.wrapping_add(blocks as u64);
    }
}

/// The words of sixteen blocks from `counter` on. Between its ten double-rounds there is room for other work: first
/// [`PARTS`] times for `early`, then [`LATE`] times for `late`, both on what is `beside`.
#[inline]
#[target_feature(enable = "avx512f")]
fn sliced_rounds<T>(
    matrix: &Matrix,
    counter: u64,
    beside: &mut T,
    early: impl Fn(&mut T, usize),
    late: impl Fn(&mut T, usize),
) -> [__m512i; SLICE] {
    use core::arch::x86_64::{_mm512_set1_epi32 as all, _mm512_xor_si512 as xor};

    use avx512_512::step;
    debug_assert!(counter <= ahead::END - SLICE as u64);
    // A load takes a word to all lanes, at the beginning and again at the end. Behind a barrier: what is known to be the same in
    // every pass would be taken out of the loop, and spilled.
    let matrix = core::hint::black_box(matrix);
    let counters =
        _mm512_add_epi32(all(counter as i32), _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15));
    let mut x = sliced_first_double_round!(&matrix.ahead, counters, all, xor);
    for part in 0..PARTS {
        early(beside, part);
        sliced_double_round!(x);
    }
    for part in 0..LATE {
        late(beside, part);
        sliced_double_round!(x);
    }
    let matrix = core::hint::black_box(matrix);
    for (index, (x, word)) in x.iter_mut().zip(&matrix.words).enumerate() {
        *x = _mm512_add_epi32(*x, if index == 8 { counters } else { all(*word as i32) });
    }
    x
}

/// The first step of the transposition: the words of sixteen blocks to quads of words of four blocks each.
#[inline]
#[target_feature(enable = "avx512f")]
fn store_words(x: [__m512i; SLICE], words: &mut Words) {
    for (to, x) in words.as_chunks_mut::<4>().0.iter_mut().zip(x.as_chunks::<4>().0) {
        for (to, quad) in to.iter_mut().zip(quads(*x)) {
            store_512(to, quad);
        }
    }
}

/// The second step is done in so many parts.
const PARTS: usize = 4;

/// Gaps between double-rounds behind those.
const LATE: usize = ROUNDS - 1 - PARTS;

/// One part of the second step: blocks `part`, 4 + `part`, 8 + `part` and 12 + `part`, in order.
///
/// # Safety
/// The words have been written.
#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn part_of_blocks(part: usize, words: &Words) -> [__m512i; 4] {
    // SAFETY: as the caller promises.
    transpose_quarters([0, 4, 8, 12].map(|quad| unsafe { load_512(&words[quad + part]) }))
}

/// One part of the second step, onto the text.
///
/// # Safety
/// A pass of bytes is readable at `source` and writable at `target`, and the words have been written.
#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn xor_part(part: usize, words: &Words, source: *const u8, target: *mut u8) {
    // SAFETY: as the caller promises.
    for (quarter, block) in unsafe { part_of_blocks(part, words) }.into_iter().enumerate() {
        let at = (4 * quarter + part) * BLOCK;
        // SAFETY: as the caller promises; `at` + 64 is at most a pass.
        unsafe { xor_512(source.add(at), target.add(at), block) };
    }
}

/// The second step in place: a part reads the places that it writes.
///
/// # Safety
/// The words have been written.
#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn transpose(words: &mut Words) {
    for part in 0..PARTS {
        // SAFETY: as the caller promises.
        for (quarter, block) in unsafe { part_of_blocks(part, words) }.into_iter().enumerate() {
            store_512(&mut words[4 * quarter + part], block);
        }
    }
}

/// XORs the blocks that the words are onto `span`, the end of a message, which is shorter.
///
/// # Safety
/// The words have been written.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
unsafe fn xor_words(span: Span<'_>, words: &mut Words) {
    // SAFETY: as the caller promises.
    unsafe {
        transpose(words);
        xor_bytes(span, words.assume_init_ref().as_flattened());
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
fn diagonal<const GROUPS: usize>(matrix: &Matrix, counter: u64, stream: &mut [Room]) {
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
fn store_four([a, b, c, d]: [__m512i; 4], four: &mut [Room]) {
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
fn six(matrix: &Matrix, stream: &mut [Room; 6]) {
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

/// Block 0 in the diagonal shape and the powers of r that it gives, which wait for their own results, beside the words of the
/// sixteen blocks behind it in the sliced shape, which wait for the vector units.
#[inline]
#[target_feature(enable = "avx2,avx512f,avx512vl,avx512ifma")]
fn seventeen(matrix: &Matrix, len: usize, stream: &mut Stream<FIRST>, mac: &mut Mac) {
    use avx512_128::{step, turn};
    const { assert!(2 + 2 * PARTS == ROUNDS && LATE < POWERS) };
    let first = diagonals(rows_of_matrix(matrix));
    let rounds = |diagonals: &mut [__m128i; 4]| {
        let [mut a, mut b, mut c, mut d] = diagonals.map(|diagonal| [diagonal]);
        for _ in 0..2 {
            diagonal_double_round!(a, b, c, d);
        }
        *diagonals = [a[0], b[0], c[0], d[0]];
    };
    let mut diagonals = first;
    rounds(&mut diagonals);
    let mut beside = (diagonals, stream, mac);
    let x = sliced_rounds(
        matrix,
        1,
        &mut beside,
        |(diagonals, stream, mac), part| {
            rounds(diagonals);
            if part == PARTS - 1 {
                for (done, first) in diagonals.iter_mut().zip(first) {
                    *done = _mm_add_epi32(*done, first);
                }
                store_rows(rows(*diagonals), parts(stream).0);
                // SAFETY: block 0 has just been written.
                mac.begin_powers(unsafe { stream.mac_key() }, len);
            }
        },
        // Behind a barrier: what is between two products is to stand in memory, not to push the words from their registers.
        |(_, _, mac), part| core::hint::black_box(&mut **mac).make_powers(part),
    );
    let (_, stream, mac) = beside;
    store_words(x, parts(stream).1);
    for step in LATE..POWERS {
        mac.make_powers(step);
    }
    mac.end_powers(POWERS);
}

/// Four rows, a block.
#[inline]
#[target_feature(enable = "avx2")]
fn store_rows(rows: [__m128i; 4], room: &mut Room) {
    for (index, row) in rows.into_iter().enumerate() {
        // SAFETY: four times 16 writable bytes; the instruction wants no alignment.
        unsafe { _mm_storeu_si128(room.as_mut_ptr().cast::<__m128i>().add(index), row) };
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
