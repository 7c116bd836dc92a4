//! A provider: one part for every role, as a plain value.

use crate::{
    Aead, Agree, AgreeStatic, Digest, Implementation, Kdf, KeyUnwrap, KeyWrap, Random, SecretBox, Sign, Verify,
};

/// A full set of parts. `Copy`, all slots filled, composed by struct update syntax:
///
/// ```
/// # use studioml_envelope_core::Provider;
/// # mod other { pub use studioml_envelope_rustcrypto::SECRET_BOX; }
/// use studioml_envelope_rustcrypto::PROVIDER;
///
/// const MIX: Provider = Provider { name: "mix", secret_box: &other::SECRET_BOX, ..PROVIDER };
/// ```
///
/// All providers are wire-identical by contract: choosing another one changes speed and never a byte or a verdict. The
/// conformance suite holds them to it.
#[derive(Clone, Copy)]
pub struct Provider {
    /// What it is called on the command line and in reports: named for what it contains.
    pub name: &'static str,
    /// Random bytes for session keys, nonces and substitute keys. Replace it to replay a test, never by a feature.
    pub random: &'static dyn Random,
    /// SHA-256 and SHA-1 of public data.
    pub digest: &'static dyn Digest,
    /// RSA-OAEP, the sender's side.
    pub key_wrap: &'static dyn KeyWrap,
    /// RSA-OAEP, the receiver's side.
    pub key_unwrap: &'static dyn KeyUnwrap,
    /// XSalsa20-Poly1305.
    pub secret_box: &'static dyn SecretBox,
    /// Signatures, the signer's side.
    pub sign: &'static dyn Sign,
    /// Signatures, the verifier's side.
    pub verify: &'static dyn Verify,
    /// P-256 agreement, key pairs for one use.
    pub agree: &'static dyn Agree,
    /// P-256 agreement, key pairs that are kept.
    pub agree_static: &'static dyn AgreeStatic,
    /// AES-256-GCM.
    pub aead: &'static dyn Aead,
    /// HKDF-SHA256.
    pub kdf: &'static dyn Kdf,
}

impl Provider {
    /// Slot by slot, which library serves it.
    #[must_use]
    pub fn describe(&self) -> [(&'static str, Implementation); 11] {
        [
            ("random", self.random.implementation()),
            ("digest", self.digest.implementation()),
            ("key_wrap", self.key_wrap.implementation()),
            ("key_unwrap", self.key_unwrap.implementation()),
            ("secret_box", self.secret_box.implementation()),
            ("sign", self.sign.implementation()),
            ("verify", self.verify.implementation()),
            ("agree", self.agree.implementation()),
            ("agree_static", self.agree_static.implementation()),
            ("aead", self.aead.implementation()),
            ("kdf", self.kdf.implementation()),
        ]
    }
}

impl core::fmt::Debug for Provider {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_tuple("Provider").field(&self.name).finish()
    }
}
