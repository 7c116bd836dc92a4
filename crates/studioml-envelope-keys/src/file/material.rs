//! Private key structures without encryption: PKCS #1 (RFC 8017), SEC 1 (RFC 5915) and PKCS #8 (RFC 5958, RFC 8410), and the
//! check that public and private part belong together.

use der::{
    AnyRef, Decode as _, Sequence,
    asn1::{BitStringRef, ObjectIdentifier, OctetStringRef},
};
use pkcs8::PrivateKeyInfoRef;
use studioml_envelope_core::{
    Ed25519PrivateKey, Ed25519PublicKey, Identity, KeyError, P256PrivateKey, P256PublicKey, PrivateKey, Provider,
    PublicKey, RsaPrivateKey, SecretBytes, SigningKey, SigningPrivateKey,
};

use super::point;
use crate::KeyFileError;

const RSA_ENCRYPTION: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
pub(crate) const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
pub(crate) const EC_PUBLIC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");

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
        let curve = key.parameters.or(curve).ok_or(DAMAGED)?;
        check_curve(curve)?;
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
        match info.algorithm.oid {
            RSA_ENCRYPTION => Self::from_pkcs1(key),
            EC_PUBLIC_KEY => Self::from_sec1(key, info.algorithm.parameters),
            ED25519 => {
                let seed = <&OctetStringRef>::from_der(key).map_err(|_| DAMAGED)?;
                let public =
                    info.public_key.map(|bits| Ed25519PublicKey::from_bytes(bits.as_bytes().unwrap_or_default()));
                Ok(Self::Ed25519 { seed: SecretBytes::copy_from(seed.as_bytes()), public: public.transpose()? })
            }
            other => Err(KeyFileError::Key(KeyError::UnsupportedAlgorithm { algorithm: other.to_string() })),
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
