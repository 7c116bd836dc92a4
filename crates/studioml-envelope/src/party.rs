//! The four parties: who seals, who opens, who signs, who verifies. Each loads its key once and is used for many messages.

use std::{fmt, sync::Arc};

use studioml_envelope_core::{
    DEFAULT_MAX_PLAINTEXT, Ed25519PrivateKey, Fingerprint, FingerprintForm, Identity, KeyError, Message, OpenError,
    Opened, Payload, Policy, Provider, RandomError, Recipient, RsaPrivateKey, RsaPublicKey, SealError, SecretBytes,
    SigningKey, SigningPrivateKey, SigningPublicKey, TrustedSigner, UnauthenticatedHeaders, UnauthenticatedPlaintext,
    Verified, VerifyError, seal, seal_envelope, seal_into,
};

/// Seals messages for one recipient.
#[derive(Clone)]
pub struct Sealer {
    provider: Provider,
    recipient: Arc<dyn Recipient>,
    max_plaintext: usize,
}

impl Sealer {
    /// Loads the recipient's public key.
    ///
    /// # Errors
    /// [`KeyError`] if the library refuses it.
    pub fn new(provider: &Provider, recipient: &RsaPublicKey) -> Result<Self, KeyError> {
        Ok(Self::from_recipient(provider, provider.key_wrap.load(recipient)?.into()))
    }

    /// Takes over a public key that is loaded already, by the same provider.
    #[must_use]
    pub fn from_recipient(provider: &Provider, recipient: Arc<dyn Recipient>) -> Self {
        Self { provider: *provider, recipient, max_plaintext: DEFAULT_MAX_PLAINTEXT }
    }

    /// Sets the largest plaintext in bytes; 256 MiB if not set. The receiving side has a limit of its own.
    #[must_use]
    pub fn with_max_plaintext(mut self, bytes: usize) -> Self {
        self.max_plaintext = bytes;
        self
    }

    /// Seals `plaintext` and returns the payload string, ASCII: a report, or the payload of a message.
    ///
    /// # Errors
    /// [`SealError`].
    pub fn seal(&self, plaintext: &[u8]) -> Result<Vec<u8>, SealError> {
        seal(&self.provider, self.recipient.as_ref(), plaintext, self.max_plaintext)
    }

    /// Seals like [`seal`](Self::seal) into `out`, whose contents are replaced and whose memory is used again.
    ///
    /// # Errors
    /// [`SealError`]; `out` is empty then.
    pub fn seal_into(&self, plaintext: &[u8], out: &mut Vec<u8>) -> Result<(), SealError> {
        seal_into(&self.provider, self.recipient.as_ref(), plaintext, self.max_plaintext, out)
    }

    /// Seals a Request, signs it, and returns the message envelope as JSON, its headers copied from the Request.
    ///
    /// A plaintext that is no JSON object gets an envelope without headers.
    ///
    /// # Errors
    /// [`SealError`].
    pub fn seal_signed_envelope(&self, request: &[u8], signer: &Signer) -> Result<Vec<u8>, SealError> {
        self.envelope(request, Some(&**signer.key))
    }

    /// Seals a Request and returns an envelope without a signature, which every verifier refuses.
    ///
    /// # Errors
    /// [`SealError`].
    pub fn seal_unsigned_envelope(&self, request: &[u8]) -> Result<Vec<u8>, SealError> {
        self.envelope(request, None)
    }

    fn envelope(&self, request: &[u8], signer: Option<&dyn SigningKey>) -> Result<Vec<u8>, SealError> {
        // the plaintext is opaque; headers are a courtesy
        let headers = UnauthenticatedHeaders::from_request(request).unwrap_or_default();
        seal_envelope(&self.provider, self.recipient.as_ref(), signer, &headers, request, self.max_plaintext)
    }
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealer").field("max_plaintext", &self.max_plaintext).finish_non_exhaustive()
    }
}

/// Opens messages with the private keys of one recipient: the current one, and older ones while keys rotate.
#[derive(Clone)]
pub struct Opener {
    provider: Provider,
    identities: Vec<Arc<dyn Identity>>,
}

impl Opener {
    /// Loads the private keys: checks that their parts belong together, and precomputes.
    ///
    /// # Errors
    /// [`KeyError`] of the first key that cannot be used.
    pub fn new<'k>(provider: &Provider, keys: impl IntoIterator<Item = &'k RsaPrivateKey>) -> Result<Self, KeyError> {
        let load = |key| provider.key_unwrap.load(key).map(Arc::from);
        let identities = keys.into_iter().map(load).collect::<Result<_, _>>()?;
        Ok(Self::from_identities(provider, identities))
    }

    /// Takes over keys that are loaded already, by the same provider.
    #[must_use]
    pub fn from_identities(provider: &Provider, identities: Vec<Arc<dyn Identity>>) -> Self {
        Self { provider: *provider, identities }
    }

    /// Opens a verified payload in its own buffer.
    ///
    /// # Errors
    /// [`OpenError`]: one opaque [`OpenError::CannotOpen`] for everything that depends on a key.
    pub fn open<'a>(&self, verified: Verified<'a>) -> Result<Opened<'a>, OpenError> {
        verified.open(&self.provider, &self.identities)
    }

    /// Opens a report in its own buffer. Anybody who has the public key can have made it.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open_report<'a>(
        &self,
        payload: &'a mut [u8],
        max_plaintext: usize,
    ) -> Result<UnauthenticatedPlaintext<'a>, OpenError> {
        Payload::open_report(payload, max_plaintext, &self.provider, &self.identities)
    }

    /// Opens a payload whose signature nobody has checked.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open_unauthenticated<'a>(&self, payload: Payload<'a>) -> Result<UnauthenticatedPlaintext<'a>, OpenError> {
        payload.open_unauthenticated(&self.provider, &self.identities)
    }
}

impl fmt::Debug for Opener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opener").field("identities", &self.identities.len()).finish_non_exhaustive()
    }
}

/// Signs payload strings with one key.
#[derive(Clone)]
pub struct Signer {
    provider: Provider,
    /// It stays where its part made it: `Arc<dyn SigningKey>` would move it, and leave the private key behind unwiped.
    #[allow(clippy::redundant_allocation, reason = "see above")]
    key: Arc<Box<dyn SigningKey>>,
}

impl Signer {
    /// Loads a private signing key, Ed25519 or P-256.
    ///
    /// # Errors
    /// [`KeyError`] if its parts do not belong together.
    pub fn new(provider: &Provider, key: &SigningPrivateKey) -> Result<Self, KeyError> {
        Ok(Self::from_key(provider, provider.sign.load(key)?))
    }

    /// Takes over a private key that is loaded already, by the same provider.
    #[must_use]
    pub fn from_key(provider: &Provider, key: Box<dyn SigningKey>) -> Self {
        Self { provider: *provider, key: Arc::new(key) }
    }

    /// The `signature` member for a payload string: base64.
    ///
    /// # Errors
    /// [`RandomError`] if the random source failed.
    pub fn sign(&self, payload: &[u8]) -> Result<String, RandomError> {
        Ok(self.key.sign(payload, self.provider.random)?.to_base64())
    }

    /// The public key.
    #[must_use]
    pub fn public_key(&self) -> &SigningPublicKey {
        self.key.public_key()
    }

    /// The key's fingerprint in the given form.
    #[must_use]
    pub fn fingerprint(&self, form: FingerprintForm) -> Fingerprint {
        Fingerprint::of(&(*self.public_key()).into(), form, self.provider.digest)
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer").field("public_key", self.public_key()).finish_non_exhaustive()
    }
}

/// Verifies messages under a set of trusted signing keys and a policy.
#[derive(Clone, Debug)]
pub struct Verifier {
    trusted: Vec<Arc<TrustedSigner>>,
    policy: Policy,
}

impl Verifier {
    /// Loads the keys that are trusted.
    ///
    /// # Errors
    /// [`KeyError`] of the first key that the library refuses.
    pub fn new<'k>(
        provider: &Provider,
        keys: impl IntoIterator<Item = &'k SigningPublicKey>,
    ) -> Result<Self, KeyError> {
        let load = |key| TrustedSigner::load(provider, key).map(Arc::new);
        Ok(Self::from_trusted(keys.into_iter().map(load).collect::<Result<_, _>>()?))
    }

    /// Takes over keys that are loaded already.
    #[must_use]
    pub fn from_trusted(trusted: Vec<Arc<TrustedSigner>>) -> Self {
        Self { trusted, policy: Policy::default() }
    }

    /// Sets the policy. The default refuses mismatched and missing fingerprints.
    #[must_use]
    pub fn with_policy(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }

    /// Verifies a message: signature first, then the claim of identity.
    ///
    /// # Errors
    /// [`VerifyError`].
    pub fn verify<'a>(&self, message: Message<'a>) -> Result<Verified<'a>, VerifyError> {
        message.verify(&self.trusted, &self.policy)
    }

    /// Verifies a bare payload under a signature that came beside it.
    ///
    /// # Errors
    /// [`VerifyError`].
    pub fn verify_payload<'a>(&self, payload: Payload<'a>, signature: &str) -> Result<Verified<'a>, VerifyError> {
        payload.verify(signature, &self.trusted)
    }
}

/// Makes an RSA key pair of 2048, 3072, 4096 or 8192 bits; 4096 is usual.
///
/// # Errors
/// [`KeyError::GenerationSize`] for another size; [`KeyError::Generation`] if the library or its random source failed.
pub fn generate_rsa(provider: &Provider, bits: usize) -> Result<RsaPrivateKey, KeyError> {
    provider.key_unwrap.generate(bits, provider.random)
}

/// Makes an Ed25519 signing key: 32 random bytes (RFC 8032 §5.1.5).
///
/// # Errors
/// [`KeyError::Generation`] if the random source failed.
pub fn generate_ed25519(provider: &Provider) -> Result<SigningPrivateKey, KeyError> {
    let mut seed = vec![0; Ed25519PrivateKey::LEN];
    let drawn = provider.random.fill(&mut seed);
    let seed = SecretBytes::new(seed);
    drawn.map_err(|RandomError| KeyError::Generation)?;
    Ok(SigningPrivateKey::Ed25519(Ed25519PrivateKey::new(seed, None)?))
}

/// Makes a P-256 signing key.
///
/// # Errors
/// [`KeyError::Generation`] if the random source failed.
pub fn generate_p256(provider: &Provider) -> Result<SigningPrivateKey, KeyError> {
    provider.agree_static.generate(provider.random).map(SigningPrivateKey::P256)
}
