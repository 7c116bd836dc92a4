//! Which path a message takes: looked up once per message in what the CPU says of itself, and in nothing else.

use studioml_envelope_core::{Implementation, Nonce, Part, SecretBox, SessionKey, Tag, Unauthentic};

#[cfg(target_arch = "x86_64")]
use crate::paths::{Avx2, Avx512Ifma};
use crate::portable::Portable;

/// The paths, the best last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Path {
    /// RustCrypto's crates, for every CPU.
    Portable,
    /// x86-64 with AVX2.
    Avx2,
    /// x86-64 with AVX-512 F, VL, BW and IFMA.
    Avx512Ifma,
}

impl Path {
    /// All of them, the best last.
    pub const ALL: [Self; 3] = [Self::Portable, Self::Avx2, Self::Avx512Ifma];

    /// As [`Implementation::path`] names it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Portable => "portable",
            Self::Avx2 => "avx2",
            Self::Avx512Ifma => "avx512ifma",
        }
    }

    /// What a part on this path says of itself.
    pub(crate) const fn implementation(self) -> Implementation {
        Implementation { library: env!("CARGO_PKG_NAME"), version: env!("CARGO_PKG_VERSION"), path: self.name() }
    }
}

/// The part that takes `path`, if this CPU has it.
#[inline]
pub(crate) fn secret_box(path: Path) -> Option<&'static dyn SecretBox> {
    match path {
        Path::Portable => Some(&Portable),
        #[cfg(target_arch = "x86_64")]
        Path::Avx2 => Avx2::detect().map(|path| path as &dyn SecretBox),
        #[cfg(target_arch = "x86_64")]
        Path::Avx512Ifma => Avx512Ifma::detect().map(|path| path as &dyn SecretBox),
        #[cfg(not(target_arch = "x86_64"))]
        Path::Avx2 | Path::Avx512Ifma => None,
    }
}

/// The best path that this CPU has.
#[inline]
fn detected() -> &'static dyn SecretBox {
    secret_box(Path::Avx512Ifma).or_else(|| secret_box(Path::Avx2)).unwrap_or(&Portable)
}

/// The best path that this CPU has, as a part.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Detected;

impl Part for Detected {
    fn implementation(&self) -> Implementation {
        detected().implementation()
    }
}

impl SecretBox for Detected {
    fn seal_in_place(&self, key: &SessionKey, nonce: &Nonce, text: &mut [u8]) -> Tag {
        detected().seal_in_place(key, nonce, text)
    }

    fn seal_chunks(&self, key: &SessionKey, nonce: &Nonce, plaintext: &[u8], sink: &mut dyn FnMut(&[u8])) -> Tag {
        detected().seal_chunks(key, nonce, plaintext, sink)
    }

    fn open_in_place(&self, key: &SessionKey, nonce: &Nonce, tag: &Tag, text: &mut [u8]) -> Result<(), Unauthentic> {
        detected().open_in_place(key, nonce, tag, text)
    }
}
