//! The four operations of a Salsa20 step under one name, per width and instruction set: what the round macros are written in.

/// 128 bits, AVX2.
pub(super) mod avx2_128 {
    use core::arch::x86_64::{__m128i, _mm_or_si128, _mm_slli_epi32, _mm_srli_epi32};
    pub(crate) use core::arch::x86_64::{_mm_add_epi32 as add, _mm_shuffle_epi32 as turn, _mm_xor_si128 as xor};

    #[inline]
    #[target_feature(enable = "avx2")]
    pub(crate) fn rotate<const LEFT: i32, const RIGHT: i32>(x: __m128i) -> __m128i {
        const { assert!(LEFT + RIGHT == 32) };
        _mm_or_si128(_mm_slli_epi32::<LEFT>(x), _mm_srli_epi32::<RIGHT>(x))
    }
}

/// 256 bits, AVX2.
pub(super) mod avx2_256 {
    use core::arch::x86_64::{__m256i, _mm256_or_si256, _mm256_slli_epi32, _mm256_srli_epi32};
    pub(crate) use core::arch::x86_64::{
        _mm256_add_epi32 as add, _mm256_shuffle_epi32 as turn, _mm256_xor_si256 as xor,
    };

    #[inline]
    #[target_feature(enable = "avx2")]
    pub(crate) fn rotate<const LEFT: i32, const RIGHT: i32>(x: __m256i) -> __m256i {
        const { assert!(LEFT + RIGHT == 32) };
        _mm256_or_si256(_mm256_slli_epi32::<LEFT>(x), _mm256_srli_epi32::<RIGHT>(x))
    }
}

/// 128 bits, AVX-512.
pub(super) mod avx512_128 {
    use core::arch::x86_64::{__m128i, _mm_rol_epi32};
    pub(crate) use core::arch::x86_64::{_mm_add_epi32 as add, _mm_shuffle_epi32 as turn, _mm_xor_si128 as xor};

    #[inline]
    #[target_feature(enable = "avx512f,avx512vl")]
    pub(crate) fn rotate<const LEFT: i32, const RIGHT: i32>(x: __m128i) -> __m128i {
        const { assert!(LEFT + RIGHT == 32) };
        _mm_rol_epi32::<LEFT>(x)
    }
}

/// 512 bits, AVX-512.
pub(super) mod avx512_512 {
    use core::arch::x86_64::{__m512i, _mm512_rol_epi32};
    pub(crate) use core::arch::x86_64::{
        _mm512_add_epi32 as add, _mm512_shuffle_epi32 as turn, _mm512_xor_si512 as xor,
    };

    #[inline]
    #[target_feature(enable = "avx512f")]
    pub(crate) fn rotate<const LEFT: i32, const RIGHT: i32>(x: __m512i) -> __m512i {
        const { assert!(LEFT + RIGHT == 32) };
        _mm512_rol_epi32::<LEFT>(x)
    }
}
