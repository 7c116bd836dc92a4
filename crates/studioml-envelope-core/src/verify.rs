//! Verification and what comes after it: [`Payload`] or [`Message`](crate::Message) → [`Verified`] → [`Opened`] (docs/spec.md §3,
//! §4, §7).
//!
//! What has been checked is in the type. Only verification makes a [`Verified`], only opening one makes an [`Opened`], and
//! only an [`Opened`] gives a Request. What was opened without a signature check is an [`UnauthenticatedPlaintext`] for good.

use crate::{
    Fingerprint, FingerprintForm, Identity, KeyError, OpenError, Payload, Provider, RequestError, Signature,
    SigningPublicKey, UnauthenticatedHeaders, VerifyError, VerifyingKey, headers::checked_object, json, secret::wipe,
};

/// What a verifier accepts beyond a good signature.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Policy {
    /// What happens to a good signature under a fingerprint that names another key, or none.
    pub fingerprint: FingerprintPolicy,
    /// Whether clear-text Requests are let through on queues without a signing key (`CLEAR_TEXT_MESSAGES: "true"`).
    pub clear_text_messages: bool,
}

impl Default for Policy {
    /// Refuses mismatched fingerprints and clear text.
    fn default() -> Self {
        Self { fingerprint: FingerprintPolicy::Refuse, clear_text_messages: false }
    }
}

/// What happens to a false claim of identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum FingerprintPolicy {
    /// The message is refused.
    #[default]
    Refuse,
    /// The message passes and [`Verification::claim`] says what was wrong, as deployed runners do.
    Warn,
}

/// A signing key that is held: loaded, with its four fingerprints.
pub struct TrustedSigner {
    key: Box<dyn VerifyingKey>,
    public: SigningPublicKey,
    fingerprints: [Fingerprint; 4],
}

impl TrustedSigner {
    /// Loads a public key and computes its fingerprints, once.
    ///
    /// # Errors
    /// [`KeyError`] if the library refuses the key.
    pub fn load(provider: &Provider, public: &SigningPublicKey) -> Result<Self, KeyError> {
        Ok(Self {
            key: provider.verify.load(public)?,
            public: *public,
            fingerprints: Fingerprint::all_of(&(*public).into(), provider.digest),
        })
    }

    /// The public key.
    #[must_use]
    pub const fn public_key(&self) -> &SigningPublicKey {
        &self.public
    }

    /// Its fingerprint in the default form, `SHA256:…`.
    #[must_use]
    pub const fn fingerprint(&self) -> &Fingerprint {
        let [ssh_sha256, ..] = &self.fingerprints;
        ssh_sha256
    }

    /// Whether `fingerprint`, in whichever form, is this key's. Digests are compared, never text.
    #[must_use]
    pub fn is_named_by(&self, fingerprint: &Fingerprint) -> bool {
        self.fingerprints.contains(fingerprint)
    }
}

impl AsRef<Self> for TrustedSigner {
    fn as_ref(&self) -> &Self {
        self
    }
}

impl core::fmt::Debug for TrustedSigner {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "TrustedSigner({} {})", self.public.kind(), self.fingerprint())
    }
}

/// What was verified: a value with fields, which will grow.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verification {
    /// The key under which the signature verified.
    pub signer: SigningPublicKey,
    /// Its fingerprint, `SHA256:…`.
    pub fingerprint: Fingerprint,
    /// How the message's claim of identity compared with it.
    pub claim: FingerprintClaim,
}

/// A message's claim of identity, compared with the key that verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FingerprintClaim {
    /// It names the key that verified.
    Matches,
    /// It names another key, or nothing that is a fingerprint.
    Differs,
    /// There is none.
    Missing,
    /// The payload came without an envelope, where no claim can stand.
    NotMade,
}

/// Finds the key under which `signature` verifies over `text`.
///
/// A fingerprint says which key to try first and excludes none. Everything here is public.
pub(crate) fn find_signer<'k, S: AsRef<TrustedSigner>>(
    text: &[u8],
    signature: &str,
    claimed: Option<&Fingerprint>,
    trusted: &'k [S],
) -> Result<&'k TrustedSigner, VerifyError> {
    let is_claimed = |signer: &&TrustedSigner| claimed.is_some_and(|fingerprint| signer.is_named_by(fingerprint));
    let all = || trusted.iter().map(AsRef::as_ref);
    let in_order = all().filter(is_claimed).chain(all().filter(|signer| !is_claimed(signer)));

    let mut verdict = VerifyError::NoKey;
    for signer in in_order {
        match Signature::from_base64(signature, &signer.public) {
            Ok(decoded) if signer.key.verify(text, &decoded).is_ok() => return Ok(signer),
            Ok(_) => verdict = VerifyError::BadSignature,
            // malformed for this key's algorithm; a verdict on a well-formed one says more
            Err(error) if verdict != VerifyError::BadSignature => verdict = VerifyError::Signature(error),
            Err(_) => {}
        }
    }
    Err(verdict)
}

impl<'a> Payload<'a> {
    /// Verifies a bare payload string against a signature that came beside it.
    ///
    /// `trusted` are the keys held for the queue; the algorithm is theirs, never the message's.
    ///
    /// # Errors
    /// [`VerifyError::NoKey`], [`VerifyError::Signature`] or [`VerifyError::BadSignature`].
    pub fn verify<S: AsRef<TrustedSigner>>(self, signature: &str, trusted: &[S]) -> Result<Verified<'a>, VerifyError> {
        let signer =
            find_signer(self.as_bytes(), signature, None, trusted).or_else(|error| match self.with_line_end() {
                Some(file) if error == VerifyError::BadSignature => find_signer(file, signature, None, trusted),
                _ => Err(error),
            })?;
        Ok(Verified::new(self, signer, FingerprintClaim::NotMade))
    }

    /// Parses and opens a payload string that nobody has verified and that is nothing but one: a report.
    ///
    /// In one go it costs a look at each byte less than [`parse`](Self::parse) and
    /// [`open_unauthenticated`](Self::open_unauthenticated) one after the other; verdicts are the same.
    ///
    /// # Errors
    /// [`OpenError`]; the buffer then holds nothing that was decrypted.
    pub fn open_report<I: AsRef<dyn Identity>>(
        text: &'a mut [u8],
        max_plaintext: usize,
        provider: &Provider,
        identities: &[I],
    ) -> Result<UnauthenticatedPlaintext<'a>, OpenError> {
        Self::parse_to_open(text, max_plaintext)?.open_unauthenticated(provider, identities)
    }

    /// Opens a payload that nobody has verified: a report, or a message that somebody insists on opening.
    ///
    /// # Errors
    /// [`OpenError`]; the buffer then holds nothing that was decrypted.
    pub fn open_unauthenticated<I: AsRef<dyn Identity>>(
        self,
        provider: &Provider,
        identities: &[I],
    ) -> Result<UnauthenticatedPlaintext<'a>, OpenError> {
        Ok(UnauthenticatedPlaintext(Wiped(Some(self.open_in_place(provider, identities)?))))
    }
}

/// A payload whose signature has been verified under a key that is held, and whose policy has been met.
#[derive(Debug)]
pub struct Verified<'a> {
    payload: Payload<'a>,
    verification: Verification,
}

impl<'a> Verified<'a> {
    /// The only way to a `Verified` is through a signer that [`find_signer`] found.
    pub(crate) fn new(payload: Payload<'a>, signer: &TrustedSigner, claim: FingerprintClaim) -> Self {
        let verification = Verification { signer: signer.public, fingerprint: *signer.fingerprint(), claim };
        Self { payload, verification }
    }

    /// What was verified.
    #[must_use]
    pub const fn verification(&self) -> &Verification {
        &self.verification
    }

    /// The payload string, which is what was signed.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        self.payload.as_bytes()
    }

    /// Opens the payload in its own buffer, with whichever of the private keys fits.
    ///
    /// # Errors
    /// [`OpenError`]; the buffer then holds nothing that was decrypted.
    pub fn open<I: AsRef<dyn Identity>>(self, provider: &Provider, identities: &[I]) -> Result<Opened<'a>, OpenError> {
        let plaintext = self.payload.open_in_place(provider, identities)?;
        Ok(Opened { plaintext: Wiped(Some(plaintext)), verification: self.verification })
    }
}

/// A slice of the caller's buffer that is wiped when its owner is done, unless the caller takes it back.
struct Wiped<'a>(Option<&'a mut [u8]>);

impl<'a> Wiped<'a> {
    fn as_slice(&self) -> &[u8] {
        self.0.as_deref().unwrap_or_default()
    }

    fn take(mut self) -> &'a mut [u8] {
        self.0.take().unwrap_or_default()
    }
}

impl Drop for Wiped<'_> {
    fn drop(&mut self) {
        if let Some(bytes) = &mut self.0 {
            wipe(bytes);
        }
    }
}

/// A plaintext that was signed by a key that is held, confidential and authentic. Wiped on drop.
pub struct Opened<'a> {
    plaintext: Wiped<'a>,
    verification: Verification,
}

impl<'a> Opened<'a> {
    /// The plaintext.
    #[must_use]
    pub fn plaintext(&self) -> &[u8] {
        self.plaintext.as_slice()
    }

    /// What was verified.
    #[must_use]
    pub const fn verification(&self) -> &Verification {
        &self.verification
    }

    /// The plaintext as a StudioML Request.
    ///
    /// # Errors
    /// [`RequestError`] if it is not a JSON object with `experiment` and `config`.
    pub fn request(&self) -> Result<Request<'_>, RequestError> {
        Request::parse(self.plaintext())
    }

    /// Hands the plaintext back as a slice of the caller's buffer. Wiping it is then the caller's business.
    #[must_use]
    pub fn into_plaintext(self) -> &'a mut [u8] {
        self.plaintext.take()
    }
}

impl core::fmt::Debug for Opened<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Opened({} bytes, {:?})", self.plaintext().len(), self.verification)
    }
}

/// A plaintext that was confidential on the way, from nobody in particular: anybody who has the public key could have
/// sealed it. Every report is one. Wiped on drop.
pub struct UnauthenticatedPlaintext<'a>(Wiped<'a>);

impl<'a> UnauthenticatedPlaintext<'a> {
    /// The plaintext. The name is the warning.
    #[must_use]
    pub fn unauthenticated_plaintext(&self) -> &[u8] {
        self.0.as_slice()
    }

    /// Hands the plaintext back as a slice of the caller's buffer. Wiping it is then the caller's business.
    #[must_use]
    pub fn into_unauthenticated_plaintext(self) -> &'a mut [u8] {
        self.0.take()
    }
}

impl core::fmt::Debug for UnauthenticatedPlaintext<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "UnauthenticatedPlaintext({} bytes)", self.0.as_slice().len())
    }
}

/// A StudioML Request: a JSON object with `experiment` and `config`. Only an [`Opened`] message gives one.
#[derive(Clone, Copy)]
pub struct Request<'p> {
    text: &'p str,
}

impl<'p> Request<'p> {
    pub(crate) fn parse(plaintext: &'p [u8]) -> Result<Self, RequestError> {
        let text = checked_object(plaintext)?;
        let needed = ["experiment", "config"];
        for (member, found) in needed.into_iter().zip(json::members(text, needed)) {
            if found.is_none() {
                return Err(RequestError::Missing { member });
            }
        }
        Ok(Self { text })
    }

    /// The Request's JSON, as it was sealed.
    #[must_use]
    pub const fn as_json(&self) -> &'p str {
        self.text
    }

    /// `experiment.time_added` in seconds since 1970-01-01 00:00 UTC, where it is a number.
    #[must_use]
    pub fn time_added(&self) -> Option<f64> {
        let experiment = json::member(self.text, "experiment")?;
        serde_json::from_str(json::member(experiment.get(), "time_added")?.get()).ok()
    }

    /// Where a message's clear-text headers say something else than this Request, by header name.
    #[must_use]
    pub fn disagreements(&self, headers: &UnauthenticatedHeaders) -> Vec<String> {
        headers.disagreements(self.text.as_bytes()).unwrap_or_default()
    }
}

impl core::fmt::Debug for Request<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Request({} bytes)", self.text.len())
    }
}

/// The default form of a fingerprint in messages.
pub(crate) const MESSAGE_FINGERPRINT_FORM: FingerprintForm = FingerprintForm::SshSha256;
