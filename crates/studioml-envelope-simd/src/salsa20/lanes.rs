//! A step of Salsa20, `to ^ ((x + y) <<< LEFT)`, under one name per width and instruction set, and the turning of diagonals: what
//! the round macros are written in.

/// 128 bits, AVX2.
pub(super) mod avx2_128 {
    pub(crate) use core::arch::x86_64::_mm_shuffle_epi32 as turn;
    use core::arch::x86_64::{__m128i, _mm_add_epi32, _mm_or_si128, _mm_slli_epi32, _mm_srli_epi32, _mm_xor_si128};

    #[inline]
    #[target_feature(enable = "avx2")]
    pub(crate) fn step<const LEFT: i32, const RIGHT: i32>(to: __m128i, x: __m128i, y: __m128i) -> __m128i {
        const { assert!(LEFT + RIGHT == 32) };
        let sum = _mm_add_epi32(x, y);
        _mm_xor_si128(to, _mm_or_si128(_mm_slli_epi32::<LEFT>(sum), _mm_srli_epi32::<RIGHT>(sum)))
    }
}

/// 256 bits, AVX2.
pub(super) mod avx2_256 {
    pub(crate) use core::arch::x86_64::_mm256_shuffle_epi32 as turn;
    use core::arch::x86_64::{__m256i, _mm256_add_epi32, _mm256_slli_epi32, _mm256_srli_epi32, _mm256_xor_si256};

    #[inline]
    #[target_feature(enable = "avx2")]
    pub(crate) fn step<const LEFT: i32, const RIGHT: i32>(to: __m256i, x: __m256i, y: __m256i) -> __m256i {
        const { assert!(LEFT + RIGHT == 32) };
        let sum = _mm256_add_epi32(x, y);
        _mm256_xor_si256(_mm256_xor_si256(to, _mm256_slli_epi32::<LEFT>(sum)), _mm256_srli_epi32::<RIGHT>(sum))
    }
}

/// 128 bits, AVX-512: the shortest chain. A rotation takes two cycles on Zen 4, two shifts side by side take one.
pub(super) mod avx512_128 {
    pub(crate) use core::arch::x86_64::_mm_shuffle_epi32 as turn;
    use core::arch::x86_64::{__m128i, _mm_add_epi32, _mm_slli_epi32, _mm_srli_epi32, _mm_ternarylogic_epi32};

    #[inline]
    #[target_feature(enable = "avx512f,avx512vl")]
    pub(crate) fn step<const LEFT: i32, const RIGHT: i32>(to: __m128i, x: __m128i, y: __m128i) -> __m128i {
        const { assert!(LEFT + RIGHT == 32) };
        let sum = _mm_add_epi32(x, y);
        // a ^ b ^ c
        _mm_ternarylogic_epi32::<0x96>(to, _mm_slli_epi32::<LEFT>(sum), _mm_srli_epi32::<RIGHT>(sum))
    }
}

/// 256 bits, AVX-512: the shortest chain.
pub(super) mod avx512_256 {
    pub(crate) use core::arch::x86_64::_mm256_shuffle_epi32 as turn;
    use core::arch::x86_64::{
        __m256i, _mm256_add_epi32, _mm256_slli_epi32, _mm256_srli_epi32, _mm256_ternarylogic_epi32,
    };

    #[inline]
    #[target_feature(enable = "avx512f,avx512vl")]
    pub(crate) fn step<const LEFT: i32, const RIGHT: i32>(to: __m256i, x: __m256i, y: __m256i) -> __m256i {
        const { assert!(LEFT + RIGHT == 32) };
        let sum = _mm256_add_epi32(x, y);
        // a ^ b ^ c
        _mm256_ternarylogic_epi32::<0x96>(to, _mm256_slli_epi32::<LEFT>(sum), _mm256_srli_epi32::<RIGHT>(sum))
    }
}

/// 512 bits, AVX-512: the fewest operations.
pub(super) mod avx512_512 {
    pub(crate) use core::arch::x86_64::_mm512_shuffle_epi32 as turn;
    use core::arch::x86_64::{__m512i, _mm512_add_epi32, _mm512_rol_epi32, _mm512_xor_si512};

    #[inline]
    #[target_feature(enable = "avx512f")]
    pub(crate) fn step<const LEFT: i32, const RIGHT: i32>(to: __m512i, x: __m512i, y: __m512i) -> __m512i {
        const { assert!(LEFT + RIGHT == 32) };
        _mm512_xor_si512(to, _mm512_rol_epi32::<LEFT>(_mm512_add_epi32(x, y)))
    }
}

/// 512 bits, AVX-512: the shortest chain.
pub(super) mod avx512_512_short {
    pub(crate) use core::arch::x86_64::_mm512_shuffle_epi32 as turn;
    use core::arch::x86_64::{
        __m512i, _mm512_add_epi32, _mm512_slli_epi32, _mm512_srli_epi32, _mm512_ternarylogic_epi32,
    };

    #[inline]
    #[target_feature(enable = "avx512f")]
    pub(crate) fn step<const LEFT: u32, const RIGHT: u32>(to: __m512i, x: __m512i, y: __m512i) -> __m512i {
        const { assert!(LEFT + RIGHT == 32) };
        let sum = _mm512_add_epi32(x, y);
        // a ^ b ^ c
        _mm512_ternarylogic_epi32::<0x96>(to, _mm512_slli_epi32::<LEFT>(sum), _mm512_srli_epi32::<RIGHT>(sum))
    }
}
