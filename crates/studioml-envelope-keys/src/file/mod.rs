//! Key files, read: every format of docs/spec.md §5, detected by content.

mod armor;
mod cbc;
mod detect;
mod legacy;
mod material;
pub(crate) mod oid;
mod openssh;
mod pbes;
mod pkcs12;
mod point;
mod public;

use core::fmt;

use studioml_envelope_core::{
    Ed25519PrivateKey, Identity, KeyError, PrivateKey, Provider, PublicKey, SecretBytes, SigningKey,
};
use zeroize::Zeroizing;

use crate::{Description, Encoding, Format, Kdf, KeyFileError, Passphrase, Protection};
use detect::{Container, Found};
use material::{Loaded, Material};
use openssh::OpenSsh;
use pbes::Encryption;

// what the writing side shares with the reading side
pub(crate) use armor::BASE64;
pub(crate) use cbc::CbcCipher;
pub(crate) use legacy::DekInfo;
pub(crate) use material::EcPrivateKey;
pub(crate) use pbes::{EncryptedPrivateKeyInfo, Pbes2Params, Pbkdf2Params, ScryptParams, derive};
pub(crate) use public::comment;

/// A private key from a file, checked: its public part belongs to its private part.
pub struct PrivateKeyFile {
    key: PrivateKey,
    loaded: Loaded,
    description: Description,
    public: PublicKey,
}

impl PrivateKeyFile {
    /// The key.
    #[must_use]
    pub const fn key(&self) -> &PrivateKey {
        &self.key
    }

    /// The key, to be kept.
    #[must_use]
    pub fn into_key(self) -> PrivateKey {
        self.key
    }

    /// Its public half, whether or not the file carried it.
    #[must_use]
    pub const fn public_key(&self) -> &PublicKey {
        &self.public
    }

    /// What the file is. The comment of an encrypted OpenSSH file is known by now.
    #[must_use]
    pub const fn description(&self) -> &Description {
        &self.description
    }

    /// The loaded key that opens messages. The check on loading has made it already, so this costs nothing.
    ///
    /// # Errors
    /// [`KeyError::Kind`] if it is not an RSA key.
    pub fn into_identity(self) -> Result<Box<dyn Identity>, KeyError> {
        match self.loaded {
            Loaded::Rsa(identity) => Ok(identity),
            Loaded::Signing(_) => Err(KeyError::Kind { expected: "RSA", found: self.key.kind() }),
        }
    }

    /// The loaded key that signs. The check on loading has made it already, so this costs nothing.
    ///
    /// # Errors
    /// [`KeyError::Kind`] if it is an RSA key.
    pub fn into_signing_key(self) -> Result<Box<dyn SigningKey>, KeyError> {
        match self.loaded {
            Loaded::Signing(signing) => Ok(signing),
            Loaded::Rsa(_) => Err(KeyError::Kind { expected: "Ed25519 or P-256", found: self.key.kind() }),
        }
    }
}

impl fmt::Debug for PrivateKeyFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PrivateKeyFile").field("description", &self.description).finish_non_exhaustive()
    }
}

/// A public key from a file.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PublicKeyFile {
    /// The key. A P-256 point has been found to be on the curve.
    pub key: PublicKey,
    /// The structure it stood in.
    pub format: Format,
    /// How that was written.
    pub encoding: Encoding,
    /// Its comment, without control characters.
    pub comment: Option<String>,
}

/// Reads a private key, in any format of docs/spec.md §5, and loads it with `provider` to check that its parts belong together.
///
/// A passphrase that the file does not need is ignored. Public keys and certificates beside the private key are skipped.
///
/// # Errors
/// [`KeyFileError`]; which one for which state of the file is docs/spec.md §5.4. None shows a byte of key or passphrase.
pub fn read_private(
    bytes: &[u8],
    passphrase: Option<&Passphrase>,
    provider: &Provider,
) -> Result<PrivateKeyFile, KeyFileError> {
    let found = one_private(detect::find(bytes)?)?;
    let locked = Locked::read(&found)?;
    let (material, comment) = locked.unlock(passphrase)?;
    let protection = locked.protection();
    let (key, public, loaded) = material.load(provider).map_err(|error| after_unlock(error, &protection))?;
    let description = Description {
        format: found.container.format(),
        encoding: found.encoding,
        is_private: true,
        protection,
        kind: Some(key.kind()),
        public_key: Some(public.clone()),
        comment,
    };
    Ok(PrivateKeyFile { key, loaded, description, public })
}

/// Reads the one public key of a file.
///
/// # Errors
/// [`KeyFileError`]; a private key is refused by [`KeyFileError::PrivateWherePublic`], several by
/// [`KeyFileError::SeveralKeys`].
pub fn read_public(bytes: &[u8]) -> Result<PublicKeyFile, KeyFileError> {
    let mut keys = read_public_keys(bytes)?;
    match (keys.pop(), keys.len()) {
        (Some(key), 0) => Ok(key),
        (_, others) => Err(KeyFileError::SeveralKeys { found: others.saturating_add(1) }),
    }
}

/// Reads all public keys of a file, one after another: in a rotation, old and new. There is at least one.
///
/// # Errors
/// [`KeyFileError`] for the first that cannot be used: one bad key spoils the file (docs/spec.md §6).
pub fn read_public_keys(bytes: &[u8]) -> Result<Vec<PublicKeyFile>, KeyFileError> {
    let found = detect::find(bytes)?;
    if found.iter().any(|found| found.container.is_private()) {
        return Err(KeyFileError::PrivateWherePublic);
    }
    found.iter().map(Found::public_key).collect()
}

/// Reads an Ed25519 private key that is nothing but its seed: 32 bytes, or 64 hexadecimal digits and a line end.
///
/// Never detected, only asked for by name: any 32 bytes pass.
///
/// # Errors
/// [`KeyFileError::Damaged`] for any other length or digit.
pub fn read_ed25519_seed(bytes: &[u8], provider: &Provider) -> Result<PrivateKeyFile, KeyFileError> {
    const DAMAGED: KeyFileError = KeyFileError::Damaged { structure: "Ed25519 seed" };
    let (seed, encoding) = if bytes.len() == Ed25519PrivateKey::LEN {
        (SecretBytes::copy_from(bytes), Encoding::Der)
    } else {
        let digits = bytes.trim_ascii();
        let mut seed = Zeroizing::new([0; Ed25519PrivateKey::LEN]);
        hex::decode_to_slice(digits, seed.as_mut_slice()).map_err(|_| DAMAGED)?;
        (SecretBytes::copy_from(seed.as_slice()), Encoding::Text)
    };
    let (key, public, loaded) = Material::Ed25519 { seed, public: None }.load(provider)?;
    let description = Description {
        format: Format::Seed,
        encoding,
        is_private: true,
        protection: Protection::None,
        kind: Some(key.kind()),
        public_key: Some(public.clone()),
        comment: None,
    };
    Ok(PrivateKeyFile { key, loaded, description, public })
}

/// Says what is in a file, key by key, without a passphrase. A private key that is not encrypted is checked too.
///
/// # Errors
/// [`KeyFileError`] as of [`read_private`] and [`read_public`], but for a missing passphrase.
pub fn inspect(bytes: &[u8], provider: &Provider) -> Result<Vec<Description>, KeyFileError> {
    detect::find(bytes)?.iter().map(|found| found.describe(provider)).collect()
}

/// The one private key of a file, whatever public keys stand beside it.
fn one_private(found: Vec<Found>) -> Result<Found, KeyFileError> {
    let mut private: Vec<Found> = found.into_iter().filter(|found| found.container.is_private()).collect();
    match (private.pop(), private.len()) {
        (Some(found), 0) => Ok(found),
        (Some(_), others) => Err(KeyFileError::SeveralKeys { found: others.saturating_add(1) }),
        (None, _) => Err(KeyFileError::PublicWherePrivate),
    }
}

/// A private key file whose clear part has been read.
enum Locked<'a> {
    OpenSsh(Box<OpenSsh>),
    Pkcs8(Encryption<'a>),
    Legacy { found: &'a Found, dek_info: &'a legacy::DekInfo },
    Plain(&'a Found),
}

impl<'a> Locked<'a> {
    fn read(found: &'a Found) -> Result<Self, KeyFileError> {
        let contents = found.contents.expose_secret();
        match (&found.container, &found.dek_info) {
            (Container::OpenSsh, _) => Ok(Self::OpenSsh(Box::new(OpenSsh::read(contents)?))),
            (Container::EncryptedPkcs8, _) => Ok(Self::Pkcs8(Encryption::read(contents)?)),
            (_, Some(dek_info)) => Ok(Self::Legacy { found, dek_info }),
            (_, None) => Ok(Self::Plain(found)),
        }
    }

    fn protection(&self) -> Protection {
        match self {
            Self::OpenSsh(file) => file.protection.clone(),
            Self::Pkcs8(encryption) => {
                Protection::Encrypted { cipher: encryption.cipher.name(), kdf: encryption.kdf.clone() }
            }
            Self::Legacy { dek_info, .. } => Protection::Encrypted { cipher: dek_info.cipher.name(), kdf: Kdf::Md5 },
            Self::Plain(_) => Protection::None,
        }
    }

    /// The key and its comment, by whichever form of the passphrase fits.
    fn unlock(&self, passphrase: Option<&Passphrase>) -> Result<(Material, Option<String>), KeyFileError> {
        let protection = self.protection();
        if !protection.is_encrypted() {
            return self.plain();
        }
        let passphrase = passphrase.ok_or(KeyFileError::PassphraseMissing { protection })?;
        let mut failure = KeyFileError::WrongPassphrase;
        for candidate in passphrase.candidates() {
            match self.unlock_with(candidate) {
                Err(error @ (KeyFileError::WrongPassphrase | KeyFileError::WrongPassphraseOrDamaged)) => {
                    failure = error;
                }
                done => return done,
            }
        }
        Err(failure)
    }

    fn unlock_with(&self, passphrase: &[u8]) -> Result<(Material, Option<String>), KeyFileError> {
        let unsure = |error| after_unlock(error, &self.protection());
        match self {
            Self::OpenSsh(file) => file.unlock(passphrase),
            Self::Pkcs8(encryption) => {
                let der = encryption.decrypt(passphrase)?;
                Ok((Material::from_pkcs8(der.expose_secret()).map_err(unsure)?, None))
            }
            Self::Legacy { found, dek_info } => {
                let der = dek_info.decrypt(found.contents.expose_secret(), passphrase)?;
                Ok((found.material(der.expose_secret()).map_err(unsure)?, None))
            }
            Self::Plain(_) => self.plain(),
        }
    }

    fn plain(&self) -> Result<(Material, Option<String>), KeyFileError> {
        match self {
            Self::OpenSsh(file) => file.plain(),
            Self::Plain(found) => Ok((found.material(found.contents.expose_secret())?, None)),
            Self::Pkcs8(_) | Self::Legacy { .. } => Err(KeyFileError::WrongPassphraseOrDamaged),
        }
    }
}

/// What an error of the key inside means for a file whose format has nothing to tell a wrong passphrase by: garbage that
/// passed the padding. What only a well-formed key can be, an unsupported one, stays what it is.
fn after_unlock(error: KeyFileError, protection: &Protection) -> KeyFileError {
    let blind = matches!(protection, Protection::Encrypted { kdf, .. } if !matches!(kdf, Kdf::Bcrypt { .. }));
    match error {
        KeyFileError::Key(
            KeyError::UnsupportedAlgorithm { .. }
            | KeyError::UnsupportedCurve { .. }
            | KeyError::ExplicitCurveParameters
            | KeyError::MultiPrime
            | KeyError::ModulusSize { .. },
        ) => error,
        KeyFileError::Key(_) | KeyFileError::Damaged { .. } if blind => KeyFileError::WrongPassphraseOrDamaged,
        other => other,
    }
}

impl Found {
    fn material(&self, der: &[u8]) -> Result<Material, KeyFileError> {
        match self.container {
            Container::Pkcs1Private => Material::from_pkcs1(der),
            Container::Sec1 => Material::from_sec1(der, None),
            Container::Pkcs8 => Material::from_pkcs8(der),
            _ => Err(KeyFileError::Unrecognised),
        }
    }

    fn public_key(&self) -> Result<PublicKeyFile, KeyFileError> {
        let contents = self.contents.expose_secret();
        let key = match self.container {
            Container::Pkcs1Public => PublicKey::Rsa(studioml_envelope_core::RsaPublicKey::from_pkcs1_der(contents)?),
            Container::Spki => public::from_spki(contents)?,
            Container::SshLine | Container::Rfc4716 => public::from_ssh_blob(contents)?,
            _ => return Err(KeyFileError::PrivateWherePublic),
        };
        let (format, encoding) = (self.container.format(), self.encoding);
        Ok(PublicKeyFile { key, format, encoding, comment: self.comment.clone() })
    }

    fn describe(&self, provider: &Provider) -> Result<Description, KeyFileError> {
        let (format, encoding) = (self.container.format(), self.encoding);
        if !self.container.is_private() {
            let public = self.public_key()?;
            return Ok(Description {
                format,
                encoding,
                is_private: false,
                protection: Protection::None,
                kind: Some(public.key.kind()),
                public_key: Some(public.key),
                comment: public.comment,
            });
        }
        let locked = Locked::read(self)?;
        let protection = locked.protection();
        let (public_key, comment) = match &locked {
            Locked::OpenSsh(file) if protection.is_encrypted() => (Some(file.public.clone()), None),
            Locked::Pkcs8(_) | Locked::Legacy { .. } => (None, None),
            Locked::OpenSsh(_) | Locked::Plain(_) => {
                let (material, comment) = locked.plain()?;
                (Some(material.load(provider)?.1), comment)
            }
        };
        let kind = public_key.as_ref().map(PublicKey::kind).or_else(|| self.container.kind());
        Ok(Description { format, encoding, is_private: true, protection, public_key, kind, comment })
    }
}
