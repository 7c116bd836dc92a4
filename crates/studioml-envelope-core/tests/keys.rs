//! Keys as data (docs/spec.md §1, §4, §5): their limits, their encodings to the byte, and what their `Debug` forms show.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test stops where something is not as expected")]

mod parties;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use parties::{PROVIDER, private_key, signer, vector};
use studioml_envelope_core::{
    Ed25519PrivateKey, Ed25519PublicKey, Fingerprint, FingerprintForm, KeyError, P256PrivateKey, P256PublicKey,
    PrivateKey, PublicKey, RsaPrivateKey, RsaPublicKey, SecretBytes, SigningPrivateKey, SigningPublicKey,
};

/// The blob of a key file with one SSH line.
fn blob_of(file: &str) -> Vec<u8> {
    let line = String::from_utf8(vector(file)).unwrap();
    STANDARD.decode(line.split(' ').nth(1).unwrap()).unwrap()
}

/// `string`s one after another.
fn strings(strings: &[&[u8]]) -> Vec<u8> {
    strings.iter().flat_map(|bytes| [&u32::try_from(bytes.len()).unwrap().to_be_bytes(), *bytes].concat()).collect()
}

const KINDS: [(&str, &str, &str); 3] = [
    ("RSA", "keyfiles/rsa.ssh-line", "keyfiles/rsa.pub-spki.der"),
    ("P-256", "keyfiles/ec.ssh-line", "keyfiles/ec.spki.der"),
    ("Ed25519", "keyfiles/ed25519.ssh-line", ""),
];

#[test]
fn public_keys_are_read_and_written_as_ssh_keygen_and_openssl_write_them() {
    for (kind, line, der) in KINDS {
        let blob = blob_of(line);
        let key = PublicKey::from_ssh_blob(&blob).unwrap();
        assert_eq!(key.kind(), kind);
        assert_eq!(key.to_ssh_blob(), blob, "{kind}");
        if !der.is_empty() {
            assert_eq!(PublicKey::from_spki_der(&vector(der)), Ok(key.clone()), "{kind}");
            assert_eq!(key.to_spki_der(), vector(der), "{kind}");
        }
        assert_eq!(PublicKey::from_spki_der(&key.to_spki_der()), Ok(key), "{kind}");
    }
}

#[test]
fn an_rsa_public_key_is_read_and_written_as_pkcs1() {
    let key = private_key().public_key().clone();
    // the BIT STRING of the SubjectPublicKeyInfo ends with it
    let der = key.to_pkcs1_der();
    assert!(vector("keyfiles/rsa.pub-spki.der").ends_with(&der) && der.len() > 512);
    assert_eq!(RsaPublicKey::from_pkcs1_der(&der), Ok(key.clone()));
    assert_eq!((key.exponent(), key.exponent_bytes(), key.bits()), (65_537, vec![1, 0, 1], 4096));
    let damaged = Err(KeyError::Encoding { structure: "RSAPublicKey" });
    assert_eq!(RsaPublicKey::from_pkcs1_der(&der[1..]), damaged);
    assert_eq!(RsaPublicKey::from_pkcs1_der(&[&der[..], &[0]].concat()), damaged);
}

#[test]
fn a_damaged_ssh_blob_is_named_as_that() {
    let damaged = Err(KeyError::Encoding { structure: "SSH public key" });
    for (kind, line, _) in KINDS {
        let blob = blob_of(line);
        assert_eq!(PublicKey::from_ssh_blob(&[&blob[..], &[0]].concat()), damaged, "{kind} and a byte");
        assert_eq!(PublicKey::from_ssh_blob(&blob[..blob.len() - 1]), damaged, "{kind} less a byte");
    }
    let modulus = [&[0][..], &[0xab; 256]].concat();
    assert!(PublicKey::from_ssh_blob(&strings(&[b"ssh-rsa", &[3], &modulus])).is_ok());
    for (exponent, modulus) in [(&[3][..], &[0xab; 256][..]), (&[0x83], &modulus)] {
        assert_eq!(PublicKey::from_ssh_blob(&strings(&[b"ssh-rsa", exponent, modulus])), damaged, "a negative mpint");
    }
    let point = *P256PrivateKey::public_key(&p256()).as_bytes();
    assert_eq!(PublicKey::from_ssh_blob(&strings(&[b"ecdsa-sha2-nistp256", b"nistp384", &point])), damaged);
    assert!(PublicKey::from_ssh_blob(&strings(&[b"ecdsa-sha2-nistp256", b"nistp256", &point])).is_ok());
}

/// A name in an error is short and can be printed, whatever stands in the key.
#[test]
fn an_algorithm_that_is_not_read_is_named_at_no_great_length() {
    let refused = |name: &[u8]| PublicKey::from_ssh_blob(&strings(&[name]));
    let unsupported = |algorithm: &str| Err(KeyError::UnsupportedAlgorithm { algorithm: algorithm.to_owned() });
    assert_eq!(refused(b"ssh-dss"), unsupported("ssh-dss"));
    assert_eq!(refused(b"ssh\x1b[2J\n-dss\xff"), unsupported("ssh[2J-dss"));
    assert_eq!(refused(&[b'x'; 1000]), unsupported(&"x".repeat(64)));
}

fn p256() -> P256PrivateKey {
    PROVIDER.agree_static.generate(PROVIDER.random).unwrap()
}

#[test]
fn rsa_keys_have_2048_to_8192_bits_in_whole_bytes_and_an_odd_modulus() {
    let key = |modulus: &[u8]| RsaPublicKey::new(modulus, &[1, 0, 1]).map(|key| (key.bits(), key.is_weak()));
    let size = |bits| Err(KeyError::ModulusSize { bits });
    assert_eq!(key(&[0xff; 255]), size(2040));
    assert_eq!(key(&[0xff; 256]), Ok((2048, true)));
    assert_eq!(key(&[&[0, 0][..], &[0xff; 256]].concat()), Ok((2048, true)));
    assert_eq!(key(&[&[0x7f][..], &[0xff; 256]].concat()), size(2055));
    assert_eq!(key(&[0xff; 383]), Ok((3064, true)));
    assert_eq!(key(&[0xff; 384]), Ok((3072, false)));
    assert_eq!(key(&[0xff; 385]), Ok((3080, false)));
    assert_eq!(key(&[0xff; 1024]), Ok((8192, false)));
    assert_eq!(key(&[0xff; 1025]), size(8200));
    assert_eq!(key(&[]), size(0));
    assert_eq!(key(&[0xfe; 256]), Err(KeyError::ModulusEven));
}

/// An exponent of a hundred digits would be a private operation for everybody who seals.
#[test]
fn rsa_exponents_are_odd_from_3_to_2_to_the_33_less_1() {
    let exponent = |exponent: &[u8]| RsaPublicKey::new(&[0xff; 256], exponent).map(|key| key.exponent());
    assert_eq!(RsaPublicKey::MAX_EXPONENT, 0x1_ffff_ffff);
    assert_eq!(exponent(&[3]), Ok(3));
    assert_eq!(exponent(&[0, 0, 0, 0, 0, 0, 0, 0, 0, 3]), Ok(3));
    assert_eq!(exponent(&[1, 0xff, 0xff, 0xff, 0xff]), Ok(RsaPublicKey::MAX_EXPONENT));
    for bad in [&[][..], &[0], &[1], &[2], &[1, 0, 0], &[2, 0, 0, 0, 1], &[1; 8], &[1; 9], &[1; 64]] {
        assert_eq!(exponent(bad), Err(KeyError::PublicExponent), "{bad:?}");
    }
}

#[test]
fn a_pkcs8_key_is_read_for_what_it_says_it_is() {
    let rsa = RsaPrivateKey::from_pkcs8_der(&vector("keyfiles/rsa.pkcs8.der")).unwrap();
    assert_eq!(rsa.to_pkcs1_der().expose_secret(), vector("keyfiles/rsa.pkcs1.der"));
    assert_eq!(rsa.to_pkcs8_der().unwrap().expose_secret(), vector("keyfiles/rsa.pkcs8.der"));
    let ed25519 = RsaPrivateKey::from_pkcs8_der(&vector("keyfiles/ed25519.pkcs8.der")).map(drop);
    assert_eq!(ed25519, Err(KeyError::UnsupportedAlgorithm { algorithm: "Ed25519".to_owned() }));
}

/// The first byte says which encoding a point is in; only `04` is one that is written here.
#[test]
fn points_are_uncompressed() {
    let point = *p256().public_key().as_bytes();
    assert_eq!(P256PublicKey::from_uncompressed(&point).map(|key| *key.as_bytes()), Ok(point));
    for first in (0..=255).filter(|first| *first != 4) {
        let mut other = point;
        other[0] = first;
        assert_eq!(P256PublicKey::from_uncompressed(&other), Err(KeyError::PointEncoding), "{first}");
    }
    for bytes in [&[][..], &[0], &point[..33], &point[..64], &[&point[..], &[0]].concat()] {
        assert_eq!(P256PublicKey::from_uncompressed(bytes), Err(KeyError::PointEncoding));
    }
}

/// Digits that cancel under another operation than "or" do not make a scalar zero.
#[test]
fn a_scalar_of_equal_digits_is_not_zero() {
    assert!(P256PrivateKey::check_scalar(&SecretBytes::copy_from(&[0x11; 32])).is_ok());
}

#[test]
fn a_private_key_keeps_the_public_key_that_came_with_it_and_loading_compares_them() {
    let SigningPublicKey::Ed25519(right) = *signer().public_key() else { unreachable!() };
    let other = Ed25519PublicKey::from_bytes(&blob_of("keyfiles/ed25519.ssh-line")[19..]).unwrap();
    for (claimed, loads) in [(None, true), (Some(right), true), (Some(other), false)] {
        let key = Ed25519PrivateKey::new(SecretBytes::copy_from(&[7; 32]), claimed).unwrap();
        assert_eq!(key.claimed_public_key(), claimed.as_ref());
        assert_eq!(key.seed().expose_secret(), [7; 32]);
        assert_eq!(PROVIDER.sign.load(&SigningPrivateKey::Ed25519(key)).is_ok(), loads);
    }
}

#[test]
fn a_key_serves_only_where_its_kind_does() {
    let kind = |expected, found| KeyError::Kind { expected, found };
    let rsa = || PublicKey::Rsa(private_key().public_key().clone());
    let p256_public = || PublicKey::P256(*p256().public_key());
    assert_eq!(SigningPublicKey::try_from(rsa()), Err(kind("Ed25519 or P-256", "RSA")));
    assert_eq!(RsaPublicKey::try_from(p256_public()), Err(kind("RSA", "P-256")));
    assert_eq!(RsaPublicKey::try_from(rsa()).map(PublicKey::Rsa), Ok(rsa()));
    assert_eq!(SigningPublicKey::try_from(p256_public()).map(|key| key.kind()), Ok("P-256"));
    assert_eq!(signer().public_key().kind(), "Ed25519");

    let seed = || Ed25519PrivateKey::new(SecretBytes::copy_from(&[7; 32]), None).unwrap();
    let keys = || [PrivateKey::Rsa(private_key()), PrivateKey::Ed25519(seed()), PrivateKey::P256(p256())];
    let kinds = ["RSA", "Ed25519", "P-256"];
    assert_eq!(keys().map(|key| key.kind()), kinds);
    for (key, found) in keys().into_iter().zip(kinds) {
        let expected = if found == "RSA" { Ok(()) } else { Err(kind("RSA", found)) };
        assert_eq!(RsaPrivateKey::try_from(key).map(drop), expected);
    }
    for (key, found) in keys().into_iter().zip(kinds) {
        let expected = if found == "P-256" { Ok(()) } else { Err(kind("P-256", found)) };
        assert_eq!(P256PrivateKey::try_from(key).map(drop), expected);
    }
    for (key, found) in keys().into_iter().zip(kinds) {
        let signing = SigningPrivateKey::try_from(key).map(|key| PrivateKey::from(key).kind());
        assert_eq!(signing, if found == "RSA" { Err(kind("Ed25519 or P-256", "RSA")) } else { Ok(found) });
    }
}

/// Curves of other key files, and numbers of a curve where a name must stand (CVE-2020-0601).
#[test]
fn other_curves_are_refused_by_name() {
    let check = |parameters: &[u8]| P256PublicKey::check_curve_parameters(parameters);
    let unsupported = |curve: &str| Err(KeyError::UnsupportedCurve { curve: curve.to_owned() });
    assert_eq!(check(&[0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07]), Ok(()));
    assert_eq!(check(&[0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22]), unsupported("P-384"));
    assert_eq!(check(&[0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x23]), unsupported("P-521"));
    assert_eq!(check(&[0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x0a]), unsupported("secp256k1"));
    assert_eq!(check(&[0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x21]), unsupported("P-224"));
    assert_eq!(check(&[0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x24]), unsupported("1.3.132.0.36"));
    assert_eq!(check(&[0x30, 0x03, 0x02, 0x01, 0x01]), Err(KeyError::ExplicitCurveParameters));
    for damaged in [&[][..], &[0x05, 0x00], &[0x02, 0x01, 0x01]] {
        assert_eq!(check(damaged), Err(KeyError::Encoding { structure: "elliptic curve parameters" }));
    }
}

/// What is public is shown: a log that says which key is worth something.
#[test]
fn debug_forms_of_public_things_show_them() {
    let ed25519 = Ed25519PublicKey::from_bytes(&blob_of("keyfiles/ed25519.ssh-line")[19..]).unwrap();
    assert_eq!(format!("{ed25519:?}"), format!("Ed25519PublicKey({:02x?})", ed25519.as_bytes()));
    let point = *p256().public_key();
    assert_eq!(format!("{point:?}"), format!("P256PublicKey({:02x?})", point.as_bytes()));
    let rsa = private_key().public_key().clone();
    assert_eq!(format!("{rsa:?}"), "RsaPublicKey(4096 bits, e = 65537)");
    let fingerprint = Fingerprint::of(&PublicKey::Ed25519(ed25519), FingerprintForm::SshSha256, PROVIDER.digest);
    assert_eq!(format!("{fingerprint:?}"), format!("Fingerprint({fingerprint})"));
    assert_eq!(format!("{PROVIDER:?}"), "Provider(\"rustcrypto\")");
}

#[test]
fn secret_bytes_know_how_many_they_are() {
    let secret = |bytes: &[u8]| SecretBytes::copy_from(bytes);
    assert_eq!((secret(b"").len(), secret(b"").is_empty()), (0, true));
    assert_eq!((secret(b"abc").len(), secret(b"abc").is_empty()), (3, false));
}
