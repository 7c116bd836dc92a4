//! Signatures as data (docs/spec.md §3): every form that is accepted, and the strict edges of each.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test stops where something is not as expected")]

mod parties;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use parties::{PROVIDER, p256_signer, signer};
use studioml_envelope_core::{Ed25519Signature, P256Signature, Signature, SignatureError, SigningPublicKey};

const ED25519: &str = "Ed25519";
const ECDSA: &str = "ECDSA P-256";

fn decode(bytes: &[u8], key: &SigningPublicKey) -> Result<Signature, SignatureError> {
    Signature::from_base64(&STANDARD.encode(bytes), key)
}

fn string(bytes: &[u8]) -> Vec<u8> {
    [&u32::try_from(bytes.len()).unwrap().to_be_bytes(), bytes].concat()
}

/// `string name || string blob`
fn ssh(name: &str, blob: &[u8]) -> Vec<u8> {
    [string(name.as_bytes()), string(blob)].concat()
}

fn ed25519() -> ([u8; 64], SigningPublicKey) {
    let signer = signer();
    let Signature::Ed25519(signature) = signer.sign(b"message", PROVIDER.random).unwrap() else { unreachable!() };
    (*signature.as_bytes(), *signer.public_key())
}

#[test]
fn ed25519_is_64_raw_bytes_or_83_in_ssh_form() {
    let (raw, key) = ed25519();
    let expected = Signature::Ed25519(Ed25519Signature::from_bytes(&raw).unwrap());
    assert_eq!(decode(&raw, &key), Ok(expected));
    let wire = ssh("ssh-ed25519", &raw);
    assert_eq!(wire.len(), 83);
    assert_eq!(decode(&wire, &key), Ok(expected));
    assert_eq!(expected.to_base64(), STANDARD.encode(raw));
    for found in (0..200).filter(|length| ![64, 83].contains(length)) {
        let expected = SignatureError::Length { algorithm: ED25519, found };
        assert_eq!(decode(&vec![1; found], &key), Err(expected));
    }
}

#[test]
fn a_damaged_ssh_form_of_the_right_length_is_named_as_that() {
    let (raw, key) = ed25519();
    let damaged = Err(SignatureError::SshForm { algorithm: ED25519 });
    // another name of the same length, and lengths that lie
    assert_eq!(decode(&ssh("ssh-ed25518", &raw), &key), damaged);
    assert_eq!(decode(&[ssh("ssh-ed25519", &raw[..60]), vec![0; 4]].concat(), &key), damaged);
    for place in 0..4 {
        let mut wire = ssh("ssh-ed25519", &raw);
        wire[place] ^= 0x80;
        assert_eq!(decode(&wire, &key), damaged);
        let mut wire = ssh("ssh-ed25519", &raw);
        wire[15 + place] ^= 0x80;
        assert_eq!(decode(&wire, &key), damaged);
    }
}

#[test]
fn ed25519_scalars_at_and_above_the_order_are_refused() {
    let (raw, _) = ed25519();
    // L = 2^252 + 27742317777372353535851937790883648493, little-endian
    let order: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0, 0, 0,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let with_scalar = |scalar: [u8; 32]| Ed25519Signature::from_bytes(&[&raw[..32], &scalar].concat()).map(|_| ());
    let (mut below, mut above) = (order, order);
    below[0] -= 1;
    above[0] += 1;
    assert_eq!(with_scalar([0; 32]), Ok(()));
    assert_eq!(with_scalar(below), Ok(()));
    for scalar in [order, above, [0xff; 32]] {
        assert_eq!(with_scalar(scalar), Err(SignatureError::Scalar));
    }
}

#[test]
fn ed25519_points_of_small_order_and_their_other_encodings_are_refused() {
    // y of the eight points of small order, then their encodings with the sign bit, then y + p where that fits
    let mut encodings: Vec<[u8; 32]> = [
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    ]
    .map(|text| {
        let digits: Vec<u8> = (0..32).map(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap()).collect();
        digits.try_into().unwrap()
    })
    .to_vec();
    for encoding in encodings.clone() {
        let mut signed = encoding;
        signed[31] |= 0x80;
        encodings.push(signed);
    }
    for r in encodings {
        let signature = Ed25519Signature::from_bytes(&[r, [0; 32]].concat());
        assert_eq!(signature, Err(SignatureError::SmallOrderR), "{r:02x?}");
    }
}

/// r, which needs a zero in front where integers have signs, s, which needs none, and some key.
fn ecdsa() -> ([u8; 64], SigningPublicKey) {
    let scalars = [[0x91; 32], [0x22; 32]].concat();
    (scalars.try_into().unwrap(), *p256_signer().public_key())
}

/// A DER integer or an SSH mpint: the shortest form that is positive.
fn shortest(scalar: &[u8]) -> Vec<u8> {
    let digits: Vec<u8> = scalar.iter().copied().skip_while(|byte| *byte == 0).collect();
    if digits.first().is_some_and(|byte| *byte >= 0x80) { [vec![0], digits].concat() } else { digits }
}

fn der(r: &[u8], s: &[u8]) -> Vec<u8> {
    let integer = |digits: &[u8]| [&[0x02, u8::try_from(digits.len()).unwrap()], digits].concat();
    let body = [integer(r), integer(s)].concat();
    [&[0x30, u8::try_from(body.len()).unwrap()], &body[..]].concat()
}

#[test]
fn ecdsa_is_strict_der_or_the_ssh_form() {
    let (raw, key) = ecdsa();
    let expected = Signature::P256(P256Signature::from_bytes(&raw).unwrap());
    let (r, s) = (shortest(&raw[..32]), shortest(&raw[32..]));
    assert_eq!(decode(&der(&r, &s), &key), Ok(expected));
    let wire = ssh("ecdsa-sha2-nistp256", &[string(&r), string(&s)].concat());
    assert_eq!(decode(&wire, &key), Ok(expected));
    assert_eq!(expected.to_base64(), STANDARD.encode(der(&r, &s)));
    // 64 raw bytes are no form of ECDSA here
    assert!(decode(&[&[0x31][..], &raw[1..]].concat(), &key).is_err());
}

#[test]
fn lax_der_is_refused() {
    let (raw, key) = ecdsa();
    let (r, s) = (shortest(&raw[..32]), shortest(&raw[32..]));
    let good = der(&r, &s);
    let padded = [&[0][..], &r].concat();
    let long_form = [&[0x30, 0x81], &good[1..]].concat();
    let indefinite = [&[0x30, 0x80], &good[2..], &[0, 0]].concat();
    for (what, lax) in [
        ("a padded integer", der(&padded, &s)),
        ("a long form length", long_form),
        ("an indefinite length", indefinite),
        ("something after it", [&good[..], &[0]].concat()),
        ("cut short", good[..good.len() - 1].to_vec()),
        (
            "no second integer",
            [&[0x30, u8::try_from(r.len() + 2).unwrap(), 0x02, u8::try_from(r.len()).unwrap()], &r[..]].concat(),
        ),
    ] {
        assert_eq!(decode(&lax, &key), Err(SignatureError::Der), "{what}");
    }
    // negative, as a signer writes who forgets the leading zero
    let high = [&[0x80][..], &raw[1..32]].concat();
    assert_eq!(decode(&der(&high, &s), &key), Err(SignatureError::Der));
}

#[test]
fn mpints_are_minimal_and_positive() {
    let (raw, key) = ecdsa();
    let (r, s) = (shortest(&raw[..32]), shortest(&raw[32..]));
    let damaged = Err(SignatureError::SshForm { algorithm: ECDSA });
    let wire = |r: &[u8], s: &[u8], after: &[u8]| ssh("ecdsa-sha2-nistp256", &[&string(r), &string(s), after].concat());
    assert_eq!(decode(&wire(&[&[0][..], &r].concat(), &s, &[]), &key), damaged, "padded");
    assert_eq!(decode(&wire(&r, &[], &[]), &key), damaged, "zero");
    assert_eq!(decode(&wire(&[0x80], &s, &[]), &key), damaged, "negative");
    assert_eq!(decode(&wire(&[0], &s, &[]), &key), damaged, "a padded zero");
    assert_eq!(decode(&wire(&r, &s, &[0]), &key), damaged, "something after it");
    assert_eq!(decode(&ssh("ecdsa-sha2-nistp384", &[string(&r), string(&s)].concat()), &key), damaged, "another curve");
}

#[test]
fn ecdsa_scalars_are_in_1_to_n_minus_1_and_high_s_passes() {
    let order: [u8; 32] = [
        0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa, 0xad,
        0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
    ];
    let mut below = order;
    below[31] -= 1;
    let mut one = [0; 32];
    one[31] = 1;
    let scalars = |r: [u8; 32], s: [u8; 32]| P256Signature::from_bytes(&[r, s].concat()).map(|_| ());
    assert_eq!(scalars(one, below), Ok(()), "s = n - 1 is as high as it gets");
    assert_eq!(scalars(below, one), Ok(()));
    for (r, s) in [([0; 32], one), (one, [0; 32]), (order, one), (one, order), ([0xff; 32], one)] {
        assert_eq!(scalars(r, s), Err(SignatureError::Scalar));
    }
    let (_, key) = ecdsa();
    assert_eq!(decode(&der(&[1], &[0]), &key), Err(SignatureError::Scalar));
    // 33 bytes that are not zero at the front
    assert_eq!(decode(&der(&[1; 33], &[1]), &key), Err(SignatureError::Scalar));
}

#[test]
fn base64_is_canonical() {
    let (raw, key) = ed25519();
    let good = STANDARD.encode(raw);
    assert!(Signature::from_base64(&good, &key).is_ok());
    let spare_bits = format!("{}B==", good.strip_suffix("==").unwrap().split_at(85).0);
    for bad in [
        good.trim_end_matches('=').to_owned(),
        format!("{good}\n"),
        format!(" {good}"),
        format!("{good}="),
        good.replacen(|c: char| c.is_ascii_alphabetic(), "-", 1),
        spare_bits,
        "!!!!".to_owned(),
    ] {
        assert_eq!(Signature::from_base64(&bad, &key), Err(SignatureError::Base64), "{bad}");
    }
}

#[test]
fn a_signature_of_any_length_is_refused_without_being_decoded() {
    for (key, algorithm) in [(ed25519().1, ED25519), (ecdsa().1, ECDSA)] {
        for length in [260, 1 << 20] {
            let expected = SignatureError::Length { algorithm, found: length / 4 * 3 };
            assert_eq!(Signature::from_base64(&"!".repeat(length), &key), Err(expected));
        }
        let empty = SignatureError::Length { algorithm, found: 0 };
        assert_eq!(Signature::from_base64("", &key), Err(empty));
    }
}

/// The longest encoding there is has 101 bytes; what is longer is told by its length, whatever it begins with.
#[test]
fn the_longest_ecdsa_encoding_is_read_and_no_longer_one() {
    let key = ecdsa().1;
    let (high, padded) = ([0x91; 32], [&[0][..], &[0x91; 32]].concat());
    let wire = ssh("ecdsa-sha2-nistp256", &[string(&padded), string(&padded)].concat());
    assert_eq!(wire.len(), 101);
    let expected = Signature::P256(P256Signature::from_bytes(&[high, high].concat()).unwrap());
    assert_eq!(decode(&wire, &key), Ok(expected));
    for first in [0, 0x30, 0x31] {
        let mut longest = vec![first; 101];
        assert!(!matches!(decode(&longest, &key), Err(SignatureError::Length { .. })), "{first}");
        for more in 1..10 {
            longest.push(first);
            let expected = Err(SignatureError::Length { algorithm: ECDSA, found: 101 + more });
            assert_eq!(decode(&longest, &key), expected, "{first}");
        }
    }
}

/// A text of 256 characters is the longest that is decoded.
#[test]
fn the_longest_text_that_is_decoded_has_256_characters() {
    let key = ed25519().1;
    let length = |text: &str| Signature::from_base64(text, &key);
    assert_eq!(length(&"A".repeat(256)), Err(SignatureError::Length { algorithm: ED25519, found: 192 }));
    assert_eq!(length(&"!".repeat(256)), Err(SignatureError::Base64));
    for (text, found) in [("!".repeat(260), 195), ("!".repeat(259) + "=", 194), ("!".repeat(258) + "==", 193)] {
        assert_eq!(length(&text), Err(SignatureError::Length { algorithm: ED25519, found }));
    }
}

#[test]
fn the_key_decides_the_algorithm() {
    let ((raw, ed25519_key), (scalars, p256_key)) = (ed25519(), ecdsa());
    let der = der(&shortest(&scalars[..32]), &shortest(&scalars[32..]));
    assert!(matches!(decode(&der, &ed25519_key), Err(SignatureError::Length { algorithm: ED25519, .. })));
    assert!(decode(&raw, &p256_key).is_err());
    assert!(matches!(decode(&ssh("ssh-ed25519", &raw), &p256_key), Err(SignatureError::SshForm { algorithm: ECDSA })));
}
