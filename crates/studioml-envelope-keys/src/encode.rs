//! Key files, written (docs/spec.md §5): what `openssl`, `ssh-keygen` and the deployed runner read.
//!
//! Encrypted PKCS #8 is PBES2 with scrypt and AES-256-CBC. scrypt, because its 16 MiB per guess are what graphics cards lack
//! and PBKDF2 is what they are good at; N = 2^14, r = 8, p = 5, because OpenSSL gives a key file's scrypt 32 MiB at most, and
//! this is the strongest of OWASP's equivalent settings below that. Where scrypt is not to be had (OpenSSL in FIPS mode,
//! Java's own providers), [`PrivateFormat::Pkcs8Pbkdf2`] is PBKDF2-HMAC-SHA256 with 600,000 iterations.

use der::{
    AnyRef, Encode,
    asn1::{BitStringRef, Null, ObjectIdentifier, OctetStringRef},
};
use pem_rfc7468::LineEnding;
use pkcs8::PrivateKeyInfoRef;
use spki::AlgorithmIdentifierRef;
use studioml_envelope_core::{
    Ed25519PrivateKey, Ed25519PublicKey, KeyError, P256PrivateKey, PrivateKey, Provider, PublicKey, SecretBytes,
    SigningPrivateKey, SigningPublicKey,
};
use zeroize::Zeroizing;

use crate::{
    Kdf, KeyFileError, Passphrase, Prf,
    file::{
        CbcCipher, DekInfo, EcPrivateKey, EncryptedPrivateKeyInfo, Pbes2Params, Pbkdf2Params, ScryptParams, derive,
        oid::{AES_256_CBC, EC_PUBLIC_KEY, ED25519, HMAC_SHA256, PBES2, PBKDF2, PRIME256V1, SCRYPT},
    },
    openssh_encode,
};

const SCRYPT_COST: Kdf = Kdf::Scrypt { n: 1 << 14, r: 8, p: 5 };
const PBKDF2_COST: Kdf = Kdf::Pbkdf2 { prf: Prf::HmacSha256, iterations: 600_000 };

/// How a private key is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PrivateFormat {
    /// PKCS #8 PEM; under a passphrase, PBES2 with scrypt and AES-256-CBC. The default.
    Pkcs8,
    /// PKCS #8 PEM; under a passphrase, PBES2 with PBKDF2-HMAC-SHA256 and AES-256-CBC.
    Pkcs8Pbkdf2,
    /// `RSA PRIVATE KEY` (PKCS #1) or `EC PRIVATE KEY` (SEC 1) PEM; under a passphrase, with `DEK-Info: AES-256-CBC`.
    /// Weak against guessing, and all that older runners read. Ed25519 has no such form.
    LegacyPem,
    /// OpenSSH; under a passphrase, aes256-ctr and bcrypt with 24 rounds, as `ssh-keygen` writes.
    OpenSsh,
    /// PKCS #8 DER, never encrypted.
    Pkcs8Der,
}

/// How a public key is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PublicFormat {
    /// `RSA PUBLIC KEY`, the form that deployed clients are given. RSA only.
    Pkcs1Pem,
    /// `PUBLIC KEY`: SubjectPublicKeyInfo.
    SpkiPem,
    /// SubjectPublicKeyInfo, DER.
    SpkiDer,
    /// One line of OpenSSH.
    SshLine,
}

/// Writes a private key, encrypted if there is a passphrase. Salts and IVs come from the provider's random source.
///
/// `comment` is kept by [`PrivateFormat::OpenSsh`] only, without control characters.
///
/// # Errors
/// [`KeyFileError::EmptyPassphrase`]; [`KeyFileError::Unsupported`] for a passphrase with [`PrivateFormat::Pkcs8Der`];
/// [`KeyError::Kind`] for a key that the format cannot hold; [`KeyFileError::Random`]; [`KeyFileError::Key`] if the key is
/// not consistent.
pub fn encode_private(
    key: &PrivateKey,
    format: PrivateFormat,
    passphrase: Option<&Passphrase>,
    comment: &str,
    provider: &Provider,
) -> Result<SecretBytes, KeyFileError> {
    if passphrase.is_some_and(Passphrase::is_empty) {
        return Err(KeyFileError::EmptyPassphrase);
    }
    let passphrase = passphrase.map(Passphrase::expose_secret);
    match (format, passphrase) {
        (PrivateFormat::Pkcs8, None) | (PrivateFormat::Pkcs8Pbkdf2, None) => pem("PRIVATE KEY", &pkcs8(key)?),
        (PrivateFormat::Pkcs8, Some(passphrase)) => encrypted_pkcs8(key, &SCRYPT_COST, passphrase, provider),
        (PrivateFormat::Pkcs8Pbkdf2, Some(passphrase)) => encrypted_pkcs8(key, &PBKDF2_COST, passphrase, provider),
        (PrivateFormat::Pkcs8Der, None) => pkcs8(key),
        (PrivateFormat::Pkcs8Der, Some(_)) => Err(KeyFileError::unsupported("passphrase for a PKCS #8 DER file", "")),
        (PrivateFormat::LegacyPem, passphrase) => legacy_pem(key, passphrase, provider),
        (PrivateFormat::OpenSsh, passphrase) => {
            let public = public_key_of(key, provider)?;
            openssh_encode::private(key, &public, passphrase, comment, provider.random)
        }
    }
}

/// Writes a public key. `comment` is kept by [`PublicFormat::SshLine`] only, without control characters.
///
/// # Errors
/// [`KeyError::Kind`] for a key that the format cannot hold.
pub fn encode_public(key: &PublicKey, format: PublicFormat, comment: &str) -> Result<Vec<u8>, KeyFileError> {
    let text = |label, der: &[u8]| pem(label, &SecretBytes::copy_from(der)).map(|pem| pem.expose_secret().to_vec());
    match (format, key) {
        (PublicFormat::Pkcs1Pem, PublicKey::Rsa(key)) => text("RSA PUBLIC KEY", &key.to_pkcs1_der()),
        (PublicFormat::Pkcs1Pem, other) => Err(KeyError::Kind { expected: "RSA", found: other.kind() }.into()),
        (PublicFormat::SpkiPem, key) => text("PUBLIC KEY", &key.to_spki_der()),
        (PublicFormat::SpkiDer, key) => Ok(key.to_spki_der()),
        (PublicFormat::SshLine, key) => Ok(openssh_encode::line(key, comment).into_bytes()),
    }
}

/// The public half, which an Ed25519 key may have left to be computed.
fn public_key_of(key: &PrivateKey, provider: &Provider) -> Result<PublicKey, KeyFileError> {
    match key {
        PrivateKey::Rsa(key) => Ok(PublicKey::Rsa(key.public_key().clone())),
        PrivateKey::P256(key) => Ok(PublicKey::P256(*key.public_key())),
        PrivateKey::Ed25519(key) => Ok(PublicKey::Ed25519(ed25519_public(key, provider)?)),
        _ => Err(KeyError::Kind { expected: "RSA, Ed25519 or P-256", found: key.kind() }.into()),
    }
}

fn ed25519_public(key: &Ed25519PrivateKey, provider: &Provider) -> Result<Ed25519PublicKey, KeyFileError> {
    if let Some(public) = key.claimed_public_key() {
        return Ok(*public);
    }
    let seed = SecretBytes::copy_from(key.seed().expose_secret());
    let loaded = provider.sign.load(&SigningPrivateKey::Ed25519(Ed25519PrivateKey::new(seed, None)?))?;
    match loaded.public_key() {
        SigningPublicKey::Ed25519(public) => Ok(*public),
        other => Err(KeyError::Kind { expected: "Ed25519", found: other.kind() }.into()),
    }
}

/// `PrivateKeyInfo` (RFC 5958), version 1: OpenSSL before 3 does not read version 2.
fn pkcs8(key: &PrivateKey) -> Result<SecretBytes, KeyFileError> {
    match key {
        PrivateKey::Rsa(key) => Ok(key.to_pkcs8_der()?),
        PrivateKey::Ed25519(key) => {
            let seed = OctetStringRef::new(key.seed().expose_secret()).map_err(unencodable)?;
            let inner = secret_der(&seed)?;
            private_key_info(AlgorithmIdentifierRef { oid: ED25519, parameters: None }, &inner)
        }
        PrivateKey::P256(key) => {
            let curve = Some(AnyRef::from(&PRIME256V1));
            private_key_info(AlgorithmIdentifierRef { oid: EC_PUBLIC_KEY, parameters: curve }, &sec1(key, None)?)
        }
        _ => Err(KeyError::Kind { expected: "RSA, Ed25519 or P-256", found: key.kind() }.into()),
    }
}

fn private_key_info(algorithm: AlgorithmIdentifierRef<'_>, key: &SecretBytes) -> Result<SecretBytes, KeyFileError> {
    let key = OctetStringRef::new(key.expose_secret()).map_err(unencodable)?;
    secret_der(&PrivateKeyInfoRef::new(algorithm, key))
}

/// `ECPrivateKey` (RFC 5915), with the curve where nothing outside names it.
fn sec1(key: &P256PrivateKey, parameters: Option<AnyRef<'_>>) -> Result<SecretBytes, KeyFileError> {
    let private_key = OctetStringRef::new(key.scalar().expose_secret()).map_err(unencodable)?;
    let public_key = Some(BitStringRef::from_bytes(key.public_key().as_bytes()).map_err(unencodable)?);
    secret_der(&EcPrivateKey { version: 1, private_key, parameters, public_key })
}

/// Encodes into one buffer of the right size: one that grows would leave copies behind.
fn secret_der(value: &(impl Encode + ?Sized)) -> Result<SecretBytes, KeyFileError> {
    let length = value.encoded_len().and_then(usize::try_from).map_err(unencodable)?;
    let mut der = Zeroizing::new(vec![0; length]);
    value.encode_to_slice(&mut der).map_err(unencodable)?;
    Ok(SecretBytes::new(core::mem::take(&mut *der)))
}

fn encrypted_pkcs8(
    key: &PrivateKey,
    kdf: &Kdf,
    passphrase: &[u8],
    provider: &Provider,
) -> Result<SecretBytes, KeyFileError> {
    let (mut salt, mut iv) = ([0; 16], [0; 16]);
    provider.random.fill(&mut salt)?;
    provider.random.fill(&mut iv)?;
    let cipher = CbcCipher::Aes256;
    let mut encryption_key = Zeroizing::new(vec![0; cipher.key_len()]);
    derive(kdf, passphrase, &salt, &mut encryption_key)?;
    let ciphertext = cipher.encrypt(&encryption_key, &iv, pkcs8(key)?.expose_secret()).map_err(unencodable)?;
    let info = pbes2_der(kdf, &salt, &iv, &ciphertext).map_err(unencodable)?;
    pem("ENCRYPTED PRIVATE KEY", &SecretBytes::new(info))
}

fn pbes2_der(kdf: &Kdf, salt: &[u8], iv: &[u8], ciphertext: &[u8]) -> der::Result<Vec<u8>> {
    let (kdf_oid, kdf_params) = kdf_der(kdf, OctetStringRef::new(salt)?)?;
    let params = Pbes2Params {
        kdf: AlgorithmIdentifierRef { oid: kdf_oid, parameters: Some(AnyRef::try_from(kdf_params.as_slice())?) },
        cipher: AlgorithmIdentifierRef { oid: AES_256_CBC, parameters: Some(OctetStringRef::new(iv)?.into()) },
    }
    .to_der()?;
    let algorithm = AlgorithmIdentifierRef { oid: PBES2, parameters: Some(AnyRef::try_from(params.as_slice())?) };
    EncryptedPrivateKeyInfo { algorithm, encrypted_data: OctetStringRef::new(ciphertext)? }.to_der()
}

fn kdf_der(kdf: &Kdf, salt: &OctetStringRef) -> der::Result<(ObjectIdentifier, Vec<u8>)> {
    match *kdf {
        Kdf::Scrypt { n, r, p } => {
            let params = ScryptParams { salt, cost: n, block_size: r, parallelization: p, key_length: None };
            Ok((SCRYPT, params.to_der()?))
        }
        Kdf::Pbkdf2 { iterations, .. } => {
            let prf = Some(AlgorithmIdentifierRef { oid: HMAC_SHA256, parameters: Some(Null.into()) });
            Ok((PBKDF2, Pbkdf2Params { salt, iterations, key_length: None, prf }.to_der()?))
        }
        _ => Err(der::ErrorKind::Failed.into()), // only the two above are written
    }
}

/// The traditional PEM of OpenSSL.
fn legacy_pem(key: &PrivateKey, passphrase: Option<&[u8]>, provider: &Provider) -> Result<SecretBytes, KeyFileError> {
    let (label, der) = match key {
        PrivateKey::Rsa(key) => ("RSA PRIVATE KEY", SecretBytes::copy_from(key.to_pkcs1_der().expose_secret())),
        PrivateKey::P256(key) => ("EC PRIVATE KEY", sec1(key, Some(AnyRef::from(&PRIME256V1)))?),
        other => return Err(KeyError::Kind { expected: "RSA or P-256", found: other.kind() }.into()),
    };
    let Some(passphrase) = passphrase else { return pem(label, &der) };
    let mut iv = vec![0; CbcCipher::Aes256.iv_len()];
    provider.random.fill(&mut iv)?;
    let dek_info = DekInfo { cipher: CbcCipher::Aes256, iv };
    let encryption_key = dek_info.key(passphrase);
    let ciphertext =
        dek_info.cipher.encrypt(&encryption_key, &dek_info.iv, der.expose_secret()).map_err(unencodable)?;
    let body = pem_rfc7468::encode_string(label, LineEnding::LF, &ciphertext).map_err(unencodable)?;
    let (begin, rest) = body.split_once('\n').ok_or(KeyFileError::Damaged { structure: "PEM" })?;
    let (cipher, iv) = (dek_info.cipher.name(), hex::encode_upper(&dek_info.iv));
    let text = format!("{begin}\nProc-Type: 4,ENCRYPTED\nDEK-Info: {cipher},{iv}\n\n{rest}");
    Ok(SecretBytes::new(text.into_bytes()))
}

/// PEM (RFC 7468) with LF line ends, in one buffer of the right size.
fn pem(label: &str, der: &SecretBytes) -> Result<SecretBytes, KeyFileError> {
    let length = pem_rfc7468::encoded_len(label, LineEnding::LF, der.expose_secret()).map_err(unencodable)?;
    let mut text = Zeroizing::new(vec![0; length]);
    pem_rfc7468::encode(label, LineEnding::LF, der.expose_secret(), &mut text).map_err(unencodable)?;
    Ok(SecretBytes::new(core::mem::take(&mut *text)))
}

/// What is encoded here has lengths of a few kilobytes, so that an encoder has nothing to complain of.
fn unencodable<E>(_: E) -> KeyFileError {
    KeyFileError::Key(KeyError::Encoding { structure: "private key" })
}
