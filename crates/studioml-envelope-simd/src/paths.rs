//! The vector paths: for each a proof that the CPU has it, and one function per operation for which its features are enabled,
//! into which all of its kernels are written.

use studioml_envelope_core::{Implementation, Nonce, Part, SecretBox, SessionKey, Tag, Unauthentic};
use zeroize::zeroize_stack;

use crate::dispatch::Path;
use crate::flow::{self, FIRST_BLOCKS, Kernels};
use crate::poly1305::{self, scalar};
use crate::salsa20::{self, Matrix, Stream};
use crate::span::Span;

macro_rules! path {
    (
        $(#[$doc:meta])*
        $name:ident, $module:ident, [$($feature:tt),+], $features:literal, $short:literal, $stack:expr
    ) => {
        $(#[$doc])*
        ///
        /// A value is the proof that this CPU has these features: only [`detect`](Self::detect) hands one out.
        #[derive(Clone, Copy, Debug)]
        pub(crate) struct $name(());

        impl $name {
            /// The path, if this CPU has it. The standard library asks the CPU once and keeps the answer.
            #[inline]
            pub(crate) fn detect() -> Option<&'static Self> {
                static PROOF: $name = $name(());
                ($(std::arch::is_x86_feature_detected!($feature))&&+).then_some(&PROOF)
            }
        }

        impl Part for $name {
            fn implementation(&self) -> Implementation {
                Path::$name.implementation()
            }
        }

        impl SecretBox for $name {
            fn seal_in_place(&self, key: &SessionKey, nonce: &Nonce, text: &mut [u8]) -> Tag {
                #[inline(never)]
                #[target_feature(enable = $features)]
                fn island(path: $name, key: &SessionKey, nonce: &Nonce, text: &mut [u8]) -> Tag {
                    flow::seal_in_place(path, key, nonce, text)
                }
                // SAFETY: `self` is the proof that this CPU has the features.
                let tag = unsafe { island(*self, key, nonce, text) };
                zeroize_stack::<{ $stack }>();
                tag
            }

            fn seal_chunks(
                &self,
                key: &SessionKey,
                nonce: &Nonce,
                plaintext: &[u8],
                sink: &mut dyn FnMut(&[u8]),
            ) -> Tag {
                #[inline(never)]
                #[target_feature(enable = $features)]
                fn island(
                    path: $name,
                    key: &SessionKey,
                    nonce: &Nonce,
                    plaintext: &[u8],
                    sink: &mut dyn FnMut(&[u8]),
                ) -> Tag {
                    flow::seal_chunks(path, key, nonce, plaintext, sink)
                }
                // SAFETY: `self` is the proof that this CPU has the features.
                let tag = unsafe { island(*self, key, nonce, plaintext, sink) };
                zeroize_stack::<{ $stack }>();
                tag
            }

            fn open_in_place(
                &self,
                key: &SessionKey,
                nonce: &Nonce,
                tag: &Tag,
                text: &mut [u8],
            ) -> Result<(), Unauthentic> {
                #[inline(never)]
                #[target_feature(enable = $features)]
                fn island(
                    path: $name,
                    key: &SessionKey,
                    nonce: &Nonce,
                    tag: &Tag,
                    text: &mut [u8],
                ) -> Result<(), Unauthentic> {
                    flow::open_in_place(path, key, nonce, tag, text)
                }
                // SAFETY: `self` is the proof that this CPU has the features.
                let verdict = unsafe { island(*self, key, nonce, tag, text) };
                zeroize_stack::<{ $stack }>();
                verdict
            }
        }

        // Each function here wants the features that `detect` has found.
        impl Kernels for $name {
            type Mac = poly1305::$module::Mac;
            const FIRST_BLOCKS: usize = salsa20::$module::FIRST;
            const SHORT: usize = $short;

            #[inline(always)]
            fn xsalsa20(self, key: &[u8; 32], input: &[u8; 16], nonce: &[u8; 8], matrix: &mut Matrix) {
                // SAFETY: `self` is the proof.
                unsafe { salsa20::$module::xsalsa20(key, input, nonce, matrix) }
            }

            #[inline(always)]
            fn first_blocks(self, matrix: &Matrix, blocks: usize, stream: &mut Stream<FIRST_BLOCKS>) {
                // SAFETY: `self` is the proof.
                unsafe { salsa20::$module::first_blocks(matrix, blocks, stream) }
            }

            #[inline(always)]
            fn xor_bytes(self, span: Span<'_>, key_stream: &[u8]) {
                // SAFETY: `self` is the proof.
                unsafe { salsa20::$module::xor_bytes(span, key_stream) }
            }

            #[inline(always)]
            fn xor(self, matrix: &Matrix, counter: u64, span: Span<'_>) {
                // SAFETY: `self` is the proof.
                unsafe { salsa20::$module::xor(matrix, counter, span) }
            }

            #[inline(always)]
            fn short_mac(self, key: &[u8; 32], ciphertext: &[u8]) -> Tag {
                scalar::poly1305(&scalar::Key::new(key), ciphertext)
            }

            #[inline(always)]
            fn mac(self, key: &[u8; 32], len: usize) -> Self::Mac {
                // SAFETY: `self` is the proof.
                unsafe { poly1305::$module::Mac::new(key, len) }
            }

            #[inline(always)]
            fn mac_update(self, mac: &mut Self::Mac, ciphertext: &[u8]) -> usize {
                // SAFETY: `self` is the proof.
                unsafe { mac.update(ciphertext) }
            }

            #[inline(always)]
            fn mac_finish(self, mac: &mut Self::Mac, rest: &[u8]) -> Tag {
                // SAFETY: `self` is the proof.
                unsafe { mac.finish(rest) }
            }
        }
    };
}

path!(
    /// x86-64 with AVX2 and BMI2.
    Avx2, avx2, ["avx2", "bmi2"], "avx2,bmi2", 128, 4096
);

path!(
    /// x86-64 with AVX-512 F, VL, BW and IFMA, AVX2 and BMI2.
    Avx512Ifma,
    avx512,
    ["avx512f", "avx512vl", "avx512bw", "avx512ifma", "avx2", "bmi2"],
    "avx512f,avx512vl,avx512bw,avx512ifma,avx2,bmi2",
    128,
    4096
);
