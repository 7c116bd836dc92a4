//! Keys by kind, and the two public encodings that fingerprints are made of: SSH blob and SubjectPublicKeyInfo.

use der::{
    Decode, Encode,
    asn1::{AnyRef, BitStringRef},
};
use spki::{AlgorithmIdentifierRef, ObjectIdentifier, SubjectPublicKeyInfoRef};

use crate::{
    Ed25519PrivateKey, Ed25519PublicKey, KeyError, P256PrivateKey, P256PublicKey, RsaPrivateKey, RsaPublicKey,
    encoding::{put_ssh_mpint, put_ssh_string, take_ssh_string},
    rsa_key::RSA_ENCRYPTION,
};

/// `id-Ed25519` (RFC 8410).
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
/// `id-ecPublicKey` (RFC 5480).
const EC_PUBLIC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
/// `secp256r1` = `prime256v1` (RFC 5480).
const PRIME256V1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");

/// A public key of any kind.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PublicKey {
    /// A recipient of sealed messages.
    Rsa(RsaPublicKey),
    /// A signer.
    Ed25519(Ed25519PublicKey),
    /// A signer, or a peer of the channel.
    P256(P256PublicKey),
}

/// A private key of any kind.
#[derive(Debug)]
#[non_exhaustive]
pub enum PrivateKey {
    /// What opens sealed messages.
    Rsa(RsaPrivateKey),
    /// What signs.
    Ed25519(Ed25519PrivateKey),
    /// What signs, or an end of the channel.
    P256(P256PrivateKey),
}

/// A public key that verifies signatures. Not `#[non_exhaustive]`: a part that misses an algorithm must not compile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SigningPublicKey {
    /// Ed25519 (RFC 8032).
    Ed25519(Ed25519PublicKey),
    /// ECDSA with P-256 and SHA-256 (FIPS 186-5).
    P256(P256PublicKey),
}

/// A private key that makes signatures. Not `#[non_exhaustive]`: a part that misses an algorithm must not compile.
#[derive(Debug)]
pub enum SigningPrivateKey {
    /// Ed25519 (RFC 8032).
    Ed25519(Ed25519PrivateKey),
    /// ECDSA with P-256 and SHA-256 (FIPS 186-5).
    P256(P256PrivateKey),
}

impl PublicKey {
    /// The kind, for people: `RSA`, `Ed25519` or `P-256`.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Rsa(_) => "RSA",
            Self::Ed25519(_) => "Ed25519",
            Self::P256(_) => "P-256",
        }
    }

    /// The SSH public key blob (RFC 4253 §6.6, RFC 5656 §3.1, RFC 8709 §4).
    #[must_use]
    pub fn to_ssh_blob(&self) -> Vec<u8> {
        let mut blob = Vec::new();
        match self {
            Self::Rsa(key) => {
                put_ssh_string(&mut blob, b"ssh-rsa");
                put_ssh_mpint(&mut blob, &key.exponent_bytes());
                put_ssh_mpint(&mut blob, key.modulus());
            }
            Self::Ed25519(key) => {
                put_ssh_string(&mut blob, b"ssh-ed25519");
                put_ssh_string(&mut blob, key.as_bytes());
            }
            Self::P256(key) => {
                put_ssh_string(&mut blob, b"ecdsa-sha2-nistp256");
                put_ssh_string(&mut blob, b"nistp256");
                put_ssh_string(&mut blob, key.as_bytes());
            }
        }
        blob
    }

    /// Reads an SSH public key blob. Nothing may follow it.
    ///
    /// # Errors
    /// [`KeyError::UnsupportedAlgorithm`], [`KeyError::Encoding`], or those of the key's own type.
    pub fn from_ssh_blob(mut blob: &[u8]) -> Result<Self, KeyError> {
        let damaged = || KeyError::Encoding { structure: "SSH public key" };
        let blob = &mut blob;
        let algorithm = take_ssh_string(blob).ok_or_else(damaged)?;
        let key = match algorithm {
            b"ssh-rsa" => {
                let exponent = take_ssh_string(blob).ok_or_else(damaged)?;
                let modulus = take_ssh_string(blob).ok_or_else(damaged)?;
                // an mpint with its top bit set is negative (RFC 4251 §5)
                if [exponent, modulus].iter().any(|mpint| mpint.first().is_some_and(|byte| *byte >= 0x80)) {
                    return Err(damaged());
                }
                Self::Rsa(RsaPublicKey::new(modulus, exponent)?)
            }
            b"ssh-ed25519" => Self::Ed25519(Ed25519PublicKey::from_bytes(take_ssh_string(blob).ok_or_else(damaged)?)?),
            b"ecdsa-sha2-nistp256" => {
                if take_ssh_string(blob) != Some(b"nistp256") {
                    return Err(damaged());
                }
                Self::P256(P256PublicKey::from_uncompressed(take_ssh_string(blob).ok_or_else(damaged)?)?)
            }
            other => {
                let name = other.iter().filter(|byte| byte.is_ascii_graphic()).take(64);
                return Err(KeyError::UnsupportedAlgorithm { algorithm: name.map(|byte| char::from(*byte)).collect() });
            }
        };
        if blob.is_empty() { Ok(key) } else { Err(damaged()) }
    }

    /// The DER SubjectPublicKeyInfo (RFC 5280 §4.1, RFC 5480, RFC 8410).
    #[must_use]
    pub fn to_spki_der(&self) -> Vec<u8> {
        let (algorithm, key) = match self {
            Self::Rsa(key) => {
                (AlgorithmIdentifierRef { oid: RSA_ENCRYPTION, parameters: Some(AnyRef::NULL) }, key.to_pkcs1_der())
            }
            Self::Ed25519(key) => (AlgorithmIdentifierRef { oid: ED25519, parameters: None }, key.as_bytes().to_vec()),
            Self::P256(key) => (
                AlgorithmIdentifierRef { oid: EC_PUBLIC_KEY, parameters: Some(AnyRef::from(&PRIME256V1)) },
                key.as_bytes().to_vec(),
            ),
        };
        // the longest key has 8192 bits, far below DER's limit on lengths
        BitStringRef::from_bytes(&key)
            .and_then(|subject_public_key| SubjectPublicKeyInfoRef { algorithm, subject_public_key }.to_der())
            .unwrap_or_default()
    }

    /// Reads a DER SubjectPublicKeyInfo. Elliptic curve points must be uncompressed here; key files may hold compressed
    /// ones, which the keys crate expands first.
    ///
    /// # Errors
    /// [`KeyError::Encoding`], [`KeyError::UnsupportedAlgorithm`], [`KeyError::UnsupportedCurve`],
    /// [`KeyError::ExplicitCurveParameters`], or those of the key's own type.
    pub fn from_spki_der(der: &[u8]) -> Result<Self, KeyError> {
        const DAMAGED: KeyError = KeyError::Encoding { structure: "SubjectPublicKeyInfo" };
        let info = SubjectPublicKeyInfoRef::from_der(der).map_err(|_| DAMAGED)?;
        let bits = info.subject_public_key.as_bytes().ok_or(DAMAGED)?;
        match info.algorithm.oid {
            RSA_ENCRYPTION => Ok(Self::Rsa(RsaPublicKey::from_pkcs1_der(bits)?)),
            ED25519 => Ok(Self::Ed25519(Ed25519PublicKey::from_bytes(bits)?)),
            EC_PUBLIC_KEY => {
                check_curve(info.algorithm.parameters)?;
                Ok(Self::P256(P256PublicKey::from_uncompressed(bits)?))
            }
            other => Err(KeyError::unsupported_algorithm(&other.to_string())),
        }
    }
}

impl P256PublicKey {
    /// Checks that elliptic curve parameters name P-256: those of a private key file, which stand outside of a
    /// SubjectPublicKeyInfo.
    ///
    /// # Errors
    /// [`KeyError::Encoding`], [`KeyError::UnsupportedCurve`] or [`KeyError::ExplicitCurveParameters`].
    pub fn check_curve_parameters(der: &[u8]) -> Result<(), KeyError> {
        check_curve(AnyRef::from_der(der).ok())
    }
}

/// Checks that elliptic curve parameters name P-256 (RFC 5480 §2.1.1: `namedCurve` is the only choice allowed).
fn check_curve(parameters: Option<AnyRef<'_>>) -> Result<(), KeyError> {
    use der::Tagged as _;
    let parameters = parameters.ok_or(KeyError::Encoding { structure: "elliptic curve parameters" })?;
    if parameters.tag() == der::Tag::Sequence {
        return Err(KeyError::ExplicitCurveParameters);
    }
    let curve: ObjectIdentifier =
        parameters.decode_as().map_err(|_| KeyError::Encoding { structure: "elliptic curve parameters" })?;
    if curve == PRIME256V1 {
        return Ok(());
    }
    let identifier = curve.to_string();
    let name = match identifier.as_str() {
        // the right numbers in another encoding: padded arcs, which are no DER (X.690 §8.19.2)
        "1.2.840.10045.3.1.7" => return Err(KeyError::Encoding { structure: "elliptic curve parameters" }),
        "1.2.840.10045.3.1.1" => "P-192",
        "1.3.132.0.33" => "P-224",
        "1.3.132.0.34" => "P-384",
        "1.3.132.0.35" => "P-521",
        "1.3.132.0.10" => "secp256k1",
        "1.3.36.3.3.2.8.1.1.7" => "brainpoolP256r1",
        other => other,
    };
    Err(KeyError::UnsupportedCurve { curve: name.to_owned() })
}

impl SigningPublicKey {
    /// The kind, for people: `Ed25519` or `P-256`.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Ed25519(_) => "Ed25519",
            Self::P256(_) => "P-256",
        }
    }
}

impl From<SigningPublicKey> for PublicKey {
    fn from(key: SigningPublicKey) -> Self {
        match key {
            SigningPublicKey::Ed25519(key) => Self::Ed25519(key),
            SigningPublicKey::P256(key) => Self::P256(key),
        }
    }
}

impl TryFrom<PublicKey> for SigningPublicKey {
    type Error = KeyError;

    fn try_from(key: PublicKey) -> Result<Self, KeyError> {
        match key {
            PublicKey::Ed25519(key) => Ok(Self::Ed25519(key)),
            PublicKey::P256(key) => Ok(Self::P256(key)),
            PublicKey::Rsa(_) => Err(KeyError::Kind { expected: "Ed25519 or P-256", found: "RSA" }),
        }
    }
}

impl TryFrom<PublicKey> for RsaPublicKey {
    type Error = KeyError;

    fn try_from(key: PublicKey) -> Result<Self, KeyError> {
        match key {
            PublicKey::Rsa(key) => Ok(key),
            other => Err(KeyError::Kind { expected: "RSA", found: other.kind() }),
        }
    }
}

impl PrivateKey {
    /// The kind, for people: `RSA`, `Ed25519` or `P-256`.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Rsa(_) => "RSA",
            Self::Ed25519(_) => "Ed25519",
            Self::P256(_) => "P-256",
        }
    }
}

impl From<SigningPrivateKey> for PrivateKey {
    fn from(key: SigningPrivateKey) -> Self {
        match key {
            SigningPrivateKey::Ed25519(key) => Self::Ed25519(key),
            SigningPrivateKey::P256(key) => Self::P256(key),
        }
    }
}

impl TryFrom<PrivateKey> for SigningPrivateKey {
    type Error = KeyError;

    fn try_from(key: PrivateKey) -> Result<Self, KeyError> {
        match key {
            PrivateKey::Ed25519(key) => Ok(Self::Ed25519(key)),
            PrivateKey::P256(key) => Ok(Self::P256(key)),
            PrivateKey::Rsa(_) => Err(KeyError::Kind { expected: "Ed25519 or P-256", found: "RSA" }),
        }
    }
}

impl TryFrom<PrivateKey> for RsaPrivateKey {
    type Error = KeyError;

    fn try_from(key: PrivateKey) -> Result<Self, KeyError> {
        match key {
            PrivateKey::Rsa(key) => Ok(key),
            other => Err(KeyError::Kind { expected: "RSA", found: other.kind() }),
        }
    }
}

impl TryFrom<PrivateKey> for P256PrivateKey {
    type Error = KeyError;

    fn try_from(key: PrivateKey) -> Result<Self, KeyError> {
        match key {
            PrivateKey::P256(key) => Ok(key),
            other => Err(KeyError::Kind { expected: "P-256", found: other.kind() }),
        }
    }
}
