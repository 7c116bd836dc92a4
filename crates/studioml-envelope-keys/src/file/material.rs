//! Private key structures without encryption: PKCS #1 (RFC 8017), SEC 1 (RFC 5915) and PKCS #8 (RFC 5958, RFC 8410), and the
//! check that public and private part belong together.

use der::{
    AnyRef, Decode as _, Sequence,
    asn1::{BitStringRef, OctetStringRef},
};
use pkcs8::PrivateKeyInfoRef;
use studioml_envelope_core::{
    Ed25519PrivateKey, Ed25519PublicKey, Identity, KeyError, P256PrivateKey, P256PublicKey, PrivateKey, Provider,
    PublicKey, RsaPrivateKey, RsaPublicKey, SecretBytes, SigningKey, SigningPrivateKey,
};

use super::{
    oid::{EC_PUBLIC_KEY, ED25519, RSA_ENCRYPTION},
    point,
};
use crate::KeyFileError;

/// A private key as it stands in its file, nothing checked yet.
pub(super) enum Material {
    Rsa(RsaPrivateKey),
    Ed25519 { seed: SecretBytes, public: Option<Ed25519PublicKey> },
    P256 { scalar: SecretBytes, public: Option<P256PublicKey> },
}

/// A private key that a library has loaded, and so checked.
pub(super) enum Loaded {
    Rsa(Box<dyn Identity>),
    Signing(Box<dyn SigningKey>),
}

/// `ECPrivateKey` (RFC 5915 §3). `sec1`'s own type cannot tell explicit curve parameters from damage.
#[derive(Sequence)]
pub(crate) struct EcPrivateKey<'a> {
    pub version: u8,
    pub private_key: &'a OctetStringRef,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT", optional = "true")]
    pub parameters: Option<AnyRef<'a>>,
    #[asn1(context_specific = "1", tag_mode = "EXPLICIT", optional = "true")]
    pub public_key: Option<BitStringRef<'a>>,
}

impl Material {
    /// From `RSAPrivateKey`.
    ///
    /// # Errors
    /// `Key`.
    pub(super) fn from_pkcs1(der: &[u8]) -> Result<Self, KeyFileError> {
        Ok(Self::Rsa(RsaPrivateKey::from_pkcs1_der(der)?))
    }

    /// From `ECPrivateKey`. `curve` is what stands outside of it: PKCS #8 leaves the parameters out.
    ///
    /// # Errors
    /// `Damaged` or `Key`.
    pub(super) fn from_sec1(der: &[u8], curve: Option<AnyRef<'_>>) -> Result<Self, KeyFileError> {
        const DAMAGED: KeyFileError = KeyFileError::Damaged { structure: "ECPrivateKey" };
        let key = EcPrivateKey::from_der(der).map_err(|_| DAMAGED)?;
        if key.parameters.or(curve).is_none() {
            return Err(DAMAGED);
        }
        for curve in [curve, key.parameters].into_iter().flatten() {
            check_curve(curve)?;
        }
        if key.version != 1 {
            return Err(DAMAGED);
        }
        let public = match key.public_key {
            Some(bits) => Some(point::decode(bits.as_bytes().ok_or(DAMAGED)?)?),
            None => None,
        };
        Ok(Self::P256 { scalar: pad_scalar(key.private_key.as_bytes())?, public })
    }

    /// From `PrivateKeyInfo` or `OneAsymmetricKey`.
    ///
    /// # Errors
    /// `Damaged` or `Key`.
    pub(super) fn from_pkcs8(der: &[u8]) -> Result<Self, KeyFileError> {
        const DAMAGED: KeyFileError = KeyFileError::Damaged { structure: "PrivateKeyInfo" };
        let info = PrivateKeyInfoRef::from_der(der).map_err(|_| DAMAGED)?;
        let key = info.private_key.as_bytes();
        let private = match info.algorithm.oid {
            RSA_ENCRYPTION => Self::from_pkcs1(key)?,
            EC_PUBLIC_KEY => Self::from_sec1(key, info.algorithm.parameters)?,
            ED25519 => {
                let seed = <&OctetStringRef>::from_der(key).map_err(|_| DAMAGED)?;
                Self::Ed25519 { seed: SecretBytes::copy_from(seed.as_bytes()), public: None }
            }
            other => return Err(KeyError::unsupported_algorithm(&other.to_string()).into()),
        };
        match info.public_key {
            Some(bits) => private.with_public_beside(bits.as_bytes().ok_or(DAMAGED)?),
            None => Ok(private),
        }
    }

    /// Takes the public key that stands beside the private one in version 2 of PKCS #8 (RFC 5958 §2), in the encoding that a
    /// SubjectPublicKeyInfo has inside.
    ///
    /// # Errors
    /// `Key`, if it is another one than the private key has in itself too.
    fn with_public_beside(self, public: &[u8]) -> Result<Self, KeyFileError> {
        const INCONSISTENT: KeyFileError = KeyFileError::Key(KeyError::Inconsistent);
        match self {
            Self::Rsa(key) if RsaPublicKey::from_pkcs1_der(public)? == *key.public_key() => Ok(Self::Rsa(key)),
            Self::Rsa(_) => Err(INCONSISTENT),
            Self::Ed25519 { seed, .. } => {
                Ok(Self::Ed25519 { seed, public: Some(Ed25519PublicKey::from_bytes(public)?) })
            }
            Self::P256 { scalar, public: inside } => {
                let public = point::decode(public)?;
                let same = inside.is_none_or(|inside| inside == public);
                if same { Ok(Self::P256 { scalar, public: Some(public) }) } else { Err(INCONSISTENT) }
            }
        }
    }

    /// Loads the key, which checks that its parts belong together, and fills in a public part that the file left out.
    ///
    /// # Errors
    /// `Key`.
    pub(super) fn load(self, provider: &Provider) -> Result<(PrivateKey, PublicKey, Loaded), KeyFileError> {
        let signing = match self {
            Self::Rsa(key) => {
                let identity = provider.key_unwrap.load(&key)?;
                let public = PublicKey::Rsa(key.public_key().clone());
                return Ok((PrivateKey::Rsa(key), public, Loaded::Rsa(identity)));
            }
            Self::Ed25519 { seed, public } => SigningPrivateKey::Ed25519(Ed25519PrivateKey::new(seed, public)?),
            Self::P256 { scalar, public } => {
                let public = match public {
                    Some(public) => public,
                    None => provider.agree_static.public_key_of(&scalar)?,
                };
                SigningPrivateKey::P256(P256PrivateKey::new(scalar, public)?)
            }
        };
        let loaded = provider.sign.load(&signing)?;
        let public = PublicKey::from(*loaded.public_key());
        Ok((signing.into(), public, Loaded::Signing(loaded)))
    }
}

fn check_curve(parameters: AnyRef<'_>) -> Result<(), KeyFileError> {
    use der::Encode as _;
    let parameters = parameters.to_der().map_err(|_| KeyFileError::Damaged { structure: "EC parameters" })?;
    Ok(P256PublicKey::check_curve_parameters(&parameters)?)
}

/// A scalar is 32 bytes; some writers drop its leading zeros (RFC 5915 §3 forbids it and they do, OpenSSH's format asks for it).
pub(super) fn pad_scalar(digits: &[u8]) -> Result<SecretBytes, KeyFileError> {
    let missing = P256PrivateKey::LEN.checked_sub(digits.len()).ok_or(KeyError::Length {
        kind: "P-256 private",
        expected: P256PrivateKey::LEN,
        found: digits.len(),
    })?;
    let mut scalar = vec![0; missing];
    scalar.reserve_exact(digits.len());
    scalar.extend_from_slice(digits);
    Ok(SecretBytes::new(scalar))
}
