//! Each library called the way its own documentation says, with nothing of this project between: the floors of the groups
//! on one primitive, and what [`crate::floor`] puts whole messages together from.
//!
//! Functions take a library's name as the part that leans on it reports it, and give closures over keys that are loaded
//! and precomputed already.

use std::sync::LazyLock;

use aws_lc_rs::rsa as aws_rsa;
use aws_lc_rs::signature as aws_signature;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::GeneralPurposeConfig;
use base64::engine::simd::Simd;
use chacha20::ChaCha20Rng;
use crypto_secretbox::{AeadInPlace as _, KeyInit as _, XSalsa20Poly1305};
use ed25519_dalek::Signer as _;
use rand_core::SeedableRng as _;
use ring::signature as ring_signature;
use rsa::BoxedUint;
use rsa::traits::PaddingScheme as _;
use sha2::Sha256;
use studioml_envelope::{Nonce, RsaPrivateKey, SessionKey, Tag};

/// Base64 as the payload has it: canonical, by the library's SIMD engine.
pub static BASE64: LazyLock<Simd> = LazyLock::new(|| {
    Simd::standard(
        GeneralPurposeConfig::new()
            .with_decode_allow_trailing_bits(false)
            .with_decode_padding_mode(DecodePaddingMode::RequireCanonical),
    )
});

/// Fills with random bytes.
pub type Random = Box<dyn Fn(&mut [u8])>;
/// Wraps 32 bytes into the length of the modulus.
pub type Wrap = Box<dyn FnMut(&[u8; 32], &mut [u8])>;
/// Unwraps to 32 bytes; the scratch buffer is as long as the modulus.
pub type Unwrap = Box<dyn FnMut(&[u8], &mut [u8]) -> [u8; 32]>;
/// Signs with Ed25519.
pub type Sign = Box<dyn Fn(&[u8]) -> [u8; 64]>;
/// Verifies Ed25519.
pub type Verify = Box<dyn Fn(&[u8], &[u8; 64]) -> bool>;

/// Random bytes.
#[must_use]
pub fn random(library: &str) -> Random {
    match library {
        "aws-lc-rs" => Box::new(|out| aws_lc_rs::rand::fill(out).unwrap()),
        "ring" => {
            use ring::rand::SecureRandom as _;
            let system = ring::rand::SystemRandom::new();
            Box::new(move |out| system.fill(out).unwrap())
        }
        "getrandom" => Box::new(|out| getrandom::fill(out).unwrap()),
        other => panic!("no bare call of {other}"),
    }
}

/// RSA-OAEP-SHA256, the sender's side.
#[must_use]
pub fn wrap(library: &str, key: &RsaPrivateKey) -> Wrap {
    match library {
        "aws-lc-rs" => {
            let der = studioml_envelope::PublicKey::Rsa(key.public_key().clone()).to_spki_der();
            let key = aws_rsa::OaepPublicEncryptingKey::new(aws_rsa::PublicEncryptingKey::from_der(&der).unwrap());
            let key = key.unwrap();
            Box::new(move |session_key, out| {
                key.encrypt(&aws_rsa::OAEP_SHA256_MGF1SHA256, session_key, out, None).unwrap();
            })
        }
        "rsa" => {
            let key = rustcrypto_rsa(key).to_public_key();
            let mut generator = chacha20();
            Box::new(move |session_key, out| {
                let wrapped = rsa::Oaep::<Sha256>::new().encrypt(&mut generator, &key, session_key).unwrap();
                out.copy_from_slice(&wrapped);
            })
        }
        other => panic!("no bare call of {other}"),
    }
}

/// RSA-OAEP-SHA256, the receiver's side; blinded where blinding is asked for.
#[must_use]
pub fn unwrap(library: &str, key: &RsaPrivateKey) -> Unwrap {
    match library {
        "aws-lc-rs" => {
            let der = key.to_pkcs8_der().unwrap();
            let key = aws_rsa::PrivateDecryptingKey::from_pkcs8(der.expose_secret()).unwrap();
            let key = aws_rsa::OaepPrivateDecryptingKey::new(key).unwrap();
            Box::new(move |wrapped, scratch| {
                let session_key = key.decrypt(&aws_rsa::OAEP_SHA256_MGF1SHA256, wrapped, scratch, None).unwrap();
                (*session_key).try_into().unwrap()
            })
        }
        "rsa" => {
            let key = rustcrypto_rsa(key);
            let mut generator = chacha20();
            Box::new(move |wrapped, _| {
                let session_key = rsa::Oaep::<Sha256>::new().decrypt(Some(&mut generator), &key, wrapped).unwrap();
                session_key.as_slice().try_into().unwrap()
            })
        }
        other => panic!("no bare call of {other}"),
    }
}

fn rustcrypto_rsa(key: &RsaPrivateKey) -> rsa::RsaPrivateKey {
    let bits = u32::try_from(key.public_key().bits()).unwrap();
    let number = |digits: &[u8], bits| BoxedUint::from_be_slice(digits, bits).unwrap();
    let (modulus, exponent) = (number(key.public_key().modulus(), bits), BoxedUint::from(key.public_key().exponent()));
    key.with_numbers(|numbers| {
        let primes = vec![number(numbers.prime_p, bits / 2), number(numbers.prime_q, bits / 2)];
        let private_exponent = number(numbers.private_exponent, bits);
        Ok(rsa::RsaPrivateKey::from_components(modulus, exponent, private_exponent, primes).unwrap())
    })
    .unwrap()
}

fn chacha20() -> ChaCha20Rng {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).unwrap();
    ChaCha20Rng::from_seed(seed)
}

/// SecretBox: encrypts in place and gives the tag.
pub fn seal_box(library: &str, key: &[u8; 32], nonce: &Nonce, text: &mut [u8]) -> Tag {
    match library {
        "crypto_secretbox" => {
            let cipher = XSalsa20Poly1305::new(key.into());
            cipher.encrypt_in_place_detached(nonce.into(), b"", text).unwrap().into()
        }
        "studioml-envelope-simd" => {
            studioml_envelope_simd::SECRET_BOX.seal_in_place(&SessionKey::from_bytes(*key), nonce, text)
        }
        other => panic!("no bare call of {other}"),
    }
}

/// SecretBox: checks the tag and decrypts in place.
pub fn open_box(library: &str, key: &[u8; 32], nonce: &Nonce, tag: &Tag, text: &mut [u8]) {
    match library {
        "crypto_secretbox" => {
            let cipher = XSalsa20Poly1305::new(key.into());
            cipher.decrypt_in_place_detached(nonce.into(), b"", text, tag.into()).unwrap();
        }
        "studioml-envelope-simd" => {
            studioml_envelope_simd::SECRET_BOX.open_in_place(&SessionKey::from_bytes(*key), nonce, tag, text).unwrap();
        }
        other => panic!("no bare call of {other}"),
    }
}

/// Ed25519 with the key of [`crate::ED25519_SEED`].
#[must_use]
pub fn sign(library: &str) -> Sign {
    let seed = &crate::ED25519_SEED;
    match library {
        "aws-lc-rs" => {
            let key = aws_signature::Ed25519KeyPair::from_seed_unchecked(seed).unwrap();
            Box::new(move |message| key.sign(message).as_ref().try_into().unwrap())
        }
        "ring" => {
            let key = ring_signature::Ed25519KeyPair::from_seed_unchecked(seed).unwrap();
            Box::new(move |message| key.sign(message).as_ref().try_into().unwrap())
        }
        "ed25519-dalek+p256" => {
            let key = ed25519_dalek::SigningKey::from_bytes(seed);
            Box::new(move |message| key.sign(message).to_bytes())
        }
        other => panic!("no bare call of {other}"),
    }
}

/// Ed25519, strict where the library lets it be asked for, with the key of [`crate::ED25519_SEED`].
#[must_use]
pub fn verify(library: &str) -> Verify {
    let key = ed25519_dalek::SigningKey::from_bytes(&crate::ED25519_SEED).verifying_key();
    match library {
        "aws-lc-rs" => {
            let key = aws_signature::ParsedPublicKey::new(&aws_signature::ED25519, key.as_bytes()).unwrap();
            Box::new(move |message, signature| key.verify_sig(message, signature).is_ok())
        }
        "ring" => {
            let key = ring_signature::UnparsedPublicKey::new(&ring_signature::ED25519, key.to_bytes());
            Box::new(move |message, signature| key.verify(message, signature).is_ok())
        }
        "ed25519-dalek+p256" => Box::new(move |message, signature| {
            key.verify_strict(message, &ed25519_dalek::Signature::from_bytes(signature)).is_ok()
        }),
        other => panic!("no bare call of {other}"),
    }
}
