//! Poly1305 with AVX-512 IFMA: eight blocks at a time, one per lane, in radix 2⁴⁴.
//!
//! A number is l₀ + 2⁴⁴l₁ + 2⁸⁸l₂ with l₀, l₁ of about 44 and l₂ of about 42 bits. `vpmadd52luq` and `vpmadd52huq` multiply
//! the low 52 bits of two lanes and add the low or the high 52 bits of the product to a third: **whatever an operand has
//! above bit 51 is lost without a sign**. Why no operand ever has:
//!
//! Call a number *carried* if l₀ < 2⁴⁴, l₁ < 2⁴⁴ + 2¹⁴ and l₂ < 2⁴². Multipliers (powers of r) are carried. A reduction sums
//! up to eight products: of one other factor that is a carried number plus a block ([`group`]: b₀, b₁ < 2⁴⁴, b₂ < 2⁴¹, the bit above the
//! block included), and of up to seven that are blocks alone ([`factor`]: the same block with the low 8 bits of b₁ in b₀ instead, where
//! they count as much, so that b₀ needs no mask: what is above its bit 51 is lost, and may be):
//!
//! | | l₀ | l₁ | l₂ |
//! |---|---|---|---|
//! | carried + block: a | < 2⁴⁵ | < 2⁴⁵·⁰¹ | < 2⁴²·⁶ |
//! | block alone: b | < 2⁵² | < 2⁴⁴ | < 2⁴¹ |
//! | carried: r | < 2⁴⁴ | < 2⁴⁴·⁰¹ | < 2⁴² |
//! | 20·carried: s | | < 2⁴⁸·³⁴ | < 2⁴⁶·³³ |
//!
//! Nothing else reaches 2⁵². (2⁴⁴·2⁸⁸ = 2¹³² ≡ 4·5, hence 20.) The products, summed over one a and seven b:
//!
//! - p₀ = Σ x₀r₀ + x₁s₂ + x₂s₁ < (2⁸⁹ + 2⁹¹·³⁴ + 2⁹⁰·⁹⁴) + 7·(2⁹⁶ + 2⁹⁰·³³ + 2⁸⁹·³⁴) < 2⁹⁹
//! - p₁ = Σ x₀r₁ + x₁r₀ + x₂s₂ < (2⁸⁹·⁰¹ + 2⁸⁹·⁰¹ + 2⁸⁸·⁹³) + 7·(2⁹⁶·⁰¹ + 2⁸⁸ + 2⁸⁷·³³) < 2⁹⁹
//! - p₂ = Σ x₀r₂ + x₁r₁ + x₂r₀ < (2⁸⁷ + 2⁸⁹·⁰² + 2⁸⁶·⁶) + 7·(2⁹⁴ + 2⁸⁸·⁰¹ + 2⁸⁵) < 2⁹⁷
//!
//! are kept as low words, 24 of 52 bits < 2⁵⁶·⁶, and high words h₀, h₁ < 2⁴⁷, h₂ < 2⁴⁵. Then [`Products::carried`]:
//!
//! - t₀ = low₀ and c₀ = (t₀ ≫ 44) + 2⁸h₀ < 2¹³ + 2⁵⁵
//! - t₁ = low₁ + c₀ < 2⁵⁷·¹ and c₁ = (t₁ ≫ 44) + 2⁸h₁ < 2¹⁴ + 2⁵⁵
//! - t₂ = low₂ + c₁ < 2⁵⁷·¹ and c₂ = (t₂ ≫ 42) + 2¹⁰h₂ < 2¹⁶ + 2⁵⁵
//! - l₀ = t₀ mod 2⁴⁴ + 5c₂ < 2⁵⁷·⁴, and what it has above 2⁴⁴, less than 2¹⁴, goes on to l₁
//!
//! so the result is carried again, and no sum reaches 2⁶⁴.

#![allow(
    clippy::indexing_slicing,
    reason = "arrays of registers, indexed by constants and by loops with constant bounds"
)]

use core::arch::x86_64::*;

use zeroize::optimization_barrier;

use super::scalar::{Key, Sum};
use super::{BLOCK, first_group};

/// Blocks in a group.
const LANES: usize = 8;

/// Bytes in a group.
const GROUP: usize = LANES * BLOCK;

/// Groups in a batch, at most: products that are summed before they are carried.
const BATCH: usize = 8;

/// From how many groups on the powers for the largest batch are worth their making.
const LONG: usize = 12;

/// Products that make all powers.
pub(crate) const POWERS: usize = 6;

const M44: i64 = (1 << 44) - 1;
const M42: i64 = (1 << 42) - 1;

/// The bounds above, reckoned from the largest values: a sum or product of larger ones is larger, so nothing exceeds these.
/// What does not hold does not compile.
const _: () = {
    const LANE: u128 = 1 << 64;
    const OPERAND: u128 = 1 << 52;
    let [r0, r1, r2] = [(1 << 44) - 1, (1 << 44) + (1 << 14) - 1, (1 << 42) - 1_u128];
    let [b0, b1, b2] = [(1 << 44) - 1, (1 << 44) - 1, (1 << 41) - 1_u128];
    let [a0, a1, a2] = [r0 + b0, r1 + b1, r2 + b2];
    // A factor's first limb is as large as an operand gets.
    let f0 = OPERAND - 1;
    let [s1, s2] = [20 * r1, 20 * r2];
    assert!(a0 < OPERAND && a1 < OPERAND && a2 < OPERAND && s1 < OPERAND && s2 < OPERAND);

    let factors = BATCH as u128 - 1;
    let p0 = a0 * r0 + a1 * s2 + a2 * s1 + factors * (f0 * r0 + b1 * s2 + b2 * s1);
    let p1 = a0 * r1 + a1 * r0 + a2 * s2 + factors * (f0 * r1 + b1 * r0 + b2 * s2);
    let p2 = a0 * r2 + a1 * r1 + a2 * r0 + factors * (f0 * r2 + b1 * r1 + b2 * r0);
    assert!(p0 < 1 << 99 && p1 < 1 << 99 && p2 < 1 << 97);

    let low = 3 * (factors + 1) * (OPERAND - 1);
    let [h0, h1, h2] = [p0 >> 52, p1 >> 52, p2 >> 52];
    let t0 = low;
    let c0 = (t0 >> 44) + (h0 << 8);
    let t1 = low + c0;
    let c1 = (t1 >> 44) + (h1 << 8);
    let t2 = low + c1;
    let c2 = (t2 >> 42) + (h2 << 10);
    let l0 = (M44 as u128) + 5 * c2;
    assert!(t0 < LANE && t1 < LANE && t2 < LANE && l0 < LANE);
    // Carried again: the first and the last limb are masked, the middle one is not.
    assert!((M44 as u128) + (l0 >> 44) <= r1);

    // Eight lanes added are what the scalar end takes.
    assert!(8 * r1 < 1 << 50);
};

/// Eight numbers in three limbs.
type Limbs = [__m512i; 3];

/// Eight multipliers: the limbs of r, and 20 times the upper two.
#[derive(Clone, Copy)]
struct Multiplier {
    r: Limbs,
    s1: __m512i,
    s2: __m512i,
}

/// A MAC in the making.
#[repr(C, align(64))]
pub(crate) struct Mac {
    /// Eight sums, of every eighth block each.
    sums: Limbs,
    /// r⁸ to r¹, in the lanes of the blocks that they belong to.
    last: Limbs,
    /// r⁸, r¹⁶ … r⁶⁴, one per lane.
    by: Multiplier,
    /// How many of them there are: groups in a batch.
    batch: usize,
    key: Key,
    /// Bytes of the first group, 0 when it has gone in.
    first: usize,
}

impl Default for Mac {
    #[inline(always)]
    fn default() -> Self {
        // SAFETY: vectors and integers of which every bit pattern is valid.
        unsafe { core::mem::zeroed() }
    }
}

impl Drop for Mac {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: vectors and integers of which every bit pattern is valid.
        unsafe { core::ptr::from_mut(self).write_bytes(0, 1) };
        optimization_barrier(self);
    }
}

impl Mac {
    /// Begins with a message of `len` bytes, at least one. In place: a struct that is returned may be copied, and the
    /// copy is not wiped.
    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma")]
    pub(crate) fn begin(&mut self, key: &[u8; 32], len: usize) {
        let steps = if len / GROUP < LONG { 4 } else { POWERS };
        self.begin_powers(key, len);
        for step in 0..steps {
            self.make_powers(step);
        }
        self.end_powers(steps);
    }

    /// [`begin`](Self::begin), for whoever has other work to do beside it: then come [`make_powers`](Self::make_powers), [`POWERS`]
    /// times, and [`end_powers`](Self::end_powers). Each waits for the one before.
    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma")]
    pub(crate) fn begin_powers(&mut self, key: &[u8; 32], len: usize) {
        let key = Key::new(key);
        let [r0, r1] = key.r;
        let r = [r0 as i64 & M44, (r0 >> 44 | r1 << 20) as i64 & M44, (r1 >> 24) as i64]
            .map(|limb| _mm512_set1_epi64(limb));
        self.sums = zero();
        self.last = r;
        self.by = Multiplier::new(r);
        self.key = key;
        self.first = first_group(len, LANES);
    }

    /// A product for the powers of r. Three make r to r⁸ of r in all lanes, and three more r⁸ to r⁶⁴ of r⁸:
    /// x becomes x and x² by x; these become x to x⁴ by x²; these x to x⁸ by x⁴. What is multiplied by stands in all lanes.
    ///
    /// The first row is made in `last`, the second in `sums`; `by` holds what is multiplied by.
    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma")]
    pub(crate) fn make_powers(&mut self, step: usize) {
        // Before the eighth power there is none to go on with.
        let row = if step < POWERS / 2 { &mut self.last } else { &mut self.sums };
        let mut products = Products::zero();
        products.add(*row, &self.by);
        let product = products.carried();
        let top = match step % 3 {
            0 => {
                *row = blend(0b1010_1010, *row, product);
                product
            }
            1 => {
                *row = blend(0b1100_1100, *row, product);
                product.map(|x| _mm512_unpackhi_epi64(x, x))
            }
            _ => {
                *row = blend(0b1111_0000, *row, product);
                product.map(|x| _mm512_permutex_epi64::<0b11_11_11_11>(x))
            }
        };
        self.by = Multiplier::new(top);
        if step == POWERS / 2 - 1 {
            self.sums = top;
        }
    }

    /// After so many products, 4 or [`POWERS`].
    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma")]
    pub(crate) fn end_powers(&mut self, steps: usize) {
        // Lanes as `blocks` loads them: 0 4 1 5 2 6 3 7, so powers 8 4 7 3 6 2 5 1.
        let order = _mm512_setr_epi64(7, 3, 6, 2, 5, 1, 4, 0);
        self.last = self.last.map(|limb| _mm512_permutexvar_epi64(order, limb));
        self.by = Multiplier::new(self.sums);
        self.batch = if steps < POWERS { 2 } else { BATCH };
        self.sums = zero();
    }

    /// Takes whole groups off the front of `ciphertext`, and returns how many bytes that was.
    ///
    /// Wants at least the first group the first time, and less than the whole message unless that is whole blocks.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512ifma")]
    pub(crate) fn update(&mut self, ciphertext: &[u8]) -> usize {
        let mut sums = self.sums;
        let (first, rest) = ciphertext.split_at(self.first.min(ciphertext.len()));
        if !first.is_empty() {
            sums = group_at_end(first);
            self.first = 0;
        }
        let (mut groups, rest) = rest.as_chunks::<GROUP>();
        while let Some((last, factors)) = groups.split_at(groups.len().min(self.batch)).0.split_last() {
            // Behind a barrier: the powers are to be read from where they are, not copied to the stack before the loop.
            let by = core::hint::black_box(&self.by);
            // One chain of products, in a loop. Two chains without the loop took a tenth fewer cycles on an Intel Xeon (Emerald
            // Rapids), but its clock was 7 % lower after them, and a message of 4 KiB slower in all.
            let mut products = Products::zero();
            for (bytes, power) in factors.iter().zip((0..factors.len()).rev()) {
                products.add(factor(bytes), &by.broadcast(power));
            }
            products.add(sums, &by.broadcast(factors.len()));
            sums = plus(products.carried(), group(last));
            (_, groups) = groups.split_at(factors.len() + 1);
        }
        self.sums = sums;
        ciphertext.len() - rest.len()
    }

    /// The tag, after the `rest` that [`update`](Self::update) has not taken.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512ifma")]
    pub(crate) fn finish(&mut self, rest: &[u8]) -> [u8; 16] {
        let taken = self.update(rest);
        let (_, rest) = rest.split_at(taken);
        if !rest.is_empty() {
            // Less than a group by less than a block: the last one.
            self.sums = plus(multiply(self.sums, &self.by.broadcast(0)), group_at_end(rest));
        }
        let [l0, l1, l2] =
            multiply(self.sums, &Multiplier::new(self.last)).map(|limb| _mm512_reduce_add_epi64(limb) as u64);
        Sum::from_limbs_44(l0, l1, l2).finish(&self.key)
    }
}

impl Multiplier {
    /// That of one lane, below 8, in all of them.
    #[inline]
    #[target_feature(enable = "avx512f")]
    fn broadcast(&self, lane: usize) -> Self {
        debug_assert!(lane < LANES);
        let from = |vector: &__m512i| {
            // SAFETY: a vector is eight words, and the remainder keeps the lane within.
            _mm512_set1_epi64(unsafe { core::ptr::from_ref(vector).cast::<i64>().add(lane % LANES).read() })
        };
        let [r0, r1, r2] = &self.r;
        Self { r: [from(r0), from(r1), from(r2)], s1: from(&self.s1), s2: from(&self.s2) }
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma")]
    fn new(r: Limbs) -> Self {
        // The product is below 2⁵². (Of shifts and additions the compiler makes a multiplication of 64 bits, in five parts.)
        let twenty = |x| _mm512_madd52lo_epu64(_mm512_setzero_si512(), x, _mm512_set1_epi64(20));
        Self { r, s1: twenty(r[1]), s2: twenty(r[2]) }
    }
}

/// Sums of products: low and high 52 bits of each, kept apart.
struct Products {
    low: Limbs,
    high: Limbs,
}

impl Products {
    #[inline]
    #[target_feature(enable = "avx512f")]
    fn zero() -> Self {
        Self { low: zero(), high: zero() }
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma")]
    fn add(&mut self, [a0, a1, a2]: Limbs, by: &Multiplier) {
        let [r0, r1, r2] = by.r;
        let terms =
            [[(a0, r0), (a1, by.s2), (a2, by.s1)], [(a0, r1), (a1, r0), (a2, by.s2)], [(a0, r2), (a1, r1), (a2, r0)]];
        for ((low, high), terms) in self.low.iter_mut().zip(&mut self.high).zip(terms) {
            for (a, r) in terms {
                *low = _mm512_madd52lo_epu64(*low, a, r);
                *high = _mm512_madd52hi_epu64(*high, a, r);
            }
        }
    }

    /// One number per lane again.
    #[inline]
    #[target_feature(enable = "avx512f")]
    fn carried(self) -> Limbs {
        let (m44, m42) = (_mm512_set1_epi64(M44), _mm512_set1_epi64(M42));
        let Self { low: [t0, low1, low2], high: [h0, h1, h2] } = self;
        let c0 = _mm512_add_epi64(_mm512_srli_epi64::<44>(t0), _mm512_slli_epi64::<8>(h0));
        let t1 = _mm512_add_epi64(low1, c0);
        let c1 = _mm512_add_epi64(_mm512_srli_epi64::<44>(t1), _mm512_slli_epi64::<8>(h1));
        let t2 = _mm512_add_epi64(low2, c1);
        let c2 = _mm512_add_epi64(_mm512_srli_epi64::<42>(t2), _mm512_slli_epi64::<10>(h2));
        let five_c2 = _mm512_add_epi64(c2, _mm512_slli_epi64::<2>(c2));
        let l0 = _mm512_add_epi64(_mm512_and_si512(t0, m44), five_c2);
        let l1 = _mm512_add_epi64(_mm512_and_si512(t1, m44), _mm512_srli_epi64::<44>(l0));
        [_mm512_and_si512(l0, m44), l1, _mm512_and_si512(t2, m42)]
    }
}

/// One product. The nine parts of it are made side by side and then added: the shortest chain.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
fn multiply([a0, a1, a2]: Limbs, by: &Multiplier) -> Limbs {
    let [r0, r1, r2] = by.r;
    let sum = |parts: [(__m512i, __m512i); 3]| {
        let zero = _mm512_setzero_si512();
        let [low, high] = [
            parts.map(|(a, r)| _mm512_madd52lo_epu64(zero, a, r)),
            parts.map(|(a, r)| _mm512_madd52hi_epu64(zero, a, r)),
        ]
        .map(|[x, y, z]| _mm512_add_epi64(_mm512_add_epi64(x, y), z));
        (low, high)
    };
    let (low0, high0) = sum([(a0, r0), (a1, by.s2), (a2, by.s1)]);
    let (low1, high1) = sum([(a0, r1), (a1, r0), (a2, by.s2)]);
    let (low2, high2) = sum([(a0, r2), (a1, r1), (a2, r0)]);
    Products { low: [low0, low1, low2], high: [high0, high1, high2] }.carried()
}

#[inline]
#[target_feature(enable = "avx512f")]
fn zero() -> Limbs {
    [_mm512_setzero_si512(); 3]
}

#[inline]
#[target_feature(enable = "avx512f")]
fn plus([a0, a1, a2]: Limbs, [b0, b1, b2]: Limbs) -> Limbs {
    [_mm512_add_epi64(a0, b0), _mm512_add_epi64(a1, b1), _mm512_add_epi64(a2, b2)]
}

/// The lanes of `b` where `lanes` has a bit, of `a` elsewhere.
#[inline]
#[target_feature(enable = "avx512f")]
fn blend(lanes: u8, [a0, a1, a2]: Limbs, [b0, b1, b2]: Limbs) -> Limbs {
    [
        _mm512_mask_blend_epi64(lanes, a0, b0),
        _mm512_mask_blend_epi64(lanes, a1, b1),
        _mm512_mask_blend_epi64(lanes, a2, b2),
    ]
}

/// Eight whole blocks.
#[inline]
#[target_feature(enable = "avx512f")]
fn group(bytes: &[u8; GROUP]) -> Limbs {
    let [front, back] = halves(bytes);
    blocks(front, back, _mm512_set1_epi64(1 << 40))
}

/// Eight whole blocks that are only multiplied: 52 bits of them in the first limb, the second without its low 8.
#[inline]
#[target_feature(enable = "avx512f")]
fn factor(bytes: &[u8; GROUP]) -> Limbs {
    let [front, back] = halves(bytes);
    let low = _mm512_unpacklo_epi64(front, back);
    let high = _mm512_unpackhi_epi64(front, back);
    let middle = _mm512_or_si512(_mm512_srli_epi64::<44>(low), _mm512_slli_epi64::<20>(high));
    let above = _mm512_set1_epi64(1 << 40);
    [
        low,
        _mm512_and_si512(middle, _mm512_set1_epi64(M44 & !0xff)),
        _mm512_or_si512(_mm512_srli_epi64::<24>(high), above),
    ]
}

#[inline]
#[target_feature(enable = "avx512f")]
fn halves(bytes: &[u8; GROUP]) -> [__m512i; 2] {
    let ([front, back], []) = bytes.as_chunks::<64>() else { unreachable!() };
    // SAFETY: 64 readable bytes each; the instruction wants no alignment.
    unsafe { [_mm512_loadu_si512(front.as_ptr().cast()), _mm512_loadu_si512(back.as_ptr().cast())] }
}

/// Up to eight blocks, the last of them perhaps partial, in the last lanes; nothing in the lanes before them.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn group_at_end(bytes: &[u8]) -> Limbs {
    let count = bytes.len().div_ceil(BLOCK).min(LANES);
    let skipped = GROUP - count * BLOCK;
    let start = bytes.as_ptr().wrapping_sub(skipped);
    let present = (u128::MAX >> (GROUP - bytes.len().min(GROUP))) << skipped;
    // SAFETY: the masks have a bit for each byte of `bytes` and for no other; bytes without a bit are not read.
    let (front, back) = unsafe {
        (
            _mm512_maskz_loadu_epi8(present as u64, start.cast()),
            _mm512_maskz_loadu_epi8((present >> 64) as u64, start.wrapping_add(64).cast()),
        )
    };
    let partial = bytes.len() % BLOCK;
    // The 1 bit above a partial block is inside the 16 bytes, above a whole one it is outside.
    let (above, last) = if partial == 0 { (0, 1) } else { (1_u64 << (48 + partial), 0) };
    let back = _mm512_mask_mov_epi8(back, above, _mm512_set1_epi8(1));
    // Lane of block i: 0 4 1 5 2 6 3 7 are the blocks of lanes 0 to 7.
    let order = _mm512_setr_epi64(0, 4, 1, 5, 2, 6, 3, 7);
    let present = _mm512_cmpge_epi64_mask(order, _mm512_set1_epi64((LANES - count) as i64));
    let whole = present & (0b0111_1111 | last << 7);
    blocks(front, back, _mm512_maskz_set1_epi64(whole, 1 << 40))
}

/// Blocks 0 to 3 in `front`, 4 to 7 in `back`, to limbs; `above` is what stands above the sixteen bytes, in the third limb.
#[inline]
#[target_feature(enable = "avx512f")]
fn blocks(front: __m512i, back: __m512i, above: __m512i) -> Limbs {
    let low = _mm512_unpacklo_epi64(front, back);
    let high = _mm512_unpackhi_epi64(front, back);
    let m44 = _mm512_set1_epi64(M44);
    let middle = _mm512_or_si512(_mm512_srli_epi64::<44>(low), _mm512_slli_epi64::<20>(high));
    [_mm512_and_si512(low, m44), _mm512_and_si512(middle, m44), _mm512_or_si512(_mm512_srli_epi64::<24>(high), above)]
}
