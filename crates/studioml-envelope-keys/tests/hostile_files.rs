//! Key files that are damaged, forged or meant to stall whoever reads them (docs/spec.md §5.4).

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

#[path = "support/der.rs"]
mod der;
mod support;

use std::time::{Duration, Instant};

use der::{integer, octets, oid, pem, sequence};
use proptest::prelude::*;
use studioml_envelope_core::{KeyError, PrivateKey};
use studioml_envelope_keys::{
    Format, KeyFileError, Passphrase, inspect, read_ed25519_seed, read_private, read_public_keys,
};
use support::{PROVIDER, expected, vector};

const PASSPHRASE: &[u8] = b"correct horse battery staple";

fn passphrase() -> Passphrase {
    Passphrase::exact(PASSPHRASE.to_vec())
}

fn encrypted_files() -> Vec<(String, Vec<u8>)> {
    let expected = expected();
    let files = expected["keyfiles"]["files"].as_array().unwrap();
    let encrypted = files.iter().filter(|entry| entry["passphrase"].is_string());
    encrypted
        .map(|entry| entry["file"].as_str().unwrap())
        .map(|file| (file.into(), vector(&format!("keyfiles/{file}"))))
        .collect()
}

fn error_of(bytes: &[u8], passphrase: &[u8]) -> KeyFileError {
    read_private(bytes, Some(&Passphrase::exact(passphrase.to_vec())), PROVIDER).unwrap_err()
}

#[test]
fn a_missing_passphrase_is_missing_and_a_wrong_one_wrong_where_the_format_can_tell() {
    let files = encrypted_files();
    assert!(files.len() > 20);
    for (file, bytes) in files {
        let missing = read_private(&bytes, None, PROVIDER).unwrap_err();
        assert!(matches!(missing, KeyFileError::PassphraseMissing { .. }), "{file}: {missing}");
        let wrong = error_of(&bytes, b"wrong");
        let openssh = inspect(&bytes, PROVIDER).unwrap()[0].format == Format::OpenSsh;
        let expected = if openssh { KeyFileError::WrongPassphrase } else { KeyFileError::WrongPassphraseOrDamaged };
        assert_eq!(wrong, expected, "{file}");
    }
}

/// One in 256 passes the padding. What comes out is no key, and the error is the same.
#[test]
fn wrong_passphrases_that_pass_the_padding_give_the_same_error() {
    let bytes = vector("keyfiles/ec.sec1-aes256.pem");
    for attempt in 0..2000 {
        let error = error_of(&bytes, format!("wrong {attempt}").as_bytes());
        assert_eq!(error, KeyFileError::WrongPassphraseOrDamaged, "{attempt}");
    }
}

#[test]
fn a_passphrase_file_may_end_in_one_line_end() {
    for file in ["keyfiles/rsa.openssh-enc-aes128-ctr", "keyfiles/rsa.pkcs1-aes256.pem", "keyfiles/ec.pkcs8-enc.pem"] {
        let bytes = vector(file);
        let read = |contents: &[u8]| {
            let passphrase = Passphrase::from_file_contents([PASSPHRASE, contents].concat());
            read_private(&bytes, Some(&passphrase), PROVIDER).is_ok()
        };
        assert!(read(b"") && read(b"\n") && read(b"\r\n"), "{file}");
        assert!(!read(b"\n\n") && !read(b" ") && !read(b"\r"), "{file}");
    }
}

#[test]
fn a_passphrase_that_is_not_needed_is_not_used() {
    for file in ["keyfiles/rsa.openssh", "keyfiles/ec.pkcs8.pem", "keyfiles/rsa.pkcs1.der"] {
        assert!(read_private(&vector(file), Some(&passphrase()), PROVIDER).is_ok(), "{file}");
    }
}

#[test]
fn private_and_public_files_are_not_taken_for_each_other() {
    for file in ["rsa.pkcs1.pem", "rsa.openssh-enc", "rsa.pkcs8-scrypt-aes256.pem", "ec.sec1.der"] {
        let error = read_public_keys(&vector(&format!("keyfiles/{file}"))).unwrap_err();
        assert_eq!(error, KeyFileError::PrivateWherePublic, "{file}");
    }
    for file in ["rsa.pub-pkcs1.pem", "rsa.ssh-line", "ed25519.rfc4716", "ec.spki.der"] {
        assert_eq!(error_of(&vector(&format!("keyfiles/{file}")), b""), KeyFileError::PublicWherePrivate, "{file}");
    }
}

#[test]
fn two_private_keys_in_a_file_are_one_too_many() {
    let both = [vector("keyfiles/ec.sec1.pem"), vector("keyfiles/ed25519.pkcs8.pem")].concat();
    assert_eq!(error_of(&both, b""), KeyFileError::SeveralKeys { found: 2 });
    assert_eq!(inspect(&both, PROVIDER).unwrap().len(), 2);
    let beside = [vector("keyfiles/ec.spki.pem"), vector("keyfiles/ec.sec1.pem")].concat();
    assert!(read_private(&beside, None, PROVIDER).is_ok());
}

#[test]
fn other_things_are_named() {
    for (text, expected) in [
        ("PuTTY-User-Key-File-3: ssh-ed25519\n", "unsupported PuTTY private key"),
        ("-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n", "unsupported PEM block CERTIFICATE"),
        (
            "-----BEGIN DSA PRIVATE KEY-----\nMAA=\n-----END DSA PRIVATE KEY-----\n",
            "unsupported PEM block DSA PRIVATE KEY",
        ),
        ("", "not a key file: neither PEM, nor an OpenSSH or RFC 4716 public key, nor DER"),
        (
            "Dummy Secret so resource remains present",
            "not a key file: neither PEM, nor an OpenSSH or RFC 4716 public key, nor DER",
        ),
        // half of what makes an SSH line
        ("ssh-ed25519 is no key", "not a key file: neither PEM, nor an OpenSSH or RFC 4716 public key, nor DER"),
        ("a AAAAC3NzaC1lZDI1NTE5 key", "not a key file: neither PEM, nor an OpenSSH or RFC 4716 public key, nor DER"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMAA=\n", "damaged PEM"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMAA=\n-----END RSA PRIVATE KEY-----\n", "damaged RSAPrivateKey"),
        ("-----BEGIN EC PRIVATE KEY-----\nMAA=\n-----END EC PRIVATE KEY-----\n", "damaged ECPrivateKey"),
        ("-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n", "damaged PrivateKeyInfo"),
        (
            "-----BEGIN OPENSSH PRIVATE KEY-----\nMAA=\n-----END OPENSSH PRIVATE KEY-----\n",
            "damaged OpenSSH private key",
        ),
        (
            "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMAA=\n-----END ENCRYPTED PRIVATE KEY-----\n",
            "damaged EncryptedPrivateKeyInfo",
        ),
    ] {
        assert_eq!(error_of(text.as_bytes(), b"").to_string(), expected, "{text}");
    }
    let dsa = b"ssh-dss AAAAB3NzaC1kc3MAAAAA x";
    assert_eq!(read_public_keys(dsa).unwrap_err().to_string(), "unsupported key algorithm ssh-dss");
    let too_large = vec![b' '; 1024 * 1024 + 1];
    assert_eq!(error_of(&too_large, b""), KeyFileError::TooLarge { maximum: 1024 * 1024 });
}

/// In a rotation old and new stand in one file. What was meant to be a key is no explanation around the other.
#[test]
fn a_spoilt_key_beside_a_good_one_is_not_overlooked() {
    let good = vector("keyfiles/ed25519.spki.pem");
    let [pem, line] = ["ec.spki.pem", "ec.ssh-line"].map(|file| {
        let other = vector(&format!("keyfiles/{file}"));
        String::from_utf8(other).unwrap()
    });
    let read = |other: &str| read_public_keys(&[&good, other.as_bytes()].concat());
    let refused = |other: &str| read(other).unwrap_err().to_string();
    for (old, new) in [
        ("-----BEGIN", "----BEGIN"),
        ("PUBLIC KEY-----\n", "PUBLIC KEY----\n"),
        ("-----BEGIN PUBLIC KEY-----\n", ""),
        ("-----BEGIN PUBLIC KEY-----", "-- BEGIN PUBLIC KEY --"),
    ] {
        assert_eq!(refused(&pem.replacen(old, new, 1)), "damaged PEM", "{new}");
    }
    assert_eq!(refused(&pem.replace("PUBLIC", "PUBLIK")), "unsupported PEM block PUBLIK KEY");
    for spoilt in [line.replacen("ecdsa", "edsa", 1), format!("from=\"10.0.0.1\" {line}"), format!("no-pty {line}")] {
        assert_eq!(refused(&spoilt), "damaged SSH public key line", "{spoilt}");
    }
    for explanation in ["Bag Attributes\n    friendlyName: BEGIN\n", "# at the END of the year\n", "----------\n"] {
        assert_eq!(read(explanation).unwrap().len(), 1, "{explanation}");
        assert_eq!(read(&format!("{explanation}{pem}{explanation}{line}")).unwrap().len(), 3, "{explanation}");
    }
    // beside a private key, which is one alone, there may be anything
    let request = "-----BEGIN CERTIFICATE REQUEST-----\nMAA=\n-----END CERTIFICATE REQUEST-----\n";
    assert_eq!(refused(request), "unsupported PEM block CERTIFICATE REQUEST");
    let private = [request.as_bytes(), &vector("keyfiles/ec.sec1.pem")].concat();
    assert!(read_private(&private, None, PROVIDER).is_ok());
}

/// The public part is another key's, in each of the structures that carry one.
#[test]
fn a_public_part_that_is_not_the_private_parts_is_refused() {
    let inconsistent = KeyFileError::Key(KeyError::Inconsistent);
    let replace_some = |file: &str, old: &[u8], new: &[u8], which: &dyn Fn(usize) -> bool| {
        let (mut contents, label) = pem::decode(&vector(file));
        let mut found = 0;
        for start in 0..=contents.len() - old.len() {
            if &contents[start..start + old.len()] == old {
                if which(found) {
                    contents[start..start + old.len()].copy_from_slice(new);
                }
                found += 1;
            }
        }
        assert!((0..found).any(which), "{file}");
        pem::encode(&label, &contents)
    };
    let replace = |file: &str, old: &[u8], new: &[u8]| replace_some(file, old, new, &|_| true);
    let key = |file: &str| support::vector(file);
    let ed25519 = public_bytes("keyfiles/ed25519.ssh-line");
    let other = public_bytes("python/keys/studioml_signing.pub");
    let v2 = replace("keyfiles/ed25519.pkcs8-v2.pem", &ed25519, &other);
    assert_eq!(error_of(&v2, b""), inconsistent);
    // it stands there three times: in the clear, beside the private key and as the private key's second half
    for places in [&[0][..], &[1], &[2], &[1, 2], &[0, 1, 2]] {
        let openssh = replace_some("keyfiles/ed25519.openssh", &ed25519, &other, &|place| places.contains(&place));
        assert_eq!(error_of(&openssh, b""), inconsistent, "{places:?}");
    }

    // another point of the curve: the negative one, and one that is off it
    let PrivateKey::P256(p256) = read_private(&key("keyfiles/ec.pkcs8.pem"), None, PROVIDER).unwrap().into_key() else {
        panic!("not a P-256 key");
    };
    let point = p256.public_key().as_bytes();
    let other = [&[4][..], &BASE_POINT].concat();
    for file in ["keyfiles/ec.sec1-noparam.pem", "keyfiles/ec.pkcs8.pem", "keyfiles/ec.openssh"] {
        assert_eq!(error_of(&replace(file, point, &other), b""), inconsistent, "{file}");
        let mut off = *point;
        off[64] ^= 1;
        let expected = KeyFileError::Key(KeyError::PointNotOnCurve);
        assert_eq!(error_of(&replace(file, point, &off), b""), expected, "{file}");
    }

    // an RSA modulus of another key of the same size
    let modulus = |file: &str| match read_private(&key(file), Some(&python_passphrase()), PROVIDER).unwrap().into_key()
    {
        PrivateKey::Rsa(key) => key.public_key().modulus().to_vec(),
        _ => panic!("not an RSA key"),
    };
    let (mine, theirs) = (modulus("keyfiles/rsa.pkcs1.pem"), modulus("python/keys/studioml_message.pem"));
    for file in ["keyfiles/rsa.pkcs1.pem", "keyfiles/rsa.pkcs8.pem", "keyfiles/rsa.openssh"] {
        assert_eq!(error_of(&replace(file, &mine, &theirs), b""), inconsistent, "{file}");
    }
}

fn python_passphrase() -> Passphrase {
    Passphrase::from_file_contents(vector("python/keys/passphrase"))
}

/// x and y of the base point of P-256.
const BASE_POINT: [u8; 64] = {
    let x = *b"\x6b\x17\xd1\xf2\xe1\x2c\x42\x47\xf8\xbc\xe6\xe5\x63\xa4\x40\xf2\x77\x03\x7d\x81\x2d\xeb\x33\xa0\xf4\xa1\x39\x45\xd8\x98\xc2\x96";
    let y = *b"\x4f\xe3\x42\xe2\xfe\x1a\x7f\x9b\x8e\xe7\xeb\x4a\x7c\x0f\x9e\x16\x2b\xce\x33\x57\x6b\x31\x5e\xce\xcb\xb6\x40\x68\x37\xbf\x51\xf5";
    let mut point = [0; 64];
    let mut at = 0;
    while at < 32 {
        point[at] = x[at];
        point[32 + at] = y[at];
        at += 1;
    }
    point
};

fn public_bytes(line: &str) -> Vec<u8> {
    let key = read_public_keys(&vector(line)).unwrap().remove(0).key;
    key.to_spki_der()[12..].to_vec()
}

/// SEC 1 keys as other writers make them: without the public part, with a compressed one, with leading zeros dropped.
#[test]
fn sec1_keys_of_other_writers_load() {
    let scalar = [&[0; 31][..], &[1]].concat();
    let curve = der::explicit(0, &oid("1.2.840.10045.3.1.7"));
    let base_point = [&[4][..], &BASE_POINT].concat();
    let compressed = [&[3][..], &BASE_POINT[..32]].concat();
    let key = |digits: &[u8], public: Option<&[u8]>| {
        let public = public.map(|point| der::explicit(1, &der::bits(point))).unwrap_or_default();
        sequence(&[&integer(1), &octets(digits), &curve, &public])
    };
    for file in [
        key(&scalar, None),
        key(&scalar, Some(&base_point)),
        key(&scalar, Some(&compressed)),
        key(&[1], None),
        sequence(&[
            &integer(0),
            &sequence(&[&oid("1.2.840.10045.2.1"), &oid("1.2.840.10045.3.1.7")]),
            &octets(&sequence(&[&integer(1), &octets(&scalar)])),
        ]),
    ] {
        let read = read_private(&file, None, PROVIDER).unwrap();
        assert_eq!(read.public_key().to_spki_der()[26..], base_point);
    }
    let out_of_range = key(&[0xff; 32], None);
    assert_eq!(error_of(&out_of_range, b""), KeyFileError::Key(KeyError::ScalarOutOfRange));
    let explicit = sequence(&[&integer(1), &octets(&scalar), &der::explicit(0, &sequence(&[&integer(1)]))]);
    assert_eq!(error_of(&explicit, b""), KeyFileError::Key(KeyError::ExplicitCurveParameters));
    let p384 = sequence(&[&integer(1), &octets(&scalar), &der::explicit(0, &oid("1.3.132.0.34"))]);
    assert_eq!(error_of(&p384, b""), KeyFileError::Key(KeyError::UnsupportedCurve { curve: "P-384".into() }));
}

mod expensive {
    use super::*;

    fn pbes2(kdf: &[u8]) -> Vec<u8> {
        pbes2_with(kdf, "2.16.840.1.101.3.4.1.42", &[0; 16])
    }

    fn pbes2_with(kdf: &[u8], cipher: &str, iv: &[u8]) -> Vec<u8> {
        let cipher = sequence(&[&oid(cipher), &octets(iv)]);
        let scheme = sequence(&[&oid("1.2.840.113549.1.5.13"), &sequence(&[kdf, &cipher])]);
        sequence(&[&scheme, &octets(&[0; 32])])
    }

    fn scrypt(n: u64, r: u64, p: u64) -> Vec<u8> {
        let params = sequence(&[&octets(&[0; 8]), &integer(n), &integer(r), &integer(p)]);
        pbes2(&sequence(&[&oid("1.3.6.1.4.1.11591.4.11"), &params]))
    }

    fn pbkdf2(salt: &[u8], iterations: u64) -> Vec<u8> {
        pbes2(&sequence(&[&oid("1.2.840.113549.1.5.12"), &sequence(&[&octets(salt), &integer(iterations)])]))
    }

    fn pkcs12(iterations: u64) -> Vec<u8> {
        let params = sequence(&[&octets(&[0; 8]), &integer(iterations)]);
        sequence(&[&sequence(&[&oid("1.2.840.113549.1.12.1.3"), &params]), &octets(&[0; 32])])
    }

    /// What asks for too much is refused at once; what the derivation does not have is damage; and nothing panics.
    #[test]
    fn costs_are_refused_before_they_are_spent() {
        let started = Instant::now();
        let cost = |file: &[u8]| match error_of(file, b"x") {
            KeyFileError::TooExpensive { kdf, parameter, found, .. } => (kdf, parameter, found),
            other => panic!("{other}"),
        };
        assert_eq!(cost(&scrypt(1 << 40, 8, 1)).1, "memory in bytes");
        assert_eq!(cost(&scrypt(1 << 21, 8, 1)).1, "memory in bytes");
        assert_eq!(cost(&scrypt(2, 1, 1 << 30)).1, "memory in bytes");
        assert_eq!(cost(&scrypt(u64::MAX, u64::MAX, u64::MAX)).1, "memory in bytes");
        assert_eq!(cost(&scrypt(1 << 14, 8, 1 << 10)).1, "work (N r p)");
        assert_eq!(cost(&pbkdf2(&[0; 8], 4_294_967_295)), ("PBKDF2", "iterations", 4_294_967_295));
        assert_eq!(cost(&pbkdf2(&[0; 8], u64::MAX)), ("PBKDF2", "iterations", u64::MAX));
        assert_eq!(cost(&pkcs12(u64::MAX)), ("PKCS #12 derivation", "iterations", u64::MAX));
        assert_eq!(cost(&bcrypt_rounds(257)), ("bcrypt", "rounds", 257));
        assert_eq!(cost(&bcrypt_rounds(u32::MAX)), ("bcrypt", "rounds", 4_294_967_295));
        // any one of them would take hours; a loaded machine may take a while over all the refusals
        assert!(started.elapsed() < Duration::from_secs(60), "{:?}", started.elapsed());
    }

    /// The rounds stand after the salt of the one known file.
    fn bcrypt_rounds(rounds: u32) -> Vec<u8> {
        let (mut contents, label) = pem::decode(&vector("keyfiles/ed25519.openssh-enc"));
        let at = contents.windows(8).position(|window| window == b"\0\0\0\x06bcry").unwrap() + 4 + 6 + 4 + 4 + 16;
        assert_eq!(contents[at..at + 4], 16_u32.to_be_bytes());
        contents[at..at + 4].copy_from_slice(&rounds.to_be_bytes());
        pem::encode(&label, &contents)
    }

    #[test]
    fn parameters_that_no_derivation_has_are_damage() {
        let damaged = KeyFileError::Damaged { structure: "EncryptedPrivateKeyInfo" };
        for file in [
            scrypt(0, 8, 1),
            scrypt(1, 8, 1),
            scrypt(3, 8, 1),
            scrypt(2, 0, 1),
            scrypt(2, 1, 0),
            pbkdf2(&[0; 8], 0),
            pkcs12(0),
            pbes2_with(
                &sequence(&[&oid("1.2.840.113549.1.5.12"), &sequence(&[&octets(&[0; 8]), &integer(1)])]),
                "1.2.840.113549.3.7",
                &[0; 7],
            ),
            pbes2_with(
                &sequence(&[&oid("1.2.840.113549.1.5.12"), &sequence(&[&octets(&[0; 8]), &integer(1)])]),
                "2.16.840.1.101.3.4.1.42",
                &[],
            ),
        ] {
            assert_eq!(error_of(&file, b"x"), damaged, "{}", hex::encode(file));
        }
        assert_eq!(error_of(&bcrypt_rounds(0), b"x"), KeyFileError::Damaged { structure: "OpenSSH private key" });
        // the smallest N that scrypt has
        assert_eq!(error_of(&scrypt(2, 1, 1), b"x"), KeyFileError::WrongPassphraseOrDamaged);
        // any salt is a salt
        for salt in [&[][..], &[1; 64], &[1; 1000]] {
            assert_eq!(error_of(&pbkdf2(salt, 1), b"x"), KeyFileError::WrongPassphraseOrDamaged);
        }
    }
}

mod damaged {
    use super::*;

    const FILES: [&str; 16] = [
        "rsa.openssh",
        "rsa.pkcs1.der",
        "rsa.pub-pkcs1.pem",
        "rsa.pub-rfc4716",
        "rsa.pkcs1-aes256.pem",
        "rsa.pkcs8.pem",
        "ed25519.openssh",
        "ed25519.openssh-enc",
        "ed25519.pkcs8-v2.pem",
        "ed25519.ssh-line",
        "ed25519.spki.pem",
        "ec.sec1.pem",
        "ec.sec1-aes256.pem",
        "ec.pkcs8-enc.pem",
        "ec.spki-compressed.pem",
        "ec.openssh",
    ];

    /// Everything that takes a file, on one file. A cheap passphrase: damage to a cost is limited by the limits.
    fn read_everything(bytes: &[u8]) {
        let _ = read_private(bytes, Some(&passphrase()), PROVIDER);
        let _ = read_public_keys(bytes);
        let _ = inspect(bytes, PROVIDER);
        let _ = read_ed25519_seed(bytes, PROVIDER);
    }

    #[test]
    fn every_flipped_byte_of_a_small_binary_file_is_harmless() {
        for file in ["ec.sec1.der", "ec.spki.der", "ed25519.pkcs8.der"] {
            let bytes = vector(&format!("keyfiles/{file}"));
            for (at, flip) in (0..bytes.len()).flat_map(|at| [1, 0x80, 0xff].map(|flip| (at, flip))) {
                let mut damaged = bytes.clone();
                damaged[at] ^= flip;
                read_everything(&damaged);
            }
        }
    }

    /// What still loads has the same key: the comment is nobody's business.
    #[test]
    fn every_flipped_byte_of_an_openssh_file_is_harmless() {
        for file in ["ec.openssh", "ed25519.openssh"] {
            let whole = vector(&format!("keyfiles/{file}"));
            let key = read_private(&whole, None, PROVIDER).unwrap().public_key().clone();
            let (contents, label) = pem::decode(&whole);
            for (at, flip) in (0..contents.len()).flat_map(|at| [1, 0x80, 0xff].map(|flip| (at, flip))) {
                let mut damaged = contents.clone();
                damaged[at] ^= flip;
                let damaged = pem::encode(&label, &damaged);
                read_everything(&damaged);
                if let Ok(read) = read_private(&damaged, None, PROVIDER) {
                    assert_eq!(*read.public_key(), key, "{file}, byte {at}");
                }
            }
        }
    }

    #[test]
    fn every_cut_is_harmless() {
        for file in ["ec.sec1.der", "ed25519.openssh", "ec.spki.der", "ed25519.rfc4716"] {
            let bytes = vector(&format!("keyfiles/{file}"));
            for end in 0..bytes.len() - 1 {
                read_everything(&bytes[..end]);
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]

        #[test]
        fn no_mutation_panics(
            file in 0..FILES.len(),
            binary in any::<bool>(),
            edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..4_u8), 1..6),
        ) {
            let original = vector(&format!("keyfiles/{}", FILES[file]));
            // half of the edits strike below the armor, where they reach more than base64 errors
            let (mut bytes, label) = if binary && original.starts_with(b"-----BEGIN") && !original.windows(4).any(|w| w == b"Proc") {
                let (contents, label) = pem::decode(&original);
                (contents, Some(label))
            } else {
                (original, None)
            };
            for (at, value, kind) in edits {
                if bytes.is_empty() { break; }
                let at = at.index(bytes.len());
                match kind {
                    0 => bytes[at] = value,
                    1 => { bytes.remove(at); }
                    2 => bytes.insert(at, value),
                    _ => bytes.truncate(at),
                }
            }
            let bytes = label.map_or(bytes.clone(), |label| pem::encode(&label, &bytes));
            read_everything(&bytes);
        }

        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
            read_everything(&bytes);
        }

        #[test]
        fn no_der_panics(bytes in prop::collection::vec(any::<u8>(), 0..200), shape in 0..4_u8) {
            let inner = match shape {
                0 => sequence(&[&integer(0), &sequence(&[&bytes]), &octets(&bytes)]),
                1 => sequence(&[&sequence(&[&oid("1.2.840.113549.1.5.13"), &bytes]), &octets(&bytes)]),
                2 => sequence(&[&integer(1), &octets(&bytes), &bytes]),
                _ => sequence(&[&sequence(&[&oid("1.2.840.10045.2.1"), &bytes]), &der::bits(&bytes)]),
            };
            read_everything(&inner);
        }
    }
}
