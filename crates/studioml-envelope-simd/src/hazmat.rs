//! The paths and kernels one by one, for tests, fuzz targets and timing checks. Not part of the public interface: nothing
//! here is covered by the version number, and raw kernels authenticate nothing.

pub use crate::dispatch::Path;

use poly1305::universal_hash::KeyInit;
use salsa20::SalsaCore;
use salsa20::cipher::{KeyIvInit, StreamCipher, StreamCipherCoreWrapper, StreamCipherSeekCore, consts::U10};
use studioml_envelope_core::SecretBox;

use crate::portable::Portable;

/// The part that always takes `path`; `None` if this CPU cannot.
#[must_use]
pub fn secret_box(path: Path) -> Option<&'static dyn SecretBox> {
    match path {
        Path::Portable => Some(&Portable),
        Path::Avx2 | Path::Avx512Ifma => None,
    }
}

/// The kernels of one path.
pub trait Kernels {
    /// HSalsa20 (*Extending the Salsa20 nonce*, §2) of a key and the first 16 bytes of an XSalsa20 nonce.
    fn hsalsa20(&self, key: &[u8; 32], input: &[u8; 16]) -> [u8; 32];

    /// Salsa20/20: XORs the key stream onto `text`, beginning with block `counter`. The counter wraps at 2^64.
    fn salsa20_xor(&self, key: &[u8; 32], nonce: &[u8; 8], counter: u64, text: &mut [u8]);

    /// Poly1305 under a one-time key, `r` (clamped here) first.
    fn poly1305(&self, key: &[u8; 32], message: &[u8]) -> [u8; 16];
}

/// The kernels of `path`; `None` if this CPU cannot.
#[must_use]
pub fn kernels(path: Path) -> Option<&'static dyn Kernels> {
    match path {
        Path::Portable => Some(&Portable),
        Path::Avx2 | Path::Avx512Ifma => None,
    }
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

    fn poly1305(&self, key: &[u8; 32], message: &[u8]) -> [u8; 16] {
        poly1305::Poly1305::new(key.into()).compute_unpadded(message).into()
    }
}
