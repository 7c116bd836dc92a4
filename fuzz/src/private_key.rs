//! Key files (docs/spec.md §5): text as it comes, and the structures below the text, where a fuzzer that has to get base64 right
//! would never arrive. Every provider must load and refuse the same.

use arbitrary::{Arbitrary, Unstructured};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use studioml_envelope_core::{KeyError, PublicKey, RsaPrivateKey, RsaPrivateNumbers, RsaPublicKey, SessionKey};
use studioml_envelope_keys::{Kdf, KeyFileError, Passphrase, Protection, inspect, read_private, read_public_keys};

use crate::keys::rsa;
use crate::memory;
use crate::providers::{agree, first, is_short, unwrapping_libraries_agree};

/// What a key derivation may cost here. Real limits are higher; that they are kept is a test of its own.
const CHEAP: u64 = 64;

/// A file as it stands.
pub fn text(data: &[u8]) {
    file(data);
}

/// DER, which is what the text of most formats decodes to.
pub fn der(data: &[u8]) {
    file(data);
    if let Some((label, der)) = data.split_first() {
        let label = LABELS[usize::from(*label) % LABELS.len()];
        file(&armored(label, "", der));
    }
}

/// The binary form of OpenSSH private keys.
pub fn openssh(data: &[u8]) {
    file(&armored("OPENSSH PRIVATE KEY", "", data));
}

/// Encrypted PEM: the first line is the value of `DEK-Info`, the rest is the ciphertext.
pub fn legacy_pem(data: &[u8]) {
    let end = data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len());
    let (info, ciphertext) = data.split_at(end);
    let headers = format!("Proc-Type: 4,ENCRYPTED\nDEK-Info: {}\n\n", String::from_utf8_lossy(info));
    for label in ["RSA PRIVATE KEY", "EC PRIVATE KEY"] {
        file(&armored(label, &headers, ciphertext.get(1..).unwrap_or_default()));
    }
}

const LABELS: [&str; 7] = [
    "RSA PRIVATE KEY",
    "EC PRIVATE KEY",
    "PRIVATE KEY",
    "ENCRYPTED PRIVATE KEY",
    "RSA PUBLIC KEY",
    "PUBLIC KEY",
    "EC PARAMETERS",
];

fn armored(label: &str, headers: &str, contents: &[u8]) -> Vec<u8> {
    format!("-----BEGIN {label}-----\n{headers}{}\n-----END {label}-----\n", STANDARD.encode(contents)).into_bytes()
}

/// Reads a file as public and as private, with and without a passphrase.
fn file(bytes: &[u8]) {
    let budget = 64 * bytes.len() + 256 * 1024;
    match memory::at_most(budget, || read_public_keys(bytes)) {
        Ok(keys) => {
            assert!(!keys.is_empty());
            for key in keys {
                assert_eq!(PublicKey::from_ssh_blob(&key.key.to_ssh_blob()), Ok(key.key));
            }
        }
        Err(error) => is_short(&error),
    }
    let described = agree(|provider| inspect(bytes, provider));
    if let Err(error) = &described {
        is_short(error);
    }
    let described = described.unwrap_or_default();
    if !described.iter().all(|description| is_cheap(&description.protection)) {
        return;
    }
    let without = agree(|provider| outcome(read_private(bytes, None, provider)));
    let passphrase = || Passphrase::from_file_contents(b"passphrase\n".to_vec());
    let with = agree(|provider| outcome(read_private(bytes, Some(&passphrase()), provider)));
    for error in [&without, &with].into_iter().filter_map(|outcome| outcome.as_ref().err()) {
        is_short(error);
    }
    if let (Ok(one), Ok(other)) = (&without, &with) {
        assert_eq!(one, other, "a passphrase that is not needed changes nothing");
    }
    if let Err(KeyFileError::PassphraseMissing { protection }) = &without {
        assert!(protection.is_encrypted());
        assert!(!matches!(with, Err(KeyFileError::PassphraseMissing { .. })));
    }
}

fn outcome(read: Result<studioml_envelope_keys::PrivateKeyFile, KeyFileError>) -> Result<PublicKey, KeyFileError> {
    read.map(|file| {
        assert_eq!(file.description().public_key.as_ref(), Some(file.public_key()));
        let shown = format!("{file:?} {:?}", file.key());
        assert!(shown.len() < 8192, "a key's Debug shows {} bytes", shown.len());
        file.public_key().clone()
    })
}

fn is_cheap(protection: &Protection) -> bool {
    let Protection::Encrypted { kdf, .. } = protection else { return true };
    match kdf {
        Kdf::Bcrypt { rounds } => *rounds <= 2 || *rounds > studioml_envelope_keys::limits::MAX_BCRYPT_ROUNDS,
        Kdf::Pbkdf2 { iterations, .. } | Kdf::Pkcs12 { iterations } => {
            *iterations <= 32 * CHEAP || *iterations > studioml_envelope_keys::limits::MAX_PBKDF2_ITERATIONS
        }
        Kdf::Scrypt { n, r, p } => {
            let work = n.saturating_mul(*r).saturating_mul(*p);
            work <= 16 * CHEAP || work > studioml_envelope_keys::limits::MAX_SCRYPT_WORK
        }
        _ => true,
    }
}

#[derive(Arbitrary, Debug)]
struct Numbers<'a> {
    public: Option<(u8, u8)>,
    exponent: Option<u64>,
    changes: Vec<Change<'a>>,
}

#[derive(Arbitrary, Debug)]
struct Change<'a> {
    /// Which of d, p, q, dP, dQ, qInv.
    number: u8,
    how: How<'a>,
}

#[derive(Arbitrary, Debug)]
enum How<'a> {
    Flip(u16, u8),
    Any(&'a [u8]),
    ZerosBefore(u8),
    Times(u8),
    Copy(u8),
}

/// The numbers of an RSA private key, changed one by one: all libraries load it or none does.
pub fn rsa_numbers(data: &[u8]) {
    let Ok(input) = Numbers::arbitrary_take_rest(Unstructured::new(data)) else { return };
    let good = rsa();
    let mut modulus = good.public_key().modulus().to_vec();
    if let Some((at, with)) = input.public {
        modulus[usize::from(at)] ^= with;
    }
    let exponent = input.exponent.unwrap_or(good.public_key().exponent());
    let Ok(public) = RsaPublicKey::new(&modulus, &exponent.to_be_bytes()) else { return };
    let made = good.with_numbers(|numbers| {
        let mut all = [
            numbers.private_exponent,
            numbers.prime_p,
            numbers.prime_q,
            numbers.exponent_p,
            numbers.exponent_q,
            numbers.coefficient,
        ]
        .map(<[u8]>::to_vec);
        for change in input.changes.iter().take(4) {
            apply(&mut all, change);
        }
        let [private_exponent, prime_p, prime_q, exponent_p, exponent_q, coefficient] = &all;
        RsaPrivateKey::new(
            public.clone(),
            &RsaPrivateNumbers { private_exponent, prime_p, prime_q, exponent_p, exponent_q, coefficient },
        )
    });
    let Ok(key) = made else { return };
    let again = RsaPrivateKey::from_pkcs1_der(key.to_pkcs1_der().expose_secret()).expect("what is written is read");
    assert_eq!(again.public_key(), key.public_key());
    let mut wrapped = vec![0; public.modulus().len()];
    let recipient = first().key_wrap.load(&public).expect("within the limits");
    recipient.wrap(&SessionKey::from_bytes([3; 32]), first().random, &mut wrapped).expect("any odd modulus wraps");
    let found = unwrapping_libraries_agree(|provider| -> Result<bool, KeyError> {
        let identity = provider.key_unwrap.load(&key)?;
        Ok(identity.unwrap(&wrapped, provider.random).found())
    });
    assert_ne!(found, Ok(false), "a key that loads opens what its public half wraps");
}

fn apply(numbers: &mut [Vec<u8>; 6], change: &Change<'_>) {
    let index = usize::from(change.number % 6);
    match change.how {
        How::Flip(at, with) => {
            let number = &mut numbers[index];
            if !number.is_empty() {
                let at = usize::from(at) % number.len();
                number[at] ^= with;
            }
        }
        How::Any(bytes) => numbers[index] = bytes.iter().copied().take(300).collect(),
        How::ZerosBefore(count) => {
            numbers[index].splice(0..0, core::iter::repeat_n(0, usize::from(count)));
        }
        How::Times(factor) => {
            let mut carry = 0_u32;
            for byte in numbers[index].iter_mut().rev() {
                carry += u32::from(*byte) * u32::from(factor);
                *byte = carry as u8;
                carry >>= 8;
            }
            numbers[index].insert(0, carry as u8);
        }
        How::Copy(other) => numbers[index] = numbers[usize::from(other % 6)].clone(),
    }
}
