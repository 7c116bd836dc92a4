//! Fingerprints in the four forms of docs/spec.md §4. A fingerprint names a key and proves nothing.

use core::{fmt, str::FromStr};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};

use crate::{Digest, FingerprintError, PublicKey};

/// Which hash of which encoding of a public key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum FingerprintForm {
    /// SHA-256 of the SSH public key blob: `SHA256:` and 43 characters of unpadded base64. Deployed clients write this.
    #[default]
    SshSha256,
    /// SHA-256 of the DER SubjectPublicKeyInfo: 44 characters of base64.
    SpkiSha256,
    /// SHA-1 of the SSH public key blob: `SHA1:` and 27 characters of unpadded base64.
    SshSha1,
    /// SHA-1 of the DER SubjectPublicKeyInfo: 28 characters of base64.
    SpkiSha1,
}

impl FingerprintForm {
    /// All forms, the default first.
    pub const ALL: [Self; 4] = [Self::SshSha256, Self::SpkiSha256, Self::SshSha1, Self::SpkiSha1];

    /// The form's name: `ssh-sha256`, `spki-sha256`, `ssh-sha1` or `spki-sha1`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::SshSha256 => "ssh-sha256",
            Self::SpkiSha256 => "spki-sha256",
            Self::SshSha1 => "ssh-sha1",
            Self::SpkiSha1 => "spki-sha1",
        }
    }

    const fn digest_len(self) -> usize {
        match self {
            Self::SshSha256 | Self::SpkiSha256 => 32,
            Self::SshSha1 | Self::SpkiSha1 => 20,
        }
    }
}

/// A fingerprint: a form and a digest. Two are equal if their forms and digests are; text is never compared.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint {
    form: FingerprintForm,
    /// 20-byte digests are followed by zeros.
    digest: [u8; 32],
}

impl Fingerprint {
    /// The fingerprint of `key` in `form`.
    #[must_use]
    pub fn of(key: &PublicKey, form: FingerprintForm, digest: &dyn Digest) -> Self {
        let encoded = match form {
            FingerprintForm::SshSha256 | FingerprintForm::SshSha1 => key.to_ssh_blob(),
            FingerprintForm::SpkiSha256 | FingerprintForm::SpkiSha1 => key.to_spki_der(),
        };
        Self::of_encoded(&encoded, form, digest)
    }

    fn of_encoded(encoded: &[u8], form: FingerprintForm, digest: &dyn Digest) -> Self {
        match form {
            FingerprintForm::SshSha256 | FingerprintForm::SpkiSha256 => Self { form, digest: digest.sha256(encoded) },
            FingerprintForm::SshSha1 | FingerprintForm::SpkiSha1 => Self::from_digest(form, &digest.sha1(encoded)),
        }
    }

    /// The fingerprints of `key` in all four forms, in the order of [`FingerprintForm::ALL`].
    #[must_use]
    pub fn all_of(key: &PublicKey, digest: &dyn Digest) -> [Self; 4] {
        let (ssh, spki) = (key.to_ssh_blob(), key.to_spki_der());
        FingerprintForm::ALL.map(|form| match form {
            FingerprintForm::SshSha256 | FingerprintForm::SshSha1 => Self::of_encoded(&ssh, form, digest),
            FingerprintForm::SpkiSha256 | FingerprintForm::SpkiSha1 => Self::of_encoded(&spki, form, digest),
        })
    }

    /// Which form it is in.
    #[must_use]
    pub const fn form(&self) -> FingerprintForm {
        self.form
    }

    /// The digest, 32 or 20 bytes.
    #[must_use]
    pub fn digest(&self) -> &[u8] {
        self.digest.get(..self.form.digest_len()).unwrap_or(&self.digest)
    }

    fn from_digest(form: FingerprintForm, bytes: &[u8]) -> Self {
        let mut digest = [0; 32];
        for (to, from) in digest.iter_mut().zip(bytes) {
            *to = *from;
        }
        Self { form, digest }
    }
}

impl FromStr for Fingerprint {
    type Err = FingerprintError;

    /// Reads any of the four forms; the shape tells which.
    fn from_str(text: &str) -> Result<Self, FingerprintError> {
        // no form is longer than 51 characters: nothing longer is worth decoding
        if text.len() > 64 {
            return Err(FingerprintError);
        }
        let (form, decoded) = if let Some(base64) = text.strip_prefix("SHA256:") {
            (FingerprintForm::SshSha256, STANDARD_NO_PAD.decode(base64))
        } else if let Some(base64) = text.strip_prefix("SHA1:") {
            (FingerprintForm::SshSha1, STANDARD_NO_PAD.decode(base64))
        } else if text.len() == 44 {
            (FingerprintForm::SpkiSha256, STANDARD.decode(text))
        } else {
            (FingerprintForm::SpkiSha1, STANDARD.decode(text))
        };
        let digest = decoded.map_err(|_| FingerprintError)?;
        if digest.len() != form.digest_len() {
            return Err(FingerprintError);
        }
        Ok(Self::from_digest(form, &digest))
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.form {
            FingerprintForm::SshSha256 => write!(f, "SHA256:{}", STANDARD_NO_PAD.encode(self.digest())),
            FingerprintForm::SshSha1 => write!(f, "SHA1:{}", STANDARD_NO_PAD.encode(self.digest())),
            FingerprintForm::SpkiSha256 | FingerprintForm::SpkiSha1 => f.write_str(&STANDARD.encode(self.digest())),
        }
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprint({self})")
    }
}
