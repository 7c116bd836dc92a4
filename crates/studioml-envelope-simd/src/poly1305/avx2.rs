//! Poly1305 with AVX2: four blocks at a time, one per lane, in radix 2²⁶.
//!
//! A number is Σ 2²⁶ⁱlᵢ with five limbs of about 26 bits. `vpmuludq` multiplies the low 32 bits of two lanes: **whatever an
//! operand has above bit 31 is lost without a sign**. Why no operand ever has:
//!
//! Call a number *carried* if every limb is below 2²⁶ + 2¹¹. Multipliers (powers of r) are carried. Of the
//! other factors one is a carried number plus a block, up to seven are blocks (b₀ … b₃ < 2²⁶, b₄ < 2²⁵, the bit above the block
//! included):
//!
//! - carried + block: aᵢ < 2²⁷·⁰¹; carried: rᵢ < 2²⁶·⁰¹; 5·carried: sᵢ < 2²⁸·³⁴ (2²⁶·2¹⁰⁴ = 2¹³⁰ ≡ 5). All below 2³².
//! - dₖ = Σ aᵢrₖ₋ᵢ + Σ aᵢsₖ₋ᵢ₊₅ has five terms < 2⁵⁵·³⁵, and with the blocks' thirty-five < 2⁵⁴·³⁵ it is < 2⁵⁹·⁹.
//!
//! Then [`carried`], two chains side by side:
//!
//! - d₀ carries < 2³³·⁹ to d₁, d₃ as much to d₄; d₁ < 2⁶⁰ carries < 2³⁴ to d₂, d₄ five times that, < 2³⁶·⁴, to l₀
//! - d₂ < 2⁶⁰ carries < 2³⁴ to l₃; l₀ < 2³⁶·⁵ carries < 2¹¹ to l₁; l₃ < 2³⁴·¹ carries < 2⁹ to l₄
//!
//! so the result is carried again, and no sum reaches 2⁶⁴.

#![allow(
    clippy::indexing_slicing,
    reason = "arrays of registers, indexed by constants and by loops with constant bounds"
)]

use core::arch::x86_64::*;
use core::mem::MaybeUninit;

use zeroize::optimization_barrier;

use super::scalar::{Key, Sum};
use super::{BLOCK, first_group};
use crate::frame::Aligned;

/// Blocks in a group.
const LANES: usize = 4;

/// Bytes in a group.
const GROUP: usize = LANES * BLOCK;

/// Groups in a batch, at most: products that are summed before they are carried.
const BATCH: usize = 8;

/// From how many groups on the powers for a batch of half the size are worth their making, and for a whole one.
const LONG: usize = 16;
const LONGEST: usize = 128;

const M26: i64 = (1 << 26) - 1;

/// The bounds above, reckoned from the largest values: a sum or product of larger ones is larger, so nothing exceeds these.
/// What does not hold does not compile.
const _: () = {
    const LANE: u128 = 1 << 64;
    const OPERAND: u128 = 1 << 32;
    const CARRIED: u128 = (1 << 26) + (1 << 11) - 1;
    const LOW: u128 = M26 as u128;
    let a = CARRIED + LOW;
    let s = 5 * CARRIED;
    // The fifth limb of a block is below the others.
    assert!(a < OPERAND && s < OPERAND && (1 << 25) <= LOW);

    let d = 5 * a * s + (BATCH as u128 - 1) * 5 * LOW * s;
    let d1 = d + (d >> 26);
    let d4 = d + (d >> 26);
    let d2 = d + (d1 >> 26);
    let l0 = LOW + 5 * (d4 >> 26);
    let l3 = LOW + (d2 >> 26);
    assert!(d < LANE && d1 < LANE && d2 < LANE && d4 < LANE && l0 < LANE && l3 < LANE);
    // Carried again: the second and the fifth limb are not masked.
    assert!(LOW + (l0 >> 26) <= CARRIED && LOW + (l3 >> 26) <= CARRIED);

    // Four lanes added are what the scalar end takes.
    assert!(4 * CARRIED < 1 << 40);
};

/// Four numbers in five limbs.
type Limbs = [__m256i; 5];

/// Four multipliers: the limbs of r, and 5 times the upper four (the first of `s` is not used).
#[derive(Clone, Copy)]
struct Multiplier {
    r: Limbs,
    s: Limbs,
}

/// A MAC in the making.
#[repr(C, align(64))]
pub(crate) struct Mac {
    /// Four sums, of every fourth block each.
    sums: Limbs,
    powers: Powers,
    /// r⁴ to r¹, in the lanes of the blocks that they belong to.
    last: Multiplier,
    key: Key,
    /// Bytes of the first group, 0 when it has gone in.
    first: usize,
}

/// r⁴, r⁸, r¹² …, each in all lanes: as many as a batch of the message has groups. The others are neither made nor wiped, which
/// a message of 4 KiB would feel.
struct Powers {
    by: [MaybeUninit<Multiplier>; BATCH],
    made: usize,
}

impl Powers {
    #[inline]
    #[target_feature(enable = "avx2")]
    fn add(&mut self, power: Limbs) {
        self.by[self.made].write(Multiplier::new(power));
        self.made += 1;
    }

    #[inline(always)]
    fn made(&self) -> &[Multiplier] {
        let (made, _) = self.by.split_at(self.made);
        // SAFETY: so many have been written.
        unsafe { made.assume_init_ref() }
    }
}

impl Default for Mac {
    #[inline(always)]
    fn default() -> Self {
        let powers = Powers { by: [MaybeUninit::uninit(); BATCH], made: 0 };
        // SAFETY: vectors and integers of which every bit pattern is valid.
        let (sums, last, key) = unsafe { core::mem::zeroed() };
        Self { sums, powers, last, key, first: 0 }
    }
}

impl Drop for Mac {
    #[inline]
    fn drop(&mut self) {
        let (made, _) = self.powers.by.split_at_mut(self.powers.made);
        // SAFETY: vectors and integers of which every bit pattern is valid.
        unsafe {
            made.as_mut_ptr().write_bytes(0, made.len());
            core::ptr::from_mut(&mut self.sums).write_bytes(0, 1);
            core::ptr::from_mut(&mut self.last).write_bytes(0, 1);
            core::ptr::from_mut(&mut self.key).write_bytes(0, 1);
        }
        optimization_barrier(self);
    }
}

impl Mac {
    /// Begins with a message of `len` bytes, at least one. In place: a struct that is returned may be copied, and the
    /// copy is not wiped.
    #[inline]
    #[target_feature(enable = "avx2")]
    pub(crate) fn begin(&mut self, key: &[u8; 32], len: usize) {
        let mut frame = Aligned::new();
        frame.hold();
        let key = Key::new(key);
        let [r0, r1] = key.r;
        let r =
            [r0, r0 >> 26, r0 >> 52 | r1 << 12, r1 >> 14, r1 >> 40].map(|limb| _mm256_set1_epi64x(limb as i64 & M26));
        let one = [_mm256_set1_epi64x(1), zero()[0], zero()[0], zero()[0], zero()[0]];
        let r2 = multiply(r, &Multiplier::new(r));
        // Lanes as `blocks` loads them: 0 2 1 3, so powers 4 2 3 1: the product of (2 2 1 1) and (2 0 2 0).
        let r2_r2_r_r = blend::<0b1111_0000>(r2, r);
        let last = multiply(r2_r2_r_r, &Multiplier::new(blend::<0b1100_1100>(r2, one)));
        let r4 = multiply(r2, &Multiplier::new(r2));
        let r8 = multiply(r4, &Multiplier::new(r4));
        let by_8 = Multiplier::new(r8);
        let pairs = match len / GROUP {
            ..LONG => 1,
            LONG..LONGEST => BATCH / 4,
            LONGEST.. => BATCH / 2,
        };
        self.powers.made = 0;
        let mut pair = [r4, r8];
        for number in 0..pairs {
            if number > 0 {
                pair = pair.map(|power| multiply(power, &by_8));
            }
            let [power, next] = pair;
            self.powers.add(power);
            self.powers.add(next);
        }
        self.sums = zero();
        self.last = Multiplier::new(last);
        self.key = key;
        self.first = first_group(len, LANES);
    }

    /// Takes whole groups off the front of `ciphertext`, and returns how many bytes that was.
    ///
    /// Wants at least the first group the first time, and less than the whole message unless that is whole blocks.
    #[inline]
    #[target_feature(enable = "avx2")]
    pub(crate) fn update(&mut self, ciphertext: &[u8]) -> usize {
        let mut frame = Aligned::new();
        frame.hold();
        let mut sums = self.sums;
        let (first, rest) = ciphertext.split_at(self.first.min(ciphertext.len()));
        if !first.is_empty() {
            sums = group_at_end(first);
            self.first = 0;
        }
        let (mut groups, rest) = rest.as_chunks::<GROUP>();
        let powers = self.powers.made();
        loop {
            let (batch, behind) = groups.split_at(groups.len().min(powers.len()));
            let (powers, _) = powers.split_at(batch.len());
            let (Some((last, before)), Some((by, powers))) = (batch.split_last(), powers.split_last()) else { break };
            let mut products = zero();
            for (bytes, by) in before.iter().zip(powers.iter().rev()) {
                add_products(&mut products, group(bytes), by);
            }
            add_products(&mut products, sums, by);
            sums = plus(carried(products), group(last));
            groups = behind;
        }
        self.sums = sums;
        ciphertext.len() - rest.len()
    }

    /// The tag, after the `rest` that [`update`](Self::update) has not taken.
    #[inline]
    #[target_feature(enable = "avx2")]
    pub(crate) fn finish(&mut self, rest: &[u8]) -> [u8; 16] {
        let mut frame = Aligned::new();
        frame.hold();
        let taken = self.update(rest);
        let (_, rest) = rest.split_at(taken);
        if !rest.is_empty() {
            // Less than a group by less than a block: the last one.
            self.sums = plus(multiply(self.sums, &self.powers.made()[0]), group_at_end(rest));
        }
        let limbs = multiply(self.sums, &self.last).map(|limb| {
            let halves = _mm_add_epi64(_mm256_castsi256_si128(limb), _mm256_extracti128_si256::<1>(limb));
            _mm_cvtsi128_si64(_mm_add_epi64(halves, _mm_unpackhi_epi64(halves, halves))) as u64
        });
        Sum::from_limbs_26(limbs).finish(&self.key)
    }
}

impl Multiplier {
    #[inline]
    #[target_feature(enable = "avx2")]
    fn new(r: Limbs) -> Self {
        Self { r, s: r.map(|x| _mm256_add_epi64(x, _mm256_slli_epi64::<2>(x))) }
    }
}

/// Adds `a·by`, limb by limb and not carried.
#[inline]
#[target_feature(enable = "avx2")]
fn add_products(d: &mut Limbs, a: Limbs, by: &Multiplier) {
    for (i, a) in a.into_iter().enumerate() {
        for (k, d) in d.iter_mut().enumerate() {
            let r = if k >= i { by.r[k - i] } else { by.s[k + 5 - i] };
            *d = _mm256_add_epi64(*d, _mm256_mul_epu32(a, r));
        }
    }
}

/// One number per lane again.
#[inline]
#[target_feature(enable = "avx2")]
fn carried([d0, d1, d2, d3, d4]: Limbs) -> Limbs {
    let m26 = _mm256_set1_epi64x(M26);
    let low = |x| _mm256_and_si256(x, m26);
    let high = |x| _mm256_srli_epi64::<26>(x);

    let d1 = _mm256_add_epi64(d1, high(d0));
    let d4 = _mm256_add_epi64(d4, high(d3));
    let d2 = _mm256_add_epi64(d2, high(d1));
    let c4 = high(d4);
    let l0 = _mm256_add_epi64(low(d0), _mm256_add_epi64(c4, _mm256_slli_epi64::<2>(c4)));
    let l3 = _mm256_add_epi64(low(d3), high(d2));
    let l1 = _mm256_add_epi64(low(d1), high(l0));
    let l4 = _mm256_add_epi64(low(d4), high(l3));
    [low(l0), l1, low(d2), low(l3), l4]
}

#[inline]
#[target_feature(enable = "avx2")]
fn multiply(a: Limbs, by: &Multiplier) -> Limbs {
    let mut products = zero();
    add_products(&mut products, a, by);
    carried(products)
}

#[inline]
#[target_feature(enable = "avx2")]
fn zero() -> Limbs {
    [_mm256_setzero_si256(); 5]
}

#[inline]
#[target_feature(enable = "avx2")]
fn plus(mut a: Limbs, b: Limbs) -> Limbs {
    for (a, b) in a.iter_mut().zip(b) {
        *a = _mm256_add_epi64(*a, b);
    }
    a
}

/// The words of `b` where `WORDS` has a bit, of `a` elsewhere.
#[inline]
#[target_feature(enable = "avx2")]
fn blend<const WORDS: i32>(mut a: Limbs, b: Limbs) -> Limbs {
    for (a, b) in a.iter_mut().zip(b) {
        *a = _mm256_blend_epi32::<WORDS>(*a, b);
    }
    a
}

/// Four whole blocks.
#[inline]
#[target_feature(enable = "avx2")]
fn group(bytes: &[u8; GROUP]) -> Limbs {
    blocks(bytes, _mm256_set1_epi64x(1 << 24))
}

/// Up to four blocks, the last of them perhaps partial, in the last lanes; nothing in the lanes before them.
#[inline]
#[target_feature(enable = "avx2")]
fn group_at_end(bytes: &[u8]) -> Limbs {
    let count = bytes.len().div_ceil(BLOCK).min(LANES);
    let mut full = [0; GROUP];
    // The 1 bit above a partial block is inside the 16 bytes, above a whole one it is outside.
    for (to, from) in full.iter_mut().skip(GROUP - count * BLOCK).zip(bytes.iter().chain(&[1])) {
        *to = *from;
    }
    let above = |block: usize, partial: bool| i64::from(block + count >= LANES && !partial) << 24;
    // The blocks of lanes 0 to 3 are 0 2 1 3.
    let last = above(3, !bytes.len().is_multiple_of(BLOCK));
    blocks(&full, _mm256_setr_epi64x(above(0, false), above(2, false), above(1, false), last))
}

/// Four blocks to limbs; `above` is what stands above the sixteen bytes, in the fifth limb.
#[inline]
#[target_feature(enable = "avx2")]
fn blocks(bytes: &[u8; GROUP], above: __m256i) -> Limbs {
    let ([front, back], []) = bytes.as_chunks::<32>() else { unreachable!() };
    // SAFETY: 32 readable bytes each; the instruction wants no alignment.
    let (front, back) =
        unsafe { (_mm256_loadu_si256(front.as_ptr().cast()), _mm256_loadu_si256(back.as_ptr().cast())) };
    let low = _mm256_unpacklo_epi64(front, back);
    let high = _mm256_unpackhi_epi64(front, back);
    let m26 = _mm256_set1_epi64x(M26);
    let middle = _mm256_or_si256(_mm256_srli_epi64::<52>(low), _mm256_slli_epi64::<12>(high));
    [
        _mm256_and_si256(low, m26),
        _mm256_and_si256(_mm256_srli_epi64::<26>(low), m26),
        _mm256_and_si256(middle, m26),
        _mm256_and_si256(_mm256_srli_epi64::<14>(high), m26),
        _mm256_or_si256(_mm256_srli_epi64::<40>(high), above),
    ]
}
