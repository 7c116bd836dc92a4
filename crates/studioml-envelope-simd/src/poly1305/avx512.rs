//! Poly1305 with AVX-512 IFMA: eight blocks at a time, one per lane, in radix 2⁴⁴.
//!
//! A number is l₀ + 2⁴⁴l₁ + 2⁸⁸l₂ with l₀, l₁ of about 44 and l₂ of about 42 bits. `vpmadd52luq` and `vpmadd52huq` multiply
//! the low 52 bits of two lanes and add the low or the high 52 bits of the product to a third: **whatever an operand has
//! above bit 51 is lost without a sign**. Why no operand ever has:
//!
//! Call a number *carried* if l₀ < 2⁴⁴, l₁ < 2⁴⁴ + 2⁹ and l₂ < 2⁴². Multipliers (powers of r) are carried. Of the other factors one is
//! a carried number plus a block (block: b₀, b₁ < 2⁴⁴, b₂ < 2⁴¹, the bit above the block included), the other a block:
//!
//! | | l₀ | l₁ | l₂ |
//! |---|---|---|---|
//! | carried + block: a | < 2⁴⁵ | < 2⁴⁵·⁰¹ | < 2⁴²·⁶ |
//! | carried: r | < 2⁴⁴ | < 2⁴⁴·⁰¹ | < 2⁴² |
//! | 20·carried: s | | < 2⁴⁸·³⁴ | < 2⁴⁶·³³ |
//!
//! All below 2⁵². (2⁴⁴·2⁸⁸ = 2¹³² ≡ 4·5, hence 20.) The products, summed over a·r and the same for a block:
//!
//! - p₀ = a₀r₀ + a₁s₂ + a₂s₁ < 2⁸⁹ + 2⁹¹·³⁴ + 2⁹⁰·⁹⁴, with the block's share < 2⁹³
//! - p₁ = a₀r₁ + a₁r₀ + a₂s₂ < 2⁸⁹·⁰¹ + 2⁸⁹·⁰¹ + 2⁸⁸·⁹³, with the block's share < 2⁹¹·⁵
//! - p₂ = a₀r₂ + a₁r₁ + a₂r₀ < 2⁸⁷ + 2⁸⁹·⁰² + 2⁸⁶·⁶, with the block's share < 2⁹⁰·⁵
//!
//! are kept as low words, six of 52 bits < 2⁵⁴·⁶, and high words h₀ < 2⁴¹, h₁ < 2³⁹·⁵, h₂ < 2³⁸·⁵. Then [`Products::carried`]:
//!
//! - t₀ = low₀ and c₀ = (t₀ ≫ 44) + 2⁸h₀ < 2¹¹ + 2⁴⁹
//! - t₁ = low₁ + c₀ < 2⁵⁴·⁷ and c₁ = (t₁ ≫ 44) + 2⁸h₁ < 2¹¹ + 2⁴⁷·⁵
//! - t₂ = low₂ + c₁ < 2⁵⁴·⁷ and c₂ = (t₂ ≫ 42) + 2¹⁰h₂ < 2¹³ + 2⁴⁸·⁵
//! - l₀ = t₀ mod 2⁴⁴ + 5c₂ < 2⁵¹·⁰, of which 2⁴⁴ and more, less than 2⁹ of it, goes on to l₁
//!
//! so the result is carried again, and no sum reaches 2⁶⁴.

use core::arch::x86_64::*;

use zeroize::optimization_barrier;

use super::scalar::{Key, Sum};
use super::{BLOCK, first_group};

/// Blocks in a group.
const LANES: usize = 8;

/// Bytes in a group.
const GROUP: usize = LANES * BLOCK;

const M44: i64 = (1 << 44) - 1;
const M42: i64 = (1 << 42) - 1;

/// Eight numbers in three limbs.
type Limbs = [__m512i; 3];

/// Eight multipliers: the limbs of r, and 20 times the upper two.
#[derive(Clone, Copy)]
struct Power {
    r: Limbs,
    s1: __m512i,
    s2: __m512i,
}

/// A MAC in the making.
#[repr(C, align(64))]
pub(crate) struct Mac {
    /// Eight sums, of every eighth block each.
    sums: Limbs,
    /// r⁸ in all lanes.
    by_8: Power,
    /// r¹⁶ in all lanes; r⁸ again where the message is too short to need it.
    by_16: Power,
    /// r⁸ to r¹, in the lanes of the blocks that they belong to.
    last: Power,
    key: Key,
    /// Bytes of the first group, 0 when it has gone in.
    first: usize,
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
    /// For a message of `len` bytes, at least one.
    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma")]
    pub(crate) fn new(key: &[u8; 32], len: usize) -> Self {
        let key = Key::new(key);
        let [r0, r1] = key.r;
        let r = [
            _mm512_set1_epi64(r0 as i64 & M44),
            _mm512_set1_epi64((r0 >> 44 | r1 << 20) as i64 & M44),
            _mm512_set1_epi64((r1 >> 24) as i64),
        ];
        let by_1 = Power::new(r);
        let r2 = multiply(r, &by_1);
        // Lanes as `blocks` loads them: 0 4 1 5 2 6 3 7, so powers 8 4 7 3 6 2 5 1: the product of (4 4 3 3 2 2 1 1) and
        // (4 0 4 0 4 0 4 0).
        let r2_r2_r_r = blend(0b1100_1100, r2, r);
        let r4_r4_r3_r3 = multiply(r2_r2_r_r, &Power::new(r2));
        let r4_to_r = blend(0b1111_0000, r4_r4_r3_r3, r2_r2_r_r);
        let r4 = first_lane(r4_r4_r3_r3);
        let one = [_mm512_set1_epi64(1), _mm512_setzero_si512(), _mm512_setzero_si512()];
        let r8_to_r = multiply(r4_to_r, &Power::new(blend(0b1010_1010, r4, one)));
        let r8 = first_lane(r8_to_r);
        let by_8 = Power::new(r8);
        // Two whole groups behind the first are needed to make a pair.
        let by_16 = if len > 2 * GROUP { Power::new(multiply(r8, &by_8)) } else { by_8 };
        Self { sums: zero(), by_8, by_16, last: Power::new(r8_to_r), key, first: first_group(len, LANES) }
    }

    /// Takes whole groups off the front of `ciphertext`, and returns how many bytes that was.
    ///
    /// Wants at least the first group the first time, and less than the whole message unless that is whole blocks.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512ifma")]
    pub(crate) fn update(&mut self, ciphertext: &[u8]) -> usize {
        let mut sums = self.sums;
        let (first, mut rest) = ciphertext.split_at(self.first.min(ciphertext.len()));
        if !first.is_empty() {
            sums = group_at_end(first);
            self.first = 0;
        }
        while let Some((pair, behind)) = rest.split_first_chunk::<{ 2 * GROUP }>() {
            let ([one, two], []) = pair.as_chunks::<GROUP>() else { unreachable!() };
            let mut products = Products::zero();
            products.add(group(one), &self.by_8);
            products.add(sums, &self.by_16);
            sums = plus(products.carried(), group(two));
            rest = behind;
        }
        if let Some((one, behind)) = rest.split_first_chunk::<GROUP>() {
            sums = plus(multiply(sums, &self.by_8), group(one));
            rest = behind;
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
            self.sums = plus(multiply(self.sums, &self.by_8), group_at_end(rest));
        }
        let [l0, l1, l2] = multiply(self.sums, &self.last).map(|limb| _mm512_reduce_add_epi64(limb) as u64);
        Sum::from_limbs_44(l0, l1, l2).finish(&self.key)
    }
}

impl Power {
    #[inline]
    #[target_feature(enable = "avx512f")]
    fn new(r: Limbs) -> Self {
        let twenty = |x| _mm512_add_epi64(_mm512_slli_epi64::<4>(x), _mm512_slli_epi64::<2>(x));
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
    fn add(&mut self, [a0, a1, a2]: Limbs, by: &Power) {
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

#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
fn multiply(a: Limbs, by: &Power) -> Limbs {
    let mut products = Products::zero();
    products.add(a, by);
    products.carried()
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

/// The first lane in all of them.
#[inline]
#[target_feature(enable = "avx512f")]
fn first_lane(limbs: Limbs) -> Limbs {
    limbs.map(|limb| _mm512_broadcastq_epi64(_mm512_castsi512_si128(limb)))
}

/// Eight whole blocks.
#[inline]
#[target_feature(enable = "avx512f")]
fn group(bytes: &[u8; GROUP]) -> Limbs {
    let ([front, back], []) = bytes.as_chunks::<64>() else { unreachable!() };
    // SAFETY: 64 readable bytes each; the instruction wants no alignment.
    let (front, back) =
        unsafe { (_mm512_loadu_si512(front.as_ptr().cast()), _mm512_loadu_si512(back.as_ptr().cast())) };
    blocks(front, back, _mm512_set1_epi64(1 << 40))
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
