//! The keys of the vectors, read from their plain forms, so that a provider is judged without a reader of key files.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use pkcs8::PrivateKeyInfoRef;
use pkcs8::der::Decode as _;
use studioml_envelope_core::{
    AgreeStatic, Ed25519PrivateKey, P256PrivateKey, P256PublicKey, PublicKey, RsaPrivateKey, SecretBytes,
    SigningPrivateKey, SigningPublicKey,
};

use crate::Vectors;

/// The set of keys that key tools wrote; `bad/` uses it.
pub(crate) const KEYFILES: &str = "keyfiles";

pub(crate) fn base64(text: &str) -> Result<Vec<u8>, String> {
    STANDARD.decode(text).map_err(|error| error.to_string())
}

/// The private key of `python`, `go` or `keyfiles`: 4096 bits.
pub(crate) fn rsa_private(vectors: &Vectors, set: &str) -> Result<RsaPrivateKey, String> {
    let file =
        if set == KEYFILES { "keyfiles/rsa.pkcs1.der".to_owned() } else { format!("derived/{set}-rsa.pkcs1.der") };
    RsaPrivateKey::from_pkcs1_der(vectors.bytes(&file)?).map_err(|error| format!("{file}: {error}"))
}

/// A public key from an SSH line.
pub(crate) fn ssh_line(vectors: &Vectors, file: &str) -> Result<PublicKey, String> {
    let blob = vectors.text(file)?.split_whitespace().nth(1).ok_or_else(|| format!("{file}: no SSH line"))?;
    PublicKey::from_ssh_blob(&base64(blob)?).map_err(|error| format!("{file}: {error}"))
}

/// The signing key of a peer's set.
pub(crate) fn peer_signer(vectors: &Vectors, set: &str) -> Result<SigningPublicKey, String> {
    let set = vectors.expected().sets.get(set).ok_or_else(|| format!("no set {set}"))?;
    let key = ssh_line(vectors, &format!("{}/{}", set.dir, set.keys.ed25519.public_line))?;
    SigningPublicKey::try_from(key).map_err(|error| error.to_string())
}

/// The signing keys of `keyfiles`, Ed25519 and P-256.
pub(crate) fn signers(vectors: &Vectors) -> Result<[SigningPublicKey; 2], String> {
    let read = |file| {
        ssh_line(vectors, file).and_then(|key| SigningPublicKey::try_from(key).map_err(|error| error.to_string()))
    };
    Ok([read("keyfiles/ed25519.ssh-line")?, read("keyfiles/ec.ssh-line")?])
}

/// The private signing keys of `keyfiles`, Ed25519 and P-256.
pub(crate) fn signing_keys(vectors: &Vectors) -> Result<[SigningPrivateKey; 2], String> {
    let [ed25519, _] = signers(vectors)?;
    let SigningPublicKey::Ed25519(public) = ed25519 else {
        return Err("keyfiles/ed25519.ssh-line holds another kind of key".to_owned());
    };
    let seed = SecretBytes::copy_from(vectors.bytes("keyfiles/ed25519.seed")?);
    let ed25519 = Ed25519PrivateKey::new(seed, Some(public)).map_err(|error| error.to_string())?;
    Ok([SigningPrivateKey::Ed25519(ed25519), SigningPrivateKey::P256(p256_private(vectors)?)])
}

/// The P-256 private key of `keyfiles`.
pub(crate) fn p256_private(vectors: &Vectors) -> Result<P256PrivateKey, String> {
    p256_from_sec1_der(vectors.bytes("keyfiles/ec.sec1.der")?, None)
}

/// A P-256 private key from SEC 1 DER; where the public part is missing, `parts` computes it.
pub(crate) fn p256_from_sec1_der(der: &[u8], parts: Option<&dyn AgreeStatic>) -> Result<P256PrivateKey, String> {
    let key = sec1::EcPrivateKey::from_der(der).map_err(|error| error.to_string())?;
    let scalar = SecretBytes::copy_from(key.private_key);
    let public = match (key.public_key, parts) {
        (Some(public), _) => P256PublicKey::from_uncompressed(public),
        (None, Some(part)) => part.public_key_of(&scalar),
        (None, None) => return Err("the private key comes without its public part".to_owned()),
    };
    P256PrivateKey::new(scalar, public.map_err(|error| error.to_string())?).map_err(|error| error.to_string())
}

/// A P-256 private key from PKCS #8 PEM.
pub(crate) fn p256_from_pkcs8_pem(pem: &str, part: &dyn AgreeStatic) -> Result<P256PrivateKey, String> {
    let (_, der) = pem_rfc7468::decode_vec(pem.as_bytes()).map_err(|error| error.to_string())?;
    let info = PrivateKeyInfoRef::from_der(&der).map_err(|error| error.to_string())?;
    p256_from_sec1_der(info.private_key.as_bytes(), Some(part))
}

/// A public key from SubjectPublicKeyInfo PEM.
pub(crate) fn from_spki_pem(pem: &str) -> Result<PublicKey, String> {
    let (_, der) = pem_rfc7468::decode_vec(pem.as_bytes()).map_err(|error| error.to_string())?;
    PublicKey::from_spki_der(&der).map_err(|error| error.to_string())
}

/// A P-256 private key from a big-endian number of any length, as Wycheproof writes them.
pub(crate) fn p256_from_number(number: &[u8], part: &dyn AgreeStatic) -> Result<P256PrivateKey, String> {
    let first = number.iter().position(|byte| *byte != 0).unwrap_or(number.len());
    let digits = number.get(first..).unwrap_or_default();
    let zeros = 32_usize.checked_sub(digits.len()).ok_or("a scalar of more than 32 bytes")?;
    let scalar = || SecretBytes::new([vec![0; zeros], digits.to_vec()].concat());
    let public = part.public_key_of(&scalar()).map_err(|error| error.to_string())?;
    P256PrivateKey::new(scalar(), public).map_err(|error| error.to_string())
}
