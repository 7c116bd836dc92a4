//! Signatures that are not what was signed: a second form of a good one, keys and points of small order, another algorithm.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use num_bigint::BigUint;
use studioml_envelope::{Provider, VerifyError, provider};
use studioml_envelope_core::{Ed25519PublicKey, KeyError, PublicKey, SignatureError};

use crate::parties::{Parties, Refused, ed25519, member, p256, with_member};

/// L of Ed25519 (RFC 8032 §5.1) and n of P-256 (SP 800-186 §3.2.1.3).
const ED25519_ORDER: &str = "1000000000000000000000000000000014def9dea2f79cd65812631a5cf5d3ed";
const P256_ORDER: &str = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";

fn hex(number: &str) -> BigUint {
    BigUint::parse_bytes(number.as_bytes(), 16).unwrap()
}

fn refusal(parties: &Parties, message: &str, signature: &[u8]) -> VerifyError {
    let message = with_member(message, "signature", Some(STANDARD.encode(signature).into()));
    match parties.receive(message.as_bytes()) {
        Err(Refused::Verify(error)) => error,
        other => panic!("{other:?}"),
    }
}

fn each(key: impl Fn(&Provider) -> studioml_envelope_core::SigningPrivateKey) -> Vec<Parties> {
    provider::ALL.iter().map(|provider| Parties::signing_with(provider, &key(provider))).collect()
}

#[test]
fn malleated_ed25519_signatures_are_refused() {
    for parties in each(|_| ed25519(1)) {
        let message = parties.message();
        let signature = STANDARD.decode(member(&message, "signature")).unwrap();
        let (r, s) = signature.split_at(32);
        let scalar = BigUint::from_bytes_le(s);
        for times in 1_u8..=15 {
            let mut more = (&scalar + hex(ED25519_ORDER) * times).to_bytes_le();
            if more.len() > 32 {
                break;
            }
            more.resize(32, 0);
            let error = refusal(&parties, &message, &[r, &more].concat());
            assert_eq!(error, VerifyError::Signature(SignatureError::Scalar), "s + {times}·L");
        }
        let mut negative = (hex(ED25519_ORDER) - &scalar).to_bytes_le();
        negative.resize(32, 0);
        assert_eq!(refusal(&parties, &message, &[r, &negative].concat()), VerifyError::BadSignature, "-s");
        let mut sign = r.to_vec();
        sign[31] ^= 0x80;
        assert_eq!(refusal(&parties, &message, &[&sign, s].concat()), VerifyError::BadSignature, "-R");
    }
}

/// The eight points of small order, in every encoding that a lenient decoder takes, as R and as key.
fn small_order_encodings() -> Vec<[u8; 32]> {
    let p = (BigUint::from(1_u8) << 255) - 19_u8;
    let eighth = hex("05fc536d880238b13933c6d305acdfd5f098eff289f4c345b027b2c28f95e826");
    let mut found = Vec::new();
    for y in [BigUint::ZERO, BigUint::from(1_u8), &p - 1_u8, eighth.clone(), &p - &eighth] {
        for y in [y.clone(), &y + &p] {
            let mut bytes = y.to_bytes_le();
            if bytes.len() > 32 || bytes.get(31).is_some_and(|byte| *byte >= 0x80) {
                continue;
            }
            bytes.resize(32, 0);
            let plain: [u8; 32] = bytes.try_into().unwrap();
            let mut signed = plain;
            signed[31] |= 0x80;
            found.extend([plain, signed]);
        }
    }
    found
}

#[test]
fn small_order_keys_do_not_load_in_any_form() {
    let encodings = small_order_encodings();
    assert!(encodings.len() >= 14, "{} encodings", encodings.len());
    for bytes in encodings {
        let refused = Ed25519PublicKey::from_bytes(&bytes).unwrap_err();
        assert!(matches!(refused, KeyError::SmallOrder | KeyError::NonCanonical), "{bytes:02x?}: {refused}");
        let blob = [&[0, 0, 0, 11][..], b"ssh-ed25519", &[0, 0, 0, 32], &bytes].concat();
        assert_eq!(PublicKey::from_ssh_blob(&blob), Err(refused.clone()));
        let info = [&[0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00][..], &bytes].concat();
        assert_eq!(PublicKey::from_spki_der(&info), Err(refused.clone()));
        let line = format!("ssh-ed25519 {} mallory\n", STANDARD.encode(&blob));
        let read = studioml_envelope_keys::read_public(line.as_bytes());
        assert_eq!(read, Err(studioml_envelope_keys::KeyFileError::Key(refused)));
    }
}

#[test]
fn signatures_with_a_small_order_r_are_refused() {
    for parties in each(|_| ed25519(1)) {
        let message = parties.message();
        for r in small_order_encodings() {
            for s in [[0; 32], [1; 32]] {
                let mut s = s;
                s[31] = 0;
                let error = refusal(&parties, &message, &[r, s].concat());
                assert_eq!(error, VerifyError::Signature(SignatureError::SmallOrderR), "{r:02x?}");
            }
        }
    }
}

/// `ECDSA-Sig-Value` of two numbers as they stand.
fn der(r: &[u8], s: &[u8]) -> Vec<u8> {
    let integer = |digits: &[u8]| [&[2, digits.len() as u8], digits].concat();
    let body = [integer(r), integer(s)].concat();
    [&[0x30, body.len() as u8], body.as_slice()].concat()
}

fn positive(number: &BigUint) -> Vec<u8> {
    let digits = number.to_bytes_be();
    if digits[0] >= 0x80 { [&[0], digits.as_slice()].concat() } else { digits }
}

fn scalars(der: &[u8]) -> (BigUint, BigUint) {
    let r_len = usize::from(der[3]);
    let (r, rest) = der[4..].split_at(r_len);
    (BigUint::from_bytes_be(r), BigUint::from_bytes_be(&rest[2..]))
}

#[test]
fn ecdsa_signatures_have_no_second_encoding() {
    for parties in each(|provider| p256(1, provider)) {
        let message = parties.message();
        let signature = STANDARD.decode(member(&message, "signature")).unwrap();
        let (r, s) = scalars(&signature);
        let (r_digits, s_digits) = (positive(&r), positive(&s));
        assert_eq!(der(&r_digits, &s_digits), signature);
        let body = &signature[2..];
        let padded = |digits: &[u8]| [&[0], digits].concat();
        for (what, bytes) in [
            ("a leading zero in r", der(&padded(&r_digits), &s_digits)),
            ("a leading zero in s", der(&r_digits, &padded(&s_digits))),
            ("a byte behind it", [signature.as_slice(), &[0]].concat()),
            ("a byte within it", [&[0x30, signature[1] + 1], body, &[0]].concat()),
            ("a long length", [&[0x30, 0x81, signature[1]], body].concat()),
            ("an indefinite length", [&[0x30, 0x80], body, &[0, 0]].concat()),
            ("r and s, 32 bytes each", [vec![0; 0], r.to_bytes_be(), s.to_bytes_be()].concat()),
            ("cut off", signature[..signature.len() - 1].to_vec()),
            ("nothing", Vec::new()),
        ] {
            let error = refusal_or_unsigned(&parties, &message, &bytes);
            assert!(
                matches!(
                    error,
                    VerifyError::Unsigned
                        | VerifyError::Signature(
                            SignatureError::Der | SignatureError::Length { .. } | SignatureError::SshForm { .. }
                        )
                ),
                "{what}: {error:?}"
            );
        }
        for (what, r, s) in [
            ("r + n", positive(&(&r + hex(P256_ORDER))), s_digits.clone()),
            ("s + n", r_digits.clone(), positive(&(&s + hex(P256_ORDER)))),
            ("r = 0", vec![0], s_digits.clone()),
            ("s = 0", r_digits.clone(), vec![0]),
            ("r = n", positive(&hex(P256_ORDER)), s_digits.clone()),
        ] {
            let error = refusal(&parties, &message, &der(&r, &s));
            assert_eq!(error, VerifyError::Signature(SignatureError::Scalar), "{what}");
        }
    }
}

fn refusal_or_unsigned(parties: &Parties, message: &str, signature: &[u8]) -> VerifyError {
    refusal(parties, message, signature)
}

/// ECDSA itself is malleable, and docs/spec.md §3 accepts what openssl writes. It changes the text of a signature and nothing that is
/// signed: whoever remembers messages must remember payloads, not signatures.
#[test]
fn ecdsa_with_the_other_s_verifies_over_the_same_payload_and_no_other() {
    for parties in each(|provider| p256(1, provider)) {
        let message = parties.message();
        let (r, s) = scalars(&STANDARD.decode(member(&message, "signature")).unwrap());
        let other = der(&positive(&r), &positive(&(hex(P256_ORDER) - s)));
        let same = with_member(&message, "signature", Some(STANDARD.encode(&other).into()));
        assert_eq!(parties.receive(same.as_bytes()).unwrap().1.signer, *parties.signer.public_key());
        let another = parties.message();
        assert_eq!(refusal(&parties, &another, &other), VerifyError::BadSignature);
    }
}

/// The key that is held says which algorithm; a message cannot.
#[test]
fn a_signature_of_another_algorithm_is_refused_by_the_key() {
    for provider in provider::ALL {
        let edwards = Parties::signing_with(provider, &ed25519(1));
        let weierstrass = Parties::signing_with(provider, &p256(1, provider));
        let (of_edwards, of_weierstrass) = (edwards.message(), weierstrass.message());
        for (parties, message, other) in
            [(&edwards, &of_edwards, &of_weierstrass), (&weierstrass, &of_weierstrass, &of_edwards)]
        {
            let foreign = STANDARD.decode(member(other, "signature")).unwrap();
            assert!(matches!(refusal(parties, message, &foreign), VerifyError::Signature(_)), "{}", provider.name);
        }
        let named = [&[0, 0, 0, 7][..], b"ssh-rsa", &[0, 0, 0, 64], &[1; 64]].concat();
        assert!(matches!(
            refusal(&edwards, &of_edwards, &named),
            VerifyError::Signature(SignatureError::Length { .. })
        ));
    }
}
