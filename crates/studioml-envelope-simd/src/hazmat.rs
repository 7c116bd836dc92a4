//! The paths and kernels one by one, for tests, fuzz targets and timing checks. Not part of the public interface: nothing
//! here is covered by the version number, and raw kernels authenticate nothing.

use poly1305::universal_hash::KeyInit;
use salsa20::SalsaCore;
use salsa20::cipher::{KeyIvInit, StreamCipher, StreamCipherCoreWrapper, StreamCipherSeekCore, consts::U10};
use studioml_envelope_core::SecretBox;

pub use crate::dispatch::Path;
use crate::poly1305::scalar;
use crate::portable::Portable;

/// The part that always takes `path`; `None` if this CPU cannot.
#[must_use]
pub fn secret_box(path: Path) -> Option<&'static dyn SecretBox> {
    crate::dispatch::secret_box(path)
}

/// The kernels of one path.
pub trait Kernels {
    /// HSalsa20 (*Extending the Salsa20 nonce*, §2) of a key and the first 16 bytes of an XSalsa20 nonce.
    fn hsalsa20(&self, key: &[u8; 32], input: &[u8; 16]) -> [u8; 32];

    /// Salsa20/20: XORs the key stream onto `text`, beginning with block `counter`. The counter wraps at 2^64.
    fn salsa20_xor(&self, key: &[u8; 32], nonce: &[u8; 8], counter: u64, text: &mut [u8]);

    /// The same from block 0 on, by the kernel for the beginning of a message, which has its own few-block paths.
    /// Fills no more than it makes at once: [`first_len`](Self::first_len) bytes.
    fn salsa20_first(&self, key: &[u8; 32], nonce: &[u8; 8], stream: &mut [u8]);

    /// How many bytes [`salsa20_first`](Self::salsa20_first) makes at most.
    fn first_len(&self) -> usize;

    /// Poly1305 under a one-time key, `r` (clamped here) first, by the kernel for messages that are not short.
    fn poly1305(&self, key: &[u8; 32], message: &[u8]) -> [u8; 16];
}

/// The kernels of `path`; `None` if this CPU cannot.
#[must_use]
pub fn kernels(path: Path) -> Option<&'static dyn Kernels> {
    match path {
        Path::Portable => Some(&Portable),
        #[cfg(target_arch = "x86_64")]
        Path::Avx2 => crate::paths::Avx2::detect().map(|path| path as &dyn Kernels),
        #[cfg(target_arch = "x86_64")]
        Path::Avx512Ifma => crate::paths::Avx512Ifma::detect().map(|path| path as &dyn Kernels),
        #[cfg(not(target_arch = "x86_64"))]
        Path::Avx2 | Path::Avx512Ifma => None,
    }
}

/// Poly1305 in 64-bit words: what the vector paths take for short messages.
#[must_use]
pub fn poly1305_short(key: &[u8; 32], message: &[u8]) -> [u8; 16] {
    scalar::poly1305(&scalar::Key::new(key), message)
}

impl Kernels for Portable {
    fn hsalsa20(&self, key: &[u8; 32], input: &[u8; 16]) -> [u8; 32] {
        salsa20::hsalsa::<U10>(key.into(), input.into()).into()
    }

    fn salsa20_xor(&self, key: &[u8; 32], nonce: &[u8; 8], counter: u64, text: &mut [u8]) {
        let mut core = SalsaCore::<U10>::new(key.into(), nonce.into());
        core.set_block_pos(counter);
        StreamCipherCoreWrapper::from_core(core).apply_keystream(text);
    }

    fn salsa20_first(&self, key: &[u8; 32], nonce: &[u8; 8], stream: &mut [u8]) {
        stream.fill(0);
        self.salsa20_xor(key, nonce, 0, stream);
    }

    fn first_len(&self) -> usize {
        usize::MAX
    }

    fn poly1305(&self, key: &[u8; 32], message: &[u8]) -> [u8; 16] {
        poly1305::Poly1305::new(key.into()).compute_unpadded(message).into()
    }
}

/// Kernels of the vector paths, as the flow of a message calls them.
#[cfg(target_arch = "x86_64")]
macro_rules! vector_kernels {
    ($name:ident) => {
        impl Kernels for crate::paths::$name {
            fn hsalsa20(&self, key: &[u8; 32], input: &[u8; 16]) -> [u8; 32] {
                let mut matrix = Matrix::new();
                flow::Kernels::xsalsa20(*self, key, input, &[0; 8], &mut matrix);
                let mut out = [0; 32];
                let [_, k0, k1, k2, k3, _, _, _, _, _, _, k4, k5, k6, k7, _] = matrix.words;
                let words = [k0, k1, k2, k3, k4, k5, k6, k7];
                for (to, word) in out.as_chunks_mut::<4>().0.iter_mut().zip(words) {
                    *to = word.to_le_bytes();
                }
                out
            }

            fn salsa20_xor(&self, key: &[u8; 32], nonce: &[u8; 8], counter: u64, text: &mut [u8]) {
                let mut work = Stream::new();
                flow::Kernels::xor(*self, &Matrix::of(key, nonce), counter, Span::in_place(text), &mut work);
            }

            fn salsa20_first(&self, key: &[u8; 32], nonce: &[u8; 8], stream: &mut [u8]) {
                let mut first = Stream::new();
                let mut matrix = Matrix::of(key, nonce);
                let (mac_key, text) = stream.split_at_mut(MAC_KEY.min(stream.len()));
                let mut mac = <Self as flow::Kernels>::Mac::default();
                flow::Kernels::begin(*self, &mut matrix, text.len().max(1), &mut first, &mut mac);
                // SAFETY: block 0 has been made.
                for (to, from) in mac_key.iter_mut().zip(unsafe { first.mac_key() }) {
                    *to = *from;
                }
                text.fill(0);
                // SAFETY: the blocks of all of it have been made.
                unsafe { flow::Kernels::xor_first(*self, &matrix, Span::in_place(text), &mut first) };
            }

            fn first_len(&self) -> usize {
                <Self as flow::Kernels>::FIRST * BLOCK
            }

            fn poly1305(&self, key: &[u8; 32], message: &[u8]) -> [u8; 16] {
                if message.is_empty() {
                    return flow::Kernels::short_mac(*self, key, message);
                }
                let mut mac = <Self as flow::Kernels>::Mac::default();
                flow::Kernels::mac_begin(*self, &mut mac, key, message.len());
                flow::Kernels::mac_finish(*self, &mut mac, message)
            }
        }
    };
}

#[cfg(target_arch = "x86_64")]
mod vectors {
    use super::Kernels;
    use crate::flow;
    use crate::salsa20::{BLOCK, MAC_KEY, Matrix, Stream};
    use crate::span::Span;

    vector_kernels!(Avx2);
    vector_kernels!(Avx512Ifma);
}
