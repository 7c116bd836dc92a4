//! The suites notice: each part here is broken in one way, and the suite that looks for it says so.
#![allow(clippy::unwrap_used, reason = "a test stops where something is not as expected")]

use studioml_envelope_conformance::{
    AbsentPart, Gap, Library, Role, SuiteReport, Vectors, bad_messages, library, order_of_work, peers, same_errors,
    suites,
};
use studioml_envelope_core::{
    Aead, AeadKey, BadSignature, CHUNK, Digest, Ed25519PrivateKey, Identity, Implementation, Kdf, KdfOutputTooLong,
    KeyError, KeyUnwrap, KeyWrap, Nonce, Part, Provider, Random, RandomError, Recipient, RsaPrivateKey, RsaPublicKey,
    SecretBox, SessionKey, Sign, Signature, SigningKey, SigningPrivateKey, SigningPublicKey, Tag, Unauthentic,
    Unwrapped, Verify, VerifyingKey, WrapError,
};
use studioml_envelope_rustcrypto::PROVIDER as GOOD;

const BROKEN: Implementation = Implementation { library: "broken", version: "0", path: "" };

macro_rules! parts {
    ($($part:ident),*) => {
        $(
            struct $part;
            impl Part for $part {
                fn implementation(&self) -> Implementation {
                    BROKEN
                }
            }
        )*
    };
}

fn vectors() -> Vectors {
    Vectors::bundled().unwrap()
}

/// The suite ran, and said that something is wrong.
#[track_caller]
fn assert_noticed(report: &SuiteReport) {
    assert!(!report.is_success(), "{} noticed nothing", report.suite);
    assert!(report.run > 0 && !report.failures.is_empty(), "{report:?}");
}

parts!(Constant, LeavesTheLastByte, FillsTheBeginning);

impl Random for Constant {
    fn fill(&self, out: &mut [u8]) -> Result<(), RandomError> {
        out.fill(7);
        Ok(())
    }
}

impl Random for LeavesTheLastByte {
    fn fill(&self, out: &mut [u8]) -> Result<(), RandomError> {
        match out.split_last_mut() {
            Some((_, front)) => GOOD.random.fill(front),
            None => Ok(()),
        }
    }
}

impl Random for FillsTheBeginning {
    fn fill(&self, out: &mut [u8]) -> Result<(), RandomError> {
        let (beginning, _) = out.split_at_mut(out.len().min(4096));
        GOOD.random.fill(beginning)
    }
}

#[test]
fn random_that_repeats_or_forgets() {
    assert_noticed(&suites::symmetric::random_fills(&FillsTheBeginning));
    assert_noticed(&suites::symmetric::random_fills(&Constant));
    assert_noticed(&suites::symmetric::random_fills(&LeavesTheLastByte));
}

parts!(Sha256ForBoth);

impl Digest for Sha256ForBoth {
    fn sha256(&self, data: &[u8]) -> [u8; 32] {
        GOOD.digest.sha256(data)
    }

    fn sha1(&self, data: &[u8]) -> [u8; 20] {
        *GOOD.digest.sha256(data).first_chunk().unwrap()
    }
}

#[test]
fn a_digest_of_another_kind() {
    assert_noticed(&suites::symmetric::digest_fips180(&vectors(), &Sha256ForBoth));
    assert_noticed(&suites::symmetric::digest_fingerprints(&vectors(), &Sha256ForBoth));
}

parts!(IgnoresTheTag, IgnoresTheTagOfLongTexts, DecryptsBeforeTheTag, HandsOutOneLargePiece, HandsOutAnEmptyPiece);

fn good_box() -> &'static dyn SecretBox {
    GOOD.secret_box
}

/// What a broken box does as it should.
macro_rules! good_box {
    (seal_in_place, seal_chunks) => {
        good_box!(seal_in_place);
        good_box!(seal_chunks);
    };
    (seal_in_place) => {
        fn seal_in_place(&self, key: &SessionKey, nonce: &Nonce, text: &mut [u8]) -> Tag {
            good_box().seal_in_place(key, nonce, text)
        }
    };
    (seal_chunks) => {
        fn seal_chunks(&self, key: &SessionKey, nonce: &Nonce, plaintext: &[u8], sink: &mut dyn FnMut(&[u8])) -> Tag {
            good_box().seal_chunks(key, nonce, plaintext, sink)
        }
    };
    (open_in_place) => {
        fn open_in_place(
            &self,
            key: &SessionKey,
            nonce: &Nonce,
            tag: &Tag,
            text: &mut [u8],
        ) -> Result<(), Unauthentic> {
            good_box().open_in_place(key, nonce, tag, text)
        }
    };
}

impl SecretBox for IgnoresTheTag {
    good_box!(seal_in_place, seal_chunks);

    fn open_in_place(&self, key: &SessionKey, nonce: &Nonce, _: &Tag, text: &mut [u8]) -> Result<(), Unauthentic> {
        good_box().seal_in_place(key, nonce, text);
        Ok(())
    }
}

impl SecretBox for IgnoresTheTagOfLongTexts {
    good_box!(seal_in_place, seal_chunks);

    fn open_in_place(&self, key: &SessionKey, nonce: &Nonce, tag: &Tag, text: &mut [u8]) -> Result<(), Unauthentic> {
        match text.len() > CHUNK {
            true => IgnoresTheTag.open_in_place(key, nonce, tag, text),
            false => good_box().open_in_place(key, nonce, tag, text),
        }
    }
}

impl SecretBox for DecryptsBeforeTheTag {
    good_box!(seal_in_place, seal_chunks);

    fn open_in_place(&self, key: &SessionKey, nonce: &Nonce, tag: &Tag, text: &mut [u8]) -> Result<(), Unauthentic> {
        let opened = good_box().open_in_place(key, nonce, tag, text);
        if opened.is_err() {
            good_box().seal_in_place(key, nonce, text);
        }
        opened
    }
}

impl SecretBox for HandsOutOneLargePiece {
    good_box!(seal_in_place);

    fn seal_chunks(&self, key: &SessionKey, nonce: &Nonce, plaintext: &[u8], sink: &mut dyn FnMut(&[u8])) -> Tag {
        let mut text = plaintext.to_vec();
        let tag = self.seal_in_place(key, nonce, &mut text);
        sink(&text);
        tag
    }

    good_box!(open_in_place);
}

impl SecretBox for HandsOutAnEmptyPiece {
    good_box!(seal_in_place);

    fn seal_chunks(&self, key: &SessionKey, nonce: &Nonce, plaintext: &[u8], sink: &mut dyn FnMut(&[u8])) -> Tag {
        sink(&[]);
        good_box().seal_chunks(key, nonce, plaintext, sink)
    }

    good_box!(open_in_place);
}

#[test]
fn a_secret_box_that_forgets_its_tag_its_order_or_its_pieces() {
    assert_noticed(&suites::secret_box::forgeries(&IgnoresTheTag));
    assert_noticed(&suites::secret_box::forgeries(&IgnoresTheTagOfLongTexts));
    assert_noticed(&suites::secret_box::forgeries(&DecryptsBeforeTheTag));
    assert_noticed(&suites::secret_box::libsodium(&vectors(), &HandsOutOneLargePiece, GOOD.digest));
    assert_noticed(&suites::secret_box::libsodium(&vectors(), &HandsOutAnEmptyPiece, GOOD.digest));
    let broken = Provider { secret_box: &IgnoresTheTag, ..GOOD };
    assert_noticed(&bad_messages(&vectors(), &broken));
    assert_noticed(&order_of_work(&vectors(), &broken));
}

#[test]
fn forgeries_of_a_box_are_no_fewer_than_they_were() {
    // every byte of 72 and of the short texts, 85 and 67 and 65 of the long ones, each of 12 lengths but nothing cut once
    assert_eq!(suites::secret_box::forgeries(good_box()).run, 12 * 72 + 385 + 85 + 67 + 65 + 11);
}

parts!(AcceptsEverything, RefusesEverything);

struct Verdict(Result<(), BadSignature>);

impl VerifyingKey for Verdict {
    fn verify(&self, _: &[u8], _: &Signature) -> Result<(), BadSignature> {
        self.0
    }
}

impl Verify for AcceptsEverything {
    fn load(&self, _: &SigningPublicKey) -> Result<Box<dyn VerifyingKey>, KeyError> {
        Ok(Box::new(Verdict(Ok(()))))
    }
}

impl Verify for RefusesEverything {
    fn load(&self, _: &SigningPublicKey) -> Result<Box<dyn VerifyingKey>, KeyError> {
        Ok(Box::new(Verdict(Err(BadSignature))))
    }
}

#[test]
fn verification_that_does_not_look() {
    for part in [&AcceptsEverything as &dyn Verify, &RefusesEverything] {
        assert_noticed(&suites::signature::verify_wycheproof_ed25519(part));
        assert_noticed(&suites::signature::verify_wycheproof_ecdsa(part));
        assert_noticed(&suites::signature::verify_wycheproof_ecdsa_p1363(part));
        assert_noticed(&suites::signature::verify_cctv_ed25519(&vectors(), part));
        assert_noticed(&suites::signature::verify_keys(part));
    }
    assert_noticed(&bad_messages(&vectors(), &Provider { verify: &AcceptsEverything, ..GOOD }));
    let broken = Provider { name: "broken", verify: &AcceptsEverything, ..GOOD };
    assert!(!same_errors(&vectors(), &[GOOD, broken]).is_success());
    assert_noticed(&peers(&vectors(), &Provider { verify: &RefusesEverything, ..GOOD }));
}

parts!(SignsWithAnotherKey, SignsTheBeginning);

/// A key that signs the first 64 KiB of whatever it is given.
struct Beginning(Box<dyn SigningKey>);

impl SigningKey for Beginning {
    fn public_key(&self) -> &SigningPublicKey {
        self.0.public_key()
    }

    fn sign(&self, message: &[u8], random: &dyn Random) -> Result<Signature, RandomError> {
        let (beginning, _) = message.split_at(message.len().min(1 << 16));
        self.0.sign(beginning, random)
    }
}

impl Sign for SignsTheBeginning {
    fn load(&self, key: &SigningPrivateKey) -> Result<Box<dyn SigningKey>, KeyError> {
        Ok(Box::new(Beginning(GOOD.sign.load(key)?)))
    }
}

impl Sign for SignsWithAnotherKey {
    fn load(&self, _: &SigningPrivateKey) -> Result<Box<dyn SigningKey>, KeyError> {
        let seed = studioml_envelope_core::SecretBytes::new(vec![9; 32]);
        GOOD.sign.load(&SigningPrivateKey::Ed25519(Ed25519PrivateKey::new(seed, None)?))
    }
}

#[test]
fn signing_with_another_key_or_something_else() {
    assert_noticed(&suites::signature::sign_ed25519(&vectors(), &SignsWithAnotherKey, GOOD.random));
    assert_noticed(&suites::signature::sign_keys(&SignsWithAnotherKey));
    for part in [&SignsWithAnotherKey as &dyn Sign, &SignsTheBeginning] {
        assert_noticed(&suites::signature::sign_verifies_elsewhere(&vectors(), part, GOOD.random, GOOD.verify));
    }
}

parts!(LoadsInconsistentKeys, FindsAKeyInEverything);

/// A key that finds the first bytes of whatever it is given.
struct Finds(usize);

impl Identity for Finds {
    fn wrapped_len(&self) -> usize {
        self.0
    }

    fn unwrap(&self, wrapped: &[u8], _: &dyn Random) -> Unwrapped {
        Unwrapped::from_library(wrapped.get(..32))
    }
}

impl KeyUnwrap for LoadsInconsistentKeys {
    fn load(&self, key: &RsaPrivateKey) -> Result<Box<dyn Identity>, KeyError> {
        GOOD.key_unwrap.load(key).or_else(|_| Ok(Box::new(Finds(key.public_key().modulus().len()))))
    }

    fn generate(&self, bits: usize, random: &dyn Random) -> Result<RsaPrivateKey, KeyError> {
        GOOD.key_unwrap.generate(bits, random)
    }
}

impl KeyUnwrap for FindsAKeyInEverything {
    fn load(&self, key: &RsaPrivateKey) -> Result<Box<dyn Identity>, KeyError> {
        Ok(Box::new(Finds(key.public_key().modulus().len())))
    }

    fn generate(&self, bits: usize, random: &dyn Random) -> Result<RsaPrivateKey, KeyError> {
        GOOD.key_unwrap.generate(bits.max(2048), random)
    }
}

#[test]
fn unwrapping_that_loads_or_finds_too_much() {
    let vectors = vectors();
    assert_noticed(&suites::rsa_oaep::unwrap_unusual_keys(
        &vectors,
        &LoadsInconsistentKeys,
        GOOD.random,
        GOOD.key_wrap,
    ));
    assert_noticed(&suites::rsa_oaep::unwrap_wycheproof(&FindsAKeyInEverything, GOOD.random, 2048));
    assert_noticed(&suites::rsa_oaep::unwrap_refuses(&vectors, &FindsAKeyInEverything, GOOD.random));
    assert_noticed(&order_of_work(&vectors, &Provider { key_unwrap: &FindsAKeyInEverything, ..GOOD }));
    let broken = Provider { name: "broken", key_unwrap: &LoadsInconsistentKeys, ..GOOD };
    assert!(!same_errors(&vectors, &[GOOD, broken]).is_success());
}

parts!(WrapsIntoLess, WrapsIntoMore);

/// Writes nothing where it is given this much room, and finds that in order.
struct TakesAnotherLength {
    recipient: Box<dyn Recipient>,
    length: usize,
}

impl Recipient for TakesAnotherLength {
    fn wrapped_len(&self) -> usize {
        self.recipient.wrapped_len()
    }

    fn wrap(&self, session_key: &SessionKey, random: &dyn Random, out: &mut [u8]) -> Result<(), WrapError> {
        if out.len() == self.length { Ok(()) } else { self.recipient.wrap(session_key, random, out) }
    }
}

impl KeyWrap for WrapsIntoLess {
    fn load(&self, key: &RsaPublicKey) -> Result<Box<dyn Recipient>, KeyError> {
        let recipient = GOOD.key_wrap.load(key)?;
        Ok(Box::new(TakesAnotherLength { length: recipient.wrapped_len() - 1, recipient }))
    }
}

impl KeyWrap for WrapsIntoMore {
    fn load(&self, key: &RsaPublicKey) -> Result<Box<dyn Recipient>, KeyError> {
        let recipient = GOOD.key_wrap.load(key)?;
        Ok(Box::new(TakesAnotherLength { length: recipient.wrapped_len() + 1, recipient }))
    }
}

#[test]
fn wrapping_into_another_length() {
    for part in [&WrapsIntoLess as &dyn KeyWrap, &WrapsIntoMore] {
        assert_noticed(&suites::rsa_oaep::wrap_opens_elsewhere(&vectors(), part, GOOD.random, GOOD.key_unwrap));
    }
}

parts!(AeadWithoutAssociatedData, AeadThatComparesHalfATag, KdfWithoutLimit);

struct KeyWithoutAssociatedData(Box<dyn AeadKey>);

impl Aead for AeadWithoutAssociatedData {
    fn load(&self, key: &[u8; 32]) -> Box<dyn AeadKey> {
        Box::new(KeyWithoutAssociatedData(GOOD.aead.load(key)))
    }
}

impl AeadKey for KeyWithoutAssociatedData {
    fn seal_in_place(&self, nonce: &[u8; 12], _: &[u8], text: &mut [u8]) -> [u8; 16] {
        self.0.seal_in_place(nonce, &[], text)
    }

    fn open_in_place(&self, nonce: &[u8; 12], _: &[u8], tag: &[u8; 16], text: &mut [u8]) -> Result<(), Unauthentic> {
        self.0.open_in_place(nonce, &[], tag, text)
    }
}

struct KeyThatComparesHalfATag(Box<dyn AeadKey>);

impl Aead for AeadThatComparesHalfATag {
    fn load(&self, key: &[u8; 32]) -> Box<dyn AeadKey> {
        Box::new(KeyThatComparesHalfATag(GOOD.aead.load(key)))
    }
}

impl AeadKey for KeyThatComparesHalfATag {
    fn seal_in_place(&self, nonce: &[u8; 12], aad: &[u8], text: &mut [u8]) -> [u8; 16] {
        self.0.seal_in_place(nonce, aad, text)
    }

    fn open_in_place(&self, nonce: &[u8; 12], aad: &[u8], tag: &[u8; 16], text: &mut [u8]) -> Result<(), Unauthentic> {
        // sealed again it is the plaintext, and that sealed has the right tag
        self.0.seal_in_place(nonce, aad, text);
        let expected = self.0.seal_in_place(nonce, aad, &mut text.to_vec());
        if expected.first_chunk::<8>() == tag.first_chunk() {
            return Ok(());
        }
        text.fill(0);
        Err(Unauthentic)
    }
}

impl Kdf for KdfWithoutLimit {
    fn hkdf_sha256(&self, salt: &[u8], ikm: &[u8], info: &[u8], out: &mut [u8]) -> Result<(), KdfOutputTooLong> {
        let length = out.len().min(8160);
        GOOD.kdf.hkdf_sha256(salt, ikm, info, out.get_mut(..length).unwrap())
    }
}

#[test]
fn symmetric_parts_that_leave_something_out() {
    assert_noticed(&suites::symmetric::aead_wycheproof(&AeadWithoutAssociatedData));
    assert_noticed(&suites::symmetric::aead_forgeries(&AeadWithoutAssociatedData));
    assert_noticed(&suites::symmetric::aead_forgeries(&AeadThatComparesHalfATag));
    assert_noticed(&suites::symmetric::kdf_wycheproof(&KdfWithoutLimit));
}

#[test]
fn a_library_that_lacks_a_part_without_saying_so_fails_and_so_does_one_that_says_too_much() {
    let vectors = vectors();
    let silent = Library { name: "silent", kdf: Some(GOOD.kdf), ..Library::EMPTY };
    assert!(!library(&vectors, &silent, &GOOD).is_success());

    const ALL_ABSENT: [AbsentPart; 11] = {
        let mut absent = [AbsentPart { role: Role::Random, reason: "a test" }; 11];
        let mut index = 0;
        while index < absent.len() {
            absent[index].role = Role::PARTS[index];
            index += 1;
        }
        absent
    };
    let boastful = Library { absent: &ALL_ABSENT, ..silent };
    assert!(!library(&vectors, &boastful, &GOOD).is_success());

    let honest = Library { absent: ALL_ABSENT.first_chunk::<10>().unwrap(), ..silent };
    let report = library(&vectors, &honest, &GOOD);
    assert!(report.is_success(), "{report}");
    assert_eq!(report.absent.len(), 10);
}

#[test]
fn the_cases_left_out_are_as_many_as_the_gaps_declare() {
    let vectors = vectors();
    let whole = Library::from(&GOOD);
    let symmetric = Library { name: "symmetric", aead: whole.aead, ..Library::EMPTY };
    let report = library(&vectors, &symmetric, &GOOD);
    let wycheproof = report.suites.iter().find(|suite| suite.suite == "wycheproof aes_gcm").unwrap();
    assert!(wycheproof.is_success());
    // 316 cases in the file: what is not run lies in a gap, and each gap is as large as it was declared
    assert_eq!((wycheproof.run, wycheproof.gap_cases()), (66, 250));
    assert!(wycheproof.gaps.iter().all(|(Gap { cases, .. }, found)| cases == found));
}
