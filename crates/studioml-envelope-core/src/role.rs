//! Roles: one small, object-safe trait per thing that a party does, and per party that does it.
//!
//! The sender's [`KeyWrap`] is not the receiver's [`KeyUnwrap`]; [`Sign`] is not [`Verify`]. A backend crate exports one
//! `static` per role that its library really has, and nothing for the rest, so that a missing capability is a compile error
//! and never a run-time "unsupported". Loading a key yields an object that keeps what was precomputed for it: parsing,
//! checking and precomputation happen once per key, not once per message.
//!
//! Adapters normalise: what a library would accept or refuse beyond its neighbours is cut away by the types here (exact
//! lengths, strict signatures, checked points), so that every part gives the same verdict and the same error variant on the
//! same input.

use crate::{
    AgreeError, BadSignature, KeyError, P256PrivateKey, P256PublicKey, RandomError, RsaPrivateKey, RsaPublicKey,
    SecretBytes, SessionKey, SharedSecret, Signature, SigningPrivateKey, SigningPublicKey, Unauthentic, Unwrapped,
    WrapError,
};

/// Which library serves a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Implementation {
    /// The library's name as in its registry, for example `aws-lc-rs`.
    pub library: &'static str,
    /// Its version. The conformance suite compares it with the lock file.
    pub version: &'static str,
    /// What it chose on this machine, for example `avx512ifma`; empty where it does not tell.
    pub path: &'static str,
}

/// What every part has: it can say who it is.
pub trait Part: Send + Sync {
    /// The library that does the work, so that no report credits one library with another's.
    fn implementation(&self) -> Implementation;
}

/// A source of random bytes fit for keys.
pub trait Random: Part {
    /// Fills `out` with random bytes.
    ///
    /// # Errors
    /// [`RandomError`] if the source failed. `out` must not be used then.
    fn fill(&self, out: &mut [u8]) -> Result<(), RandomError>;
}

/// Hashes of public data: fingerprints and message identities.
pub trait Digest: Part {
    /// SHA-256 (FIPS 180-4) of `data`.
    fn sha256(&self, data: &[u8]) -> [u8; 32];
    /// SHA-1 (FIPS 180-4) of `data`. Only for the two old fingerprint forms, which identify and prove nothing.
    fn sha1(&self, data: &[u8]) -> [u8; 20];
}

/// The sender's side of RSA-OAEP (SHA-256, MGF1-SHA-256, empty label; RFC 8017 §7.1).
pub trait KeyWrap: Part {
    /// Loads a recipient's public key.
    ///
    /// # Errors
    /// [`KeyError`] if the library refuses the key. The limits of [`RsaPublicKey`] are checked before this.
    fn load(&self, key: &RsaPublicKey) -> Result<Box<dyn Recipient>, KeyError>;
}

/// A recipient's loaded public key.
pub trait Recipient: Send + Sync {
    /// Length of a wrapped key in bytes: the length of the modulus.
    fn wrapped_len(&self) -> usize;

    /// Wraps `session_key` into `out`, whose length is [`wrapped_len`](Self::wrapped_len).
    ///
    /// `random` gives the OAEP seed where the library lets it be given; a library that insists on its own source says so in
    /// its crate's documentation.
    ///
    /// # Errors
    /// [`WrapError`] if the random source or the library failed, or if `out` has another length.
    fn wrap(&self, session_key: &SessionKey, random: &dyn Random, out: &mut [u8]) -> Result<(), WrapError>;
}

/// The receiver's side of RSA-OAEP.
pub trait KeyUnwrap: Part {
    /// Loads a private key, checks that its parts belong together, and precomputes.
    ///
    /// # Errors
    /// [`KeyError`] if the key is not consistent or the library refuses it.
    fn load(&self, key: &RsaPrivateKey) -> Result<Box<dyn Identity>, KeyError>;

    /// Makes a new private key with public exponent 65537.
    ///
    /// `bits` is 2048, 3072, 4096 or 8192. Takes seconds for 4096.
    ///
    /// # Errors
    /// [`KeyError::GenerationSize`] for another size, [`KeyError::Generation`] if the library failed.
    fn generate(&self, bits: usize, random: &dyn Random) -> Result<RsaPrivateKey, KeyError>;
}

/// A receiver's loaded private key.
pub trait Identity: Send + Sync {
    /// Length in bytes of the wrapped keys that this key accepts: the length of its modulus.
    fn wrapped_len(&self) -> usize;

    /// Unwraps `wrapped`, whose length the caller has compared with [`wrapped_len`](Self::wrapped_len).
    ///
    /// Every failure is the same [`Unwrapped`] value; there is no error to tell one from another. `random` serves blinding
    /// where the library takes it.
    fn unwrap(&self, wrapped: &[u8], random: &dyn Random) -> Unwrapped;
}

/// The 24-byte nonce of a SecretBox.
pub type Nonce = [u8; 24];
/// The 16-byte Poly1305 tag of a SecretBox.
pub type Tag = [u8; 16];

/// NaCl `secretbox`: XSalsa20-Poly1305 (D. J. Bernstein, *Cryptography in NaCl*, §9).
pub trait SecretBox: Part {
    /// Encrypts `text` in place and returns the tag.
    fn seal_in_place(&self, key: &SessionKey, nonce: &Nonce, text: &mut [u8]) -> Tag;

    /// Encrypts `plaintext` piece by piece, handing each piece of ciphertext to `sink` in order, and returns the tag.
    ///
    /// Pieces are small enough to stay in the first-level cache (at most [`CHUNK`] bytes), and their lengths are the part's
    /// own choice. The whole ciphertext never exists in memory of this part. `sink` is not called for an empty plaintext.
    fn seal_chunks(&self, key: &SessionKey, nonce: &Nonce, plaintext: &[u8], sink: &mut dyn FnMut(&[u8])) -> Tag;

    /// Checks the tag over all of `text` and only then decrypts it in place.
    ///
    /// # Errors
    /// [`Unauthentic`] if the tag is not right. `text` is then unchanged ciphertext: nothing unauthenticated was written.
    fn open_in_place(&self, key: &SessionKey, nonce: &Nonce, tag: &Tag, text: &mut [u8]) -> Result<(), Unauthentic>;
}

/// The largest piece that [`SecretBox::seal_chunks`] hands out, in bytes.
pub const CHUNK: usize = 16 * 1024;

/// Making signatures, Ed25519 or ECDSA P-256 as the key says.
pub trait Sign: Part {
    /// Loads a private key, checks its public part where it carries one, and precomputes.
    ///
    /// # Errors
    /// [`KeyError`] if the parts do not belong together or the library refuses the key.
    fn load(&self, key: &SigningPrivateKey) -> Result<Box<dyn SigningKey>, KeyError>;
}

/// A loaded private signing key.
pub trait SigningKey: Send + Sync {
    /// Its public key.
    fn public_key(&self) -> &SigningPublicKey;

    /// Signs `message`: Ed25519 (RFC 8032, pure) or ECDSA P-256 with SHA-256 (FIPS 186-5).
    ///
    /// `random` serves the ECDSA nonce where the library takes it.
    ///
    /// # Errors
    /// [`RandomError`] if a random source failed.
    fn sign(&self, message: &[u8], random: &dyn Random) -> Result<Signature, RandomError>;
}

/// Checking signatures, Ed25519 or ECDSA P-256 as the key says.
pub trait Verify: Part {
    /// Loads a public key.
    ///
    /// An Ed25519 encoding that is no point of the curve loads everywhere and verifies nothing; a P-256 point off the curve
    /// is refused here.
    ///
    /// # Errors
    /// [`KeyError::PointNotOnCurve`] for a P-256 point that is not on the curve; [`KeyError::Generation`] where a library checks
    /// that by a key pair made for it, and a random source failed.
    fn load(&self, key: &SigningPublicKey) -> Result<Box<dyn VerifyingKey>, KeyError>;
}

/// A loaded public signing key.
pub trait VerifyingKey: Send + Sync {
    /// Checks `signature` over `message`, strictly (docs/spec.md §3). A signature of another algorithm than the key's is bad.
    ///
    /// # Errors
    /// [`BadSignature`], which says no more than that.
    fn verify(&self, message: &[u8], signature: &Signature) -> Result<(), BadSignature>;
}

/// P-256 key agreement with a key pair made for one use.
pub trait Agree: Part {
    /// Makes a key pair. Libraries that insist on their own random source use that.
    ///
    /// # Errors
    /// [`RandomError`] if the random source failed.
    fn generate(&self, random: &dyn Random) -> Result<Box<dyn EphemeralKey>, RandomError>;
}

/// A key pair that one agreement consumes.
pub trait EphemeralKey: Send {
    /// The public key, to be sent to the peer.
    fn public_key(&self) -> &P256PublicKey;

    /// ECDH (SP 800-56A §5.7.1.2) with `peer`, whose point is checked to be on the curve first.
    ///
    /// # Errors
    /// [`AgreeError`] if the point is not on the curve.
    fn agree(self: Box<Self>, peer: &P256PublicKey) -> Result<SharedSecret, AgreeError>;
}

/// P-256 key agreement with a key pair that is kept: a long-term identity, or a Noise ephemeral that two tokens need.
pub trait AgreeStatic: Part {
    /// Loads a private key.
    ///
    /// # Errors
    /// [`KeyError`] if the scalar is zero or not below the group order, or the public part does not belong to it.
    fn load(&self, key: &P256PrivateKey) -> Result<Box<dyn StaticKey>, KeyError>;

    /// Makes a key pair. `random` is used; a scalar out of range is drawn again.
    ///
    /// # Errors
    /// [`KeyError::Generation`] if the random source failed.
    fn generate(&self, random: &dyn Random) -> Result<P256PrivateKey, KeyError>;

    /// Makes a key pair that is used and never stored: a Noise ephemeral. Libraries that insist on their own random source use
    /// that.
    ///
    /// # Errors
    /// [`KeyError::Generation`] if the random source failed.
    fn generate_loaded(&self, random: &dyn Random) -> Result<Box<dyn StaticKey>, KeyError> {
        self.load(&self.generate(random)?)
    }

    /// The public key of a private scalar of 32 bytes, big-endian: for key files that leave it out.
    ///
    /// # Errors
    /// [`KeyError::Length`] or [`KeyError::ScalarOutOfRange`], as [`P256PrivateKey::check_scalar`] says.
    fn public_key_of(&self, scalar: &SecretBytes) -> Result<P256PublicKey, KeyError>;
}

/// A key pair for any number of agreements.
pub trait StaticKey: Send + Sync {
    /// The public key.
    fn public_key(&self) -> &P256PublicKey;

    /// ECDH (SP 800-56A §5.7.1.2) with `peer`, whose point is checked to be on the curve first.
    ///
    /// # Errors
    /// [`AgreeError`] if the point is not on the curve.
    fn agree(&self, peer: &P256PublicKey) -> Result<SharedSecret, AgreeError>;
}

/// AES-256-GCM (SP 800-38D) with 12-byte nonces and 16-byte tags.
pub trait Aead: Part {
    /// Loads a 32-byte key. The caller wipes its own copy.
    fn load(&self, key: &[u8; 32]) -> Box<dyn AeadKey>;
}

/// A loaded AES-256-GCM key.
pub trait AeadKey: Send + Sync {
    /// Encrypts `text` in place and returns the tag. A nonce is never used twice under one key: the caller counts.
    ///
    /// `text` is at most 2^36 − 32 bytes (SP 800-38D §5.2.1.1); the channel's records stay far below.
    fn seal_in_place(&self, nonce: &[u8; 12], associated_data: &[u8], text: &mut [u8]) -> [u8; 16];

    /// Checks the tag and decrypts `text` in place.
    ///
    /// # Errors
    /// [`Unauthentic`] if the tag is not right; `text` then holds nothing that may be used, and is wiped.
    fn open_in_place(
        &self,
        nonce: &[u8; 12],
        associated_data: &[u8],
        tag: &[u8; 16],
        text: &mut [u8],
    ) -> Result<(), Unauthentic>;
}

/// HKDF-SHA256 (RFC 5869).
pub trait Kdf: Part {
    /// Extract and expand in one: fills `out` from `ikm`, `salt` and `info`. An empty `salt` is the RFC's default.
    ///
    /// This is also Noise's `HKDF(chaining_key, ikm, n)` with `salt = chaining_key`, empty `info` and `32·n` bytes out.
    ///
    /// # Errors
    /// [`KdfOutputTooLong`](crate::KdfOutputTooLong) if `out` is longer than 255 · 32 = 8160 bytes.
    fn hkdf_sha256(&self, salt: &[u8], ikm: &[u8], info: &[u8], out: &mut [u8]) -> Result<(), crate::KdfOutputTooLong>;
}
