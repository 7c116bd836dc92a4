//! Mode `noise`, the default: `Noise_XX_P256_AESGCM_SHA256` (docs/spec.md §8; The Noise Protocol Framework, revision 34).
//!
//! Mutual authentication by long-term P-256 keys, forward secrecy, a key per direction. P256 is not in revision 34; as in
//! `snow`, a public key is the 65-byte uncompressed point and the DH output is the 32-byte x-coordinate.
//!
//! The pattern is implemented here, over the provider's slots, and tested against `snow` as the other side. `snow` itself
//! does not run over the slots: its DH trait hands private keys out as slices, its hash trait is a stream where the
//! [`Digest`](studioml_envelope_core::Digest) slot takes one buffer, and it keeps chaining keys and DH outputs in plain arrays
//! that nothing wipes. One fixed pattern needs a small part of what it does.

mod cipher;
mod handshake;
mod symmetric;
mod transport;

use std::sync::Arc;

use studioml_envelope_core::{KeyError, P256PrivateKey, P256PublicKey, Provider, StaticKey};

pub use handshake::Handshake;
pub(crate) use transport::{Reader, Writer};

/// The protocol name, which is also the first thing hashed.
pub const PROTOCOL_NAME: &str = "Noise_XX_P256_AESGCM_SHA256";

/// The prologue: what both ends hash before the first message, so that a handshake of another protocol does not fit.
pub const PROLOGUE: &[u8] = b"studioml-envelope channel 1";

/// The largest Noise message in bytes, without its length prefix.
pub const MAX_NOISE_MESSAGE: usize = 65_535;

/// The most bytes of an application message in one transport message: without tag and marker byte.
pub const MAX_PART: usize = MAX_NOISE_MESSAGE - TAG - 1;

const TAG: usize = 16;

/// This end's long-term key pair, loaded. Cheap to clone: many connections share one.
#[derive(Clone)]
#[allow(
    clippy::redundant_allocation,
    reason = "`Arc<dyn StaticKey>` would move the key and leave its old memory unwiped"
)]
pub struct LocalKey(Arc<Box<dyn StaticKey>>);

impl LocalKey {
    /// Loads a private key.
    ///
    /// # Errors
    /// [`KeyError`] if the scalar is out of range or the public part does not belong to it.
    pub fn load(provider: &Provider, key: &P256PrivateKey) -> Result<Self, KeyError> {
        provider.agree_static.load(key).map(|loaded| Self(Arc::new(loaded)))
    }

    /// Its public key.
    #[must_use]
    pub fn public_key(&self) -> &P256PublicKey {
        self.0.public_key()
    }

    fn pair(&self) -> &dyn StaticKey {
        &**self.0
    }
}

impl core::fmt::Debug for LocalKey {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_tuple("LocalKey").field(self.public_key()).finish()
    }
}
