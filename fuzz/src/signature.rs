//! Signatures (docs/spec.md §3): every provider gives the same verdict on every key, message and signature, and no signature has a
//! second encoding but the ones that the clause names.

use arbitrary::{Arbitrary, Unstructured};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use studioml_envelope_core::{
    BadSignature, Ed25519PublicKey, Fingerprint, KeyError, P256PublicKey, Signature, SignatureError, SigningPublicKey,
};

use crate::keys::SIGNERS;
use crate::providers::{agree, first, is_short};

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    key: Key,
    signature: Encoded<'a>,
    message: &'a [u8],
}

#[derive(Arbitrary, Debug)]
enum Key {
    Ed25519,
    P256,
    AnyEd25519([u8; 32]),
    AnyP256([u8; 64]),
}

#[derive(Arbitrary, Debug)]
enum Encoded<'a> {
    /// The `signature` member as text.
    Text(&'a str),
    /// What its base64 stands for.
    Bytes(&'a [u8]),
    /// `R || S`, or `r || s` as DER.
    Scalars([u8; 32], [u8; 32]),
    /// A good signature with some bytes changed.
    Altered(Vec<(u8, u8)>),
}

/// One key, one message, one signature.
pub fn signature(data: &[u8]) {
    let Ok(input) = Input::arbitrary_take_rest(Unstructured::new(data)) else { return };
    let Some(key) = public_key(&input.key) else { return };
    let text = encoded(&input, &key);

    let decoded = Signature::from_base64(&text, &key);
    match &decoded {
        Ok(signature) => decodes_from_few_texts(&text, signature, &key),
        Err(error) => is_short(error),
    }
    let verdict = agree(|provider| -> Result<Result<(), BadSignature>, KeyError> {
        let loaded = provider.verify.load(&key)?;
        Ok(match &decoded {
            Ok(signature) => loaded.verify(input.message, signature),
            Err(_) => Err(BadSignature),
        })
    });
    if verdict == Ok(Ok(())) {
        let altered = !matches!(&input.signature, Encoded::Altered(_));
        let unseeded = matches!(input.key, Key::Ed25519 | Key::P256) && !is_known(&input, &text);
        assert!(!(altered && unseeded), "a forgery");
    }
    fingerprints(&key, &text);
}

fn public_key(key: &Key) -> Option<SigningPublicKey> {
    match key {
        Key::Ed25519 => Some(*SIGNERS[0].public_key()),
        Key::P256 => Some(*SIGNERS[1].public_key()),
        Key::AnyEd25519(bytes) => Ed25519PublicKey::from_bytes(bytes).ok().map(SigningPublicKey::Ed25519),
        Key::AnyP256(point) => {
            let point = [&[4], point.as_slice()].concat();
            P256PublicKey::from_uncompressed(&point).ok().map(SigningPublicKey::P256)
        }
    }
}

fn encoded(input: &Input<'_>, key: &SigningPublicKey) -> String {
    match &input.signature {
        Encoded::Text(text) => (*text).to_owned(),
        Encoded::Bytes(bytes) => STANDARD.encode(bytes),
        Encoded::Scalars(one, other) => match key {
            SigningPublicKey::Ed25519(_) => STANDARD.encode([*one, *other].concat()),
            SigningPublicKey::P256(_) => STANDARD.encode(der(one, other)),
        },
        Encoded::Altered(changes) => {
            let mut bytes = STANDARD.decode(good(input, key)).expect("our own base64");
            for (at, with) in changes {
                let at = usize::from(*at) % bytes.len();
                bytes[at] ^= with;
            }
            STANDARD.encode(bytes)
        }
    }
}

fn good(input: &Input<'_>, key: &SigningPublicKey) -> String {
    let signer = match key {
        SigningPublicKey::Ed25519(_) => &SIGNERS[0],
        SigningPublicKey::P256(_) => &SIGNERS[1],
    };
    signer.sign(input.message, first().random).expect("the counter never fails").to_base64()
}

/// Ed25519 signatures are deterministic: the one that a seed carries is known.
fn is_known(input: &Input<'_>, text: &str) -> bool {
    let signer = if matches!(input.key, Key::Ed25519) { &SIGNERS[0] } else { &SIGNERS[1] };
    let Ok(mine) = signer.sign(input.message, first().random) else { return false };
    // an ECDSA signature that was made elsewhere cannot be told from a forgery; seeds hold none
    Signature::from_base64(text, signer.public_key()) == Ok(mine)
}

/// `ECDSA-Sig-Value` of two 32-byte numbers.
fn der(r: &[u8; 32], s: &[u8; 32]) -> Vec<u8> {
    let integer = |number: &[u8]| {
        let start = number.iter().position(|byte| *byte != 0).unwrap_or(number.len() - 1);
        let digits = &number[start..];
        let sign = usize::from(digits[0] >= 0x80);
        let mut out = vec![2, (digits.len() + sign) as u8];
        out.extend(core::iter::repeat_n(0, sign));
        out.extend_from_slice(digits);
        out
    };
    let body = [integer(r), integer(s)].concat();
    [&[0x30, body.len() as u8], body.as_slice()].concat()
}

/// A decoded signature has one text of its own form and one of the SSH form, and decodes from no third.
fn decodes_from_few_texts(text: &str, signature: &Signature, key: &SigningPublicKey) {
    let own = signature.to_base64();
    assert_eq!(Signature::from_base64(&own, key), Ok(*signature), "what is written is read");
    let string = |bytes: &[u8]| [(bytes.len() as u32).to_be_bytes().as_slice(), bytes].concat();
    let ssh = match signature {
        Signature::Ed25519(signature) => [string(b"ssh-ed25519"), string(signature.as_bytes())].concat(),
        Signature::P256(signature) => {
            let (r, s) = signature.as_bytes().split_at(32);
            let mpint = |number: &[u8]| {
                let start = number.iter().position(|byte| *byte != 0).expect("in range");
                let zero: &[u8] = if number[start] >= 0x80 { &[0] } else { &[] };
                string(&[zero, &number[start..]].concat())
            };
            [string(b"ecdsa-sha2-nistp256"), string(&[mpint(r), mpint(s)].concat())].concat()
        }
        _ => return,
    };
    let ssh = STANDARD.encode(ssh);
    assert_eq!(Signature::from_base64(&ssh, key), Ok(*signature), "the SSH form is read");
    assert!(text == own || text == ssh, "a third encoding of one signature: {text:?}");
    let longer = format!("{own}AAAA");
    assert!(matches!(
        Signature::from_base64(&longer, key),
        Err(SignatureError::Length { .. } | SignatureError::Base64 | SignatureError::Der)
    ));
}

/// Fingerprint texts are read and written one to one, and name the key in every provider.
fn fingerprints(key: &SigningPublicKey, text: &str) {
    let all = agree(|provider| Fingerprint::all_of(&(*key).into(), provider.digest));
    for fingerprint in all {
        assert_eq!(fingerprint.to_string().parse(), Ok(fingerprint));
    }
    if let Ok(fingerprint) = text.parse::<Fingerprint>() {
        assert_eq!(fingerprint.to_string(), text, "a second text of one fingerprint");
    }
}
