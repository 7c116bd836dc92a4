//! OpenSSH private keys and public key lines, written by the `ssh-key` crate.

use base64::Engine as _;
use ssh_key::{
    Cipher, Kdf, LineEnding, Mpint,
    private::{EcdsaKeypair, Ed25519Keypair, KeypairData, RsaKeypair, RsaPrivateKey},
    public::{EcdsaPublicKey, Ed25519PublicKey, RsaPublicKey},
};
use studioml_envelope_core::{KeyError, PrivateKey, PublicKey, Random, SecretBytes, in_wiped_frames};

use crate::{KeyFileError, file::BASE64, file::comment as printable};

/// Rounds of bcrypt, as `ssh-keygen` writes since OpenSSH 9.4.
const ROUNDS: u32 = 24;

const UNENCODABLE: KeyFileError = KeyFileError::Key(KeyError::Encoding { structure: "OpenSSH private key" });

/// `openssh-key-v1`, encrypted with aes256-ctr if there is a passphrase.
pub(crate) fn private(
    key: &PrivateKey,
    public: &PublicKey,
    passphrase: Option<&[u8]>,
    comment: &str,
    random: &dyn Random,
) -> Result<SecretBytes, KeyFileError> {
    in_wiped_frames(|| encode(key, public, passphrase, comment, random))
}

fn encode(
    key: &PrivateKey,
    public: &PublicKey,
    passphrase: Option<&[u8]>,
    comment: &str,
    random: &dyn Random,
) -> Result<SecretBytes, KeyFileError> {
    let comment = printable(comment.as_bytes()).unwrap_or_default();
    let file = ssh_key::PrivateKey::new(keypair(key, public)?, comment).map_err(|_| UNENCODABLE)?;
    let file = match passphrase {
        None => file,
        Some(passphrase) => {
            let (mut salt, mut checkint) = (vec![0; 16], [0; 4]);
            random.fill(&mut salt)?;
            random.fill(&mut checkint)?;
            let kdf = Kdf::Bcrypt { salt, rounds: ROUNDS };
            file.encrypt_with(Cipher::Aes256Ctr, kdf, u32::from_be_bytes(checkint), passphrase)
                .map_err(|_| UNENCODABLE)?
        }
    };
    let text = file.to_openssh(LineEnding::LF).map_err(|_| UNENCODABLE)?;
    Ok(SecretBytes::copy_from(text.as_bytes()))
}

/// `algorithm base64 comment` and a line end.
pub(crate) fn line(key: &PublicKey, comment: &str) -> String {
    let blob = key.to_ssh_blob();
    let name = blob.get(4..).unwrap_or_default();
    let length = blob.first_chunk().map_or(0, |length| u32::from_be_bytes(*length));
    let name = name.get(..usize::try_from(length).unwrap_or(0)).unwrap_or_default();
    let mut line = String::from_utf8_lossy(name).into_owned();
    line.push(' ');
    BASE64.encode_string(&blob, &mut line);
    if let Some(comment) = printable(comment.as_bytes()) {
        line.push(' ');
        line.push_str(&comment);
    }
    line.push('\n');
    line
}

fn keypair(key: &PrivateKey, public: &PublicKey) -> Result<KeypairData, KeyFileError> {
    match (key, public) {
        (PrivateKey::Rsa(key), _) => {
            let public = RsaPublicKey::new(
                Mpint::from_positive_bytes(&key.public_key().exponent_bytes()),
                Mpint::from_positive_bytes(key.public_key().modulus()),
            )
            .map_err(|_| UNENCODABLE)?;
            let private = key.with_numbers(|numbers| {
                RsaPrivateKey::new(
                    Mpint::from_positive_bytes(numbers.private_exponent),
                    Mpint::from_positive_bytes(numbers.coefficient),
                    Mpint::from_positive_bytes(numbers.prime_p),
                    Mpint::from_positive_bytes(numbers.prime_q),
                )
                .map_err(|_| KeyError::Inconsistent)
            })?;
            Ok(KeypairData::Rsa(RsaKeypair::new(public, private).map_err(|_| UNENCODABLE)?))
        }
        (PrivateKey::Ed25519(key), PublicKey::Ed25519(public)) => {
            let seed = key.seed().expose_secret().try_into().map_err(|_| UNENCODABLE)?;
            let pair = Ed25519Keypair { public: Ed25519PublicKey(*public.as_bytes()), private: seed };
            Ok(KeypairData::Ed25519(pair))
        }
        (PrivateKey::P256(key), _) => {
            let EcdsaPublicKey::NistP256(public) =
                EcdsaPublicKey::from_sec1_bytes(key.public_key().as_bytes()).map_err(|_| UNENCODABLE)?
            else {
                return Err(UNENCODABLE);
            };
            let scalar: [u8; 32] = key.scalar().expose_secret().try_into().map_err(|_| UNENCODABLE)?;
            let scalar = zeroize::Zeroizing::new(scalar);
            Ok(KeypairData::Ecdsa(EcdsaKeypair::NistP256 { public, private: (*scalar).into() }))
        }
        (other, _) => Err(KeyError::Kind { expected: "RSA, Ed25519 or P-256", found: other.kind() }.into()),
    }
}
