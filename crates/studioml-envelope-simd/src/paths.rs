//! The vector paths: for each a proof that the CPU has it, and one function per operation for which its features are enabled,
//! into which all of its kernels are written.

use studioml_envelope_core::{Implementation, Nonce, Part, SecretBox, SessionKey, Tag, Unauthentic};
use zeroize::zeroize_stack;

use crate::dispatch::Path;
use crate::flow::{self, FEW_BLOCKS, FIRST_BLOCKS, Kernels, Scratch, Start, Work};
use crate::poly1305::{self, scalar};
use crate::salsa20::{self, MAC_KEY, Matrix, Stream};
use crate::span::Span;
use crate::wipe::WipeStack;

/// Runs the island for this length, and overwrites the stack that it has used: what the compiler spilled there. What is secret
/// and has a name stands in this frame, and wipes itself.
#[inline(always)]
fn wiped<const SHORT: usize, const LONG: usize, K: Kernels, T, R>(
    len: usize,
    text: T,
    short: impl FnOnce(&mut Start<FEW_BLOCKS>, T) -> R,
    long: impl FnOnce(&mut Work<K>, T) -> R,
) -> R {
    if len <= flow::short::MAX {
        let result = short(&mut Start::new(), text);
        zeroize_stack::<SHORT>();
        result
    } else {
        let result = long(&mut Work::new(), text);
        zeroize_stack::<LONG>();
        result
    }
}

/// The same for sealing in pieces, even if the sink panics.
#[inline(always)]
fn seal_chunks<const SHORT: usize, const LONG: usize, K: Kernels>(
    plaintext: &[u8],
    sink: &mut dyn FnMut(&[u8]),
    short: impl FnOnce(&mut Start<FEW_BLOCKS>, &mut [u8]) -> Tag,
    long: impl FnOnce(&mut Work<K>, &mut Scratch, &mut dyn FnMut(&[u8])) -> Tag,
) -> Tag {
    if plaintext.len() <= flow::short::MAX {
        let mut ciphertext = [0; flow::short::MAX];
        let (ciphertext, _) = ciphertext.split_at_mut(plaintext.len());
        let tag = short(&mut Start::new(), ciphertext);
        zeroize_stack::<SHORT>();
        if !ciphertext.is_empty() {
            sink(ciphertext);
        }
        return tag;
    }
    let mut scratch = Scratch::new();
    let _wipe = WipeStack::<LONG>;
    long(&mut Work::new(), &mut scratch, sink)
}

/// How much stack is overwritten. `tuned` is for the builds that are measured for speed; any other leaves more calls standing and
/// keeps more on the stack (without optimisation more than 48 KiB), and does not feel what overwriting it costs.
const fn deep(tuned: usize) -> usize {
    if cfg!(all(optimised_for_speed, not(debug_assertions))) { tuned } else { 96 * 1024 }
}

// `stack` is what an island uses, with what it calls, for a short message and for any other, in a build that is optimised for
// speed, whatever its codegen units and link-time optimisation: the test `wiped` finds what would lie deeper.
macro_rules! path {
    (
        $(#[$doc:meta])*
        $name:ident, $module:ident, [$($feature:tt),+], $features:literal,
        stack: $short:literal short, $long:literal long
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
                fn short(
                    path: $name,
                    start: &mut Start<FEW_BLOCKS>,
                    key: &SessionKey,
                    nonce: &Nonce,
                    text: &mut [u8],
                ) -> Tag {
                    flow::short::seal_in_place(path, start, key, nonce, text)
                }
                #[inline(never)]
                #[target_feature(enable = $features)]
                fn long(path: $name, work: &mut Work<$name>, key: &SessionKey, nonce: &Nonce, text: &mut [u8]) -> Tag {
                    flow::seal_in_place(path, work, key, nonce, text)
                }
                #[target_feature(enable = $features)]
                fn island(path: $name, key: &SessionKey, nonce: &Nonce, text: &mut [u8]) -> Tag {
                    wiped::<{ deep($short) }, { deep($long) }, $name, _, _>(
                        text.len(),
                        text,
                        |start, text| short(path, start, key, nonce, text),
                        |work, text| long(path, work, key, nonce, text),
                    )
                }
                // SAFETY: `self` is the proof that this CPU has the features.
                unsafe { island(*self, key, nonce, text) }
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
                fn short(
                    path: $name,
                    start: &mut Start<FEW_BLOCKS>,
                    key: &SessionKey,
                    nonce: &Nonce,
                    plaintext: &[u8],
                    ciphertext: &mut [u8],
                ) -> Tag {
                    flow::short::seal_into(path, start, key, nonce, plaintext, ciphertext)
                }
                #[inline(never)]
                #[target_feature(enable = $features)]
                fn long(
                    path: $name,
                    work: &mut Work<$name>,
                    key: &SessionKey,
                    nonce: &Nonce,
                    plaintext: &[u8],
                    scratch: &mut Scratch,
                    sink: &mut dyn FnMut(&[u8]),
                ) -> Tag {
                    flow::seal_chunks(path, work, key, nonce, plaintext, scratch, sink)
                }
                #[target_feature(enable = $features)]
                fn island(
                    path: $name,
                    key: &SessionKey,
                    nonce: &Nonce,
                    plaintext: &[u8],
                    sink: &mut dyn FnMut(&[u8]),
                ) -> Tag {
                    seal_chunks::<{ deep($short) }, { deep($long) }, $name>(
                        plaintext,
                        sink,
                        |start, ciphertext| short(path, start, key, nonce, plaintext, ciphertext),
                        |work, scratch, sink| long(path, work, key, nonce, plaintext, scratch, sink),
                    )
                }
                // SAFETY: `self` is the proof that this CPU has the features.
                unsafe { island(*self, key, nonce, plaintext, sink) }
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
                fn short(
                    path: $name,
                    start: &mut Start<FEW_BLOCKS>,
                    key: &SessionKey,
                    nonce: &Nonce,
                    tag: &Tag,
                    text: &mut [u8],
                ) -> Result<(), Unauthentic> {
                    flow::short::open_in_place(path, start, key, nonce, tag, text)
                }
                #[inline(never)]
                #[target_feature(enable = $features)]
                fn long(
                    path: $name,
                    work: &mut Work<$name>,
                    key: &SessionKey,
                    nonce: &Nonce,
                    tag: &Tag,
                    text: &mut [u8],
                ) -> Result<(), Unauthentic> {
                    flow::open_in_place(path, work, key, nonce, tag, text)
                }
                #[target_feature(enable = $features)]
                fn island(
                    path: $name,
                    key: &SessionKey,
                    nonce: &Nonce,
                    tag: &Tag,
                    text: &mut [u8],
                ) -> Result<(), Unauthentic> {
                    wiped::<{ deep($short) }, { deep($long) }, $name, _, _>(
                        text.len(),
                        text,
                        |start, text| short(path, start, key, nonce, tag, text),
                        |work, text| long(path, work, key, nonce, tag, text),
                    )
                }
                // SAFETY: `self` is the proof that this CPU has the features.
                unsafe { island(*self, key, nonce, tag, text) }
            }
        }

        // Each function here wants the features that `detect` has found.
        impl Kernels for $name {
            type Mac = poly1305::$module::Mac;
            const FIRST: usize = salsa20::$module::FIRST;

            #[inline(always)]
            fn xsalsa20(self, key: &[u8; 32], input: &[u8; 16], nonce: &[u8; 8], matrix: &mut Matrix) {
                // SAFETY: `self` is the proof.
                unsafe { salsa20::$module::xsalsa20(key, input, nonce, matrix) }
            }

            #[inline(always)]
            fn few_blocks(self, matrix: &Matrix, blocks: usize, stream: &mut Stream<FEW_BLOCKS>) {
                // SAFETY: `self` is the proof.
                unsafe { salsa20::$module::few_blocks(matrix, blocks, stream) }
            }

            #[inline(always)]
            fn begin(self, matrix: &mut Matrix, len: usize, stream: &mut Stream<FIRST_BLOCKS>, mac: &mut Self::Mac) {
                // SAFETY: `self` is the proof.
                unsafe { salsa20::$module::begin(matrix, len, stream, mac) }
            }

            #[inline(always)]
            unsafe fn xor_first(self, matrix: &Matrix, span: Span<'_>, stream: &mut Stream<FIRST_BLOCKS>) {
                // SAFETY: `self` is the proof; and as the caller promises.
                unsafe { salsa20::$module::xor_first(matrix, span, stream) }
            }

            #[inline(always)]
            fn xor_bytes(self, span: Span<'_>, key_stream: &[u8]) {
                // SAFETY: `self` is the proof.
                unsafe { salsa20::$module::xor_bytes(span, key_stream) }
            }

            #[inline(always)]
            fn xor(self, matrix: &Matrix, counter: u64, span: Span<'_>, work: &mut Stream<FIRST_BLOCKS>) {
                // SAFETY: `self` is the proof.
                unsafe { salsa20::$module::xor(matrix, counter, span, work) }
            }

            #[inline(always)]
            fn short_mac(self, key: &[u8; 32], ciphertext: &[u8]) -> Tag {
                scalar::poly1305(&scalar::Key::new(key), ciphertext)
            }

            #[inline(always)]
            fn mac_begin(self, mac: &mut Self::Mac, key: &[u8; MAC_KEY], len: usize) {
                // SAFETY: `self` is the proof.
                unsafe { mac.begin(key, len) }
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
    Avx2, avx2, ["avx2", "bmi2"], "avx2,bmi2", stack: 1024 short, 4096 long
);

path!(
    /// x86-64 with AVX-512 F, VL, BW and IFMA, AVX2 and BMI2.
    Avx512Ifma,
    avx512,
    ["avx512f", "avx512vl", "avx512bw", "avx512ifma", "avx2", "bmi2"],
    "avx512f,avx512vl,avx512bw,avx512ifma,avx2,bmi2",
    stack: 512 short, 1024 long
);
