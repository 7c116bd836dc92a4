//! Poly1305 in 64-bit words: for short messages, and the twin that the vector kernels are tested against.

use super::BLOCK;

/// r, clamped (RFC 8439 §2.5): 22 bits of it are zero, among them the two lowest of `r1`.
const CLAMP: [u64; 2] = [0x0fff_fffc_0fff_ffff, 0x0fff_fffc_0fff_fffc];

/// The bounds of [`Sum::absorb`], [`Sum::from_limbs_44`] and [`Sum::from_limbs_26`], reckoned from the largest values. What does
/// not hold does not compile.
const _: () = {
    const WORD: u128 = 1 << 64;
    const MAX: u128 = WORD - 1;
    let (r0, r1) = (CLAMP[0] as u128, CLAMP[1] as u128);
    let s1 = r1 + (r1 >> 2);
    let h2 = 4 + 1 + 1;
    // In two steps: a carry may not get lost on the way either.
    let d0 = MAX * r0 + MAX * s1;
    let Some(d1) = (MAX * r1).checked_add(MAX * r0 + h2 * s1 + (d0 >> 64)) else { panic!() };
    let d2 = h2 * r0 + (d1 >> 64);
    assert!(h2 * s1 < WORD && d2 < WORD);
    assert!((d2 & !3) + 3 + (d2 >> 2) < WORD);

    let (l1, l2) = ((1_u128 << 50) + (1 << 6), (1_u128 << 50) + (1 << 7));
    assert!((l1 >> 44) < 1 << 7 && 5 * (l2 >> 42) < 5 << 9);
    let l4 = (1_u128 << 40) + (1 << 15);
    assert!(5 * (l4 >> 26) < 5 << 15);
};

/// The two halves of a one-time key.
#[derive(Clone, Copy)]
pub(crate) struct Key {
    /// r, clamped.
    pub(crate) r: [u64; 2],
    /// s.
    pub(crate) s: [u64; 2],
}

impl Key {
    /// r is clamped here.
    #[inline]
    pub(crate) fn new(key: &[u8; 32]) -> Self {
        let [r0, r1, s0, s1] = words(key);
        Self { r: [r0 & CLAMP[0], r1 & CLAMP[1]], s: [s0, s1] }
    }
}

/// Poly1305 of a whole message.
#[inline]
pub(crate) fn poly1305(key: &Key, message: &[u8]) -> [u8; 16] {
    let mut sum = Sum::default();
    let (blocks, rest) = message.as_chunks::<BLOCK>();
    for block in blocks {
        sum.absorb(key, words(block), 1);
    }
    if !rest.is_empty() {
        let mut block = [0; BLOCK];
        for (to, from) in block.iter_mut().zip(rest.iter().chain(&[1])) {
            *to = *from;
        }
        sum.absorb(key, words(&block), 0);
    }
    sum.finish(key)
}

/// Little-endian words.
#[inline]
fn words<const BYTES: usize, const WORDS: usize>(bytes: &[u8; BYTES]) -> [u64; WORDS] {
    const { assert!(BYTES == 8 * WORDS) };
    let mut words = [0; WORDS];
    for (word, bytes) in words.iter_mut().zip(bytes.as_chunks().0) {
        *word = u64::from_le_bytes(*bytes);
    }
    words
}

/// The whole product.
#[inline]
fn wide(a: u64, b: u64) -> u128 {
    u128::from(a) * u128::from(b)
}

/// h = h₀ + 2⁶⁴h₁ + 2¹²⁸h₂ with h₂ ≤ 4: not the smallest representative mod p, but less than 2p.
#[derive(Clone, Copy, Default)]
pub(crate) struct Sum {
    h0: u64,
    h1: u64,
    h2: u64,
}

impl Sum {
    /// From limbs of 44, 44 and 42 bits, each given with up to 2⁵⁰ too much: h = l₀ + 2⁴⁴l₁ + 2⁸⁸l₂.
    ///
    /// l₂ carries into l₀ as ·5 because 2¹³⁰ ≡ 5. After the first sweep l₁ < 2⁴⁴, l₂ < 2⁴² and l₀ < 2⁴⁴ + 5·2⁹, so the
    /// last step leaves l₀ < 2⁴⁴ and l₁ ≤ 2⁴⁴: h < 2¹³⁰ + 2⁸⁸ < 2p.
    #[inline]
    pub(crate) fn from_limbs_44(mut l0: u64, mut l1: u64, mut l2: u64) -> Self {
        const M44: u64 = (1 << 44) - 1;
        const M42: u64 = (1 << 42) - 1;
        l1 += l0 >> 44;
        l0 &= M44;
        l2 += l1 >> 44;
        l1 &= M44;
        l0 += 5 * (l2 >> 42);
        l2 &= M42;
        l1 += l0 >> 44;
        l0 &= M44;
        let low = u128::from(l0) + (u128::from(l1) << 44);
        let (low, carry) = low.overflowing_add(u128::from(l2) << 88);
        // l₂·2⁸⁸ loses its bits above 2¹²⁸ in the shift: 40 stay, 2 go to h₂.
        Self { h0: low as u64, h1: (low >> 64) as u64, h2: (l2 >> 40) + u64::from(carry) }
    }

    /// From five limbs of 26 bits, each given with up to 2⁴⁰ too much: h = Σ 2²⁶ⁱlᵢ.
    ///
    /// After the sweep l₁ … l₄ < 2²⁶ and l₀ < 2²⁶ + 5·2¹⁵, so the last step leaves l₁ ≤ 2²⁶: h < 2¹³⁰ + 2⁵² < 2p.
    #[inline]
    pub(crate) fn from_limbs_26([mut l0, mut l1, mut l2, mut l3, mut l4]: [u64; 5]) -> Self {
        const M26: u64 = (1 << 26) - 1;
        l1 += l0 >> 26;
        l0 &= M26;
        l2 += l1 >> 26;
        l1 &= M26;
        l3 += l2 >> 26;
        l2 &= M26;
        l4 += l3 >> 26;
        l3 &= M26;
        l0 += 5 * (l4 >> 26);
        l4 &= M26;
        l1 += l0 >> 26;
        l0 &= M26;
        let low = u128::from(l0) + (u128::from(l1) << 26) + (u128::from(l2) << 52) + (u128::from(l3) << 78);
        let (low, carry) = low.overflowing_add(u128::from(l4) << 104);
        // l₄·2¹⁰⁴ loses its bits above 2¹²⁸ in the shift: 24 stay, 2 go to h₂.
        Self { h0: low as u64, h1: (low >> 64) as u64, h2: (l4 >> 24) + u64::from(carry) }
    }

    /// h ← (h + block + high·2¹²⁸)·r mod p, partly reduced.
    ///
    /// With h₂ ≤ 4 before, the sum has h₂ ≤ 6 (a carry and `high`). r₀, r₁ < 2⁶⁰ and s₁ = 5r₁/4 < 1.25·2⁶⁰, so
    /// h₂s₁ < 7.5·2⁶⁰, d₀ = h₀r₀ + h₁s₁ < 2.25·2¹²⁴, d₁ = h₀r₁ + h₁r₀ + h₂s₁ + (d₀ ≫ 64) < 2.1·2¹²⁴ and
    /// d₂ = h₂r₀ + (d₁ ≫ 64) < 8.1·2⁶⁰: no word overflows. Then h₂ = d₂ mod 4, and 5·(d₂ div 4) < 11·2⁶⁰ is added to h₀,
    /// whose carry makes h₂ at most 4.
    #[inline]
    fn absorb(&mut self, key: &Key, block: [u64; 2], high: u64) {
        let [r0, r1] = key.r;
        // 2¹²⁸·r₁ = 2¹³⁰·(r₁/4) ≡ 5·(r₁/4), and r₁/4 is whole because r is clamped.
        let s1 = r1 + (r1 >> 2);

        let (h0, carry) = self.h0.overflowing_add(block[0]);
        let (h1, carry) = self.h1.carrying_add(block[1], carry);
        let h2 = self.h2 + high + u64::from(carry);

        let d0 = wide(h0, r0) + wide(h1, s1);
        let d1 = wide(h0, r1) + wide(h1, r0) + u128::from(h2 * s1) + (d0 >> 64);
        let d2 = h2 * r0 + (d1 >> 64) as u64;

        let (h0, carry) = (d0 as u64).overflowing_add((d2 & !3) + (d2 >> 2));
        let (h1, carry) = (d1 as u64).overflowing_add(u64::from(carry));
        *self = Self { h0, h1, h2: (d2 & 3) + u64::from(carry) };
    }

    /// (h mod p) + s mod 2¹²⁸, little-endian.
    ///
    /// h < 2p, so h mod p is h or h − p, and h ≥ p exactly if h + 5 reaches 2¹³⁰. Which of the two it is must not be a branch.
    #[inline]
    pub(crate) fn finish(self, key: &Key) -> [u8; 16] {
        let (g0, carry) = self.h0.overflowing_add(5);
        let (g1, carry) = self.h1.overflowing_add(u64::from(carry));
        let g2 = self.h2 + u64::from(carry);
        let take_g = 0_u64.wrapping_sub(core::hint::black_box(g2 >> 2));
        let h0 = self.h0 ^ (take_g & (self.h0 ^ g0));
        let h1 = self.h1 ^ (take_g & (self.h1 ^ g1));

        let (t0, carry) = h0.overflowing_add(key.s[0]);
        let t1 = h1.wrapping_add(key.s[1]).wrapping_add(u64::from(carry));
        (u128::from(t0) | u128::from(t1) << 64).to_le_bytes()
    }
}
