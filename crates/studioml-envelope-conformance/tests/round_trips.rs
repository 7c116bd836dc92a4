//! Whatever is sealed opens, whatever is signed verifies, whatever stands around a message is kept.
#![allow(clippy::unwrap_used, reason = "a test stops where something is not as expected")]

use std::sync::LazyLock;

use proptest::{collection::vec, prelude::*, sample::select};
use serde_json::{Map, Number, Value};
use studioml_envelope::provider;
use studioml_envelope_conformance::Vectors;
use studioml_envelope_core::{
    DEFAULT_MAX_PLAINTEXT, Ed25519PrivateKey, Identity, Message, P256Signature, Payload, Policy, Provider, Recipient,
    RsaPrivateKey, SecretBytes, Signature, SigningKey, SigningPrivateKey, TrustedSigner, UnauthenticatedHeaders, seal,
    seal_envelope, sealed_len,
};

/// A provider with loaded keys of 4096 bits and both kinds of signer.
struct Party {
    provider: Provider,
    recipient: Box<dyn Recipient>,
    identities: [Box<dyn Identity>; 1],
    signers: [Box<dyn SigningKey>; 2],
    trusted: [TrustedSigner; 2],
}

static PARTIES: LazyLock<Vec<Party>> = LazyLock::new(|| {
    let vectors = Vectors::bundled().unwrap();
    let private = RsaPrivateKey::from_pkcs1_der(vectors.bytes("keyfiles/rsa.pkcs1.der").unwrap()).unwrap();
    let seed = || SecretBytes::copy_from(vectors.bytes("keyfiles/ed25519.seed").unwrap());
    let load = |provider: &Provider| {
        let ed25519 = SigningPrivateKey::Ed25519(Ed25519PrivateKey::new(seed(), None).unwrap());
        let p256 = SigningPrivateKey::P256(provider.agree_static.generate(provider.random).unwrap());
        let signers = [ed25519, p256].map(|key| provider.sign.load(&key).unwrap());
        Party {
            provider: *provider,
            recipient: provider.key_wrap.load(private.public_key()).unwrap(),
            identities: [provider.key_unwrap.load(&private).unwrap()],
            trusted: signers.each_ref().map(|key| TrustedSigner::load(provider, key.public_key()).unwrap()),
            signers,
        }
    };
    provider::ALL.iter().map(load).collect()
});

fn party() -> impl Strategy<Value = &'static Party> {
    (0..PARTIES.len()).prop_map(|index| PARTIES.get(index).unwrap())
}

impl std::fmt::Debug for Party {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.provider.name)
    }
}

fn opens(party: &Party, plaintext: &[u8]) {
    let mut text = seal(&party.provider, &*party.recipient, plaintext, DEFAULT_MAX_PLAINTEXT).unwrap();
    assert_eq!(Some(text.len()), sealed_len(party.recipient.wrapped_len(), plaintext.len()));
    assert!(text.is_ascii());
    let payload = Payload::parse(&mut text, DEFAULT_MAX_PLAINTEXT).unwrap();
    assert_eq!(payload.plaintext_len(), plaintext.len());
    assert_eq!(payload.wrapped_key_len(), 512);
    let opened = payload.open_unauthenticated(&party.provider, &party.identities).unwrap();
    assert!(opened.unauthenticated_plaintext() == plaintext, "{} bytes", plaintext.len());
}

#[test]
fn sixteen_mebibytes_open_with_every_provider() {
    let plaintext: Vec<u8> = (0_u32..4 << 20).flat_map(|i| i.wrapping_mul(0x9e37_79b9).to_le_bytes()).collect();
    for party in PARTIES.iter() {
        opens(party, &plaintext);
    }
}

#[test]
fn every_length_around_the_groups_of_base64_opens() {
    // aws-lc-rs for speed, and each SecretBox part of its own; other libraries differ in nothing that lengths touch
    let parties: Vec<_> = PARTIES.iter().filter(|party| party.provider.name.starts_with("aws-lc-rs")).collect();
    assert!(parties.len() >= 2);
    for party in parties {
        for length in (0..200).chain(16_370..16_400).chain(32_760..32_780) {
            opens(party, &vec![0xa5; length]);
        }
    }
}

/// JSON of any shape, numbers as text that no machine number holds.
fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_filter_map("a finite number", |number| Number::from_f64(number).map(Value::from)),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 5, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..5).prop_map(Value::from),
            proptest::collection::btree_map(any::<String>(), inner, 0..5)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// A name that is none of those with a meaning, in no spelling.
fn unknown_name() -> impl Strategy<Value = String> {
    any::<String>().prop_filter("a name with a meaning", |name| {
        let folded = name.to_lowercase().replace('\u{17f}', "s");
        !["message", "payload", "signature", "fingerprint"].contains(&folded.as_str())
    })
}

fn unknown_members() -> impl Strategy<Value = Map<String, Value>> {
    proptest::collection::btree_map(unknown_name(), json(), 0..6).prop_map(|members| members.into_iter().collect())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_plaintext_opens_with_any_provider(party in party(), plaintext in vec(any::<u8>(), 0..5000)) {
        opens(party, &plaintext);
    }

    #[test]
    fn any_signed_envelope_verifies_and_opens(
        party in party(),
        algorithm in 0_usize..2,
        plaintext in vec(any::<u8>(), 0..2000),
    ) {
        let signer = party.signers.get(algorithm).unwrap();
        let headers = UnauthenticatedHeaders::default();
        let (provider, recipient) = (&party.provider, &*party.recipient);
        let mut json =
            seal_envelope(provider, recipient, Some(&**signer), &headers, &plaintext, DEFAULT_MAX_PLAINTEXT).unwrap();
        let message = Message::parse(&mut json, DEFAULT_MAX_PLAINTEXT).unwrap();
        let verified = message.verify(&party.trusted, &Policy::default()).unwrap();
        prop_assert_eq!(&verified.verification().signer, signer.public_key());
        let opened = verified.open(provider, &party.identities).unwrap();
        prop_assert!(opened.plaintext() == plaintext);
    }

    #[test]
    fn any_change_to_a_signed_payload_is_refused(
        party in party(),
        algorithm in 0_usize..2,
        place in any::<prop::sample::Index>(),
        change in 1_u8..=255,
    ) {
        let signer = party.signers.get(algorithm).unwrap();
        let mut text = seal(&party.provider, &*party.recipient, b"plaintext", DEFAULT_MAX_PLAINTEXT).unwrap();
        let signature = signer.sign(&text, party.provider.random).unwrap().to_base64();
        let place = place.index(text.len());
        *text.get_mut(place).unwrap() ^= change;
        let refused = match Payload::parse(&mut text, DEFAULT_MAX_PLAINTEXT) {
            Err(_) => true,
            Ok(payload) => payload.verify(&signature, &party.trusted).is_err(),
        };
        prop_assert!(refused);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn members_that_nobody_knows_are_kept(around in unknown_members(), within in unknown_members()) {
        let payload = format!("{},{}", "AAAA".repeat(100), "AAAA".repeat(20));
        let mut message = within;
        message.insert("payload".to_owned(), payload.into());
        let mut envelope = around;
        envelope.insert("message".to_owned(), message.into());
        let mut text = Value::from(envelope).to_string().into_bytes();
        // read back: serde_json does not promise the last bit of a floating-point number that it writes
        let before: Value = serde_json::from_slice(&text).unwrap();
        let emitted = Message::parse(&mut text, DEFAULT_MAX_PLAINTEXT).unwrap().to_json();
        prop_assert_eq!(serde_json::from_slice::<Value>(&emitted).unwrap(), before);
        // and what is emitted once is emitted again to the byte
        let again = Message::parse(&mut emitted.clone(), DEFAULT_MAX_PLAINTEXT).unwrap().to_json();
        prop_assert!(again == emitted);
    }

    #[test]
    fn numbers_are_kept_as_the_text_they_came_as(
        digits in "-?(0|[1-9][0-9]{0,40})(\\.[0-9]{1,40})?([eE][+-]?[0-9]{1,2})?",
        name in select(&["time_added", "unknown"][..]),
    ) {
        let payload = format!("{},{}", "AAAA".repeat(100), "AAAA".repeat(20));
        let text = format!(r#"{{"message":{{"{name}":{digits},"payload":"{payload}"}},"beside":[{digits}]}}"#);
        let emitted = Message::parse(&mut text.clone().into_bytes(), DEFAULT_MAX_PLAINTEXT).unwrap().to_json();
        prop_assert_eq!(String::from_utf8(emitted).unwrap(), text);
    }

    #[test]
    fn ecdsa_signatures_survive_their_der(r in vec(any::<u8>(), 32), s in vec(any::<u8>(), 32), short in 0_usize..32) {
        // leading zeros, which DER leaves out and the fixed form has
        let r: Vec<u8> = r.iter().enumerate().map(|(at, byte)| if at < short { 0 } else { *byte }).collect();
        if let Ok(signature) = P256Signature::from_bytes(&[r, s].concat()) {
            let signature = Signature::P256(signature);
            let key = PARTIES.first().unwrap().signers.last().unwrap();
            let decoded = Signature::from_base64(&signature.to_base64(), key.public_key());
            prop_assert_eq!(decoded, Ok(signature));
        }
    }

    #[test]
    fn no_text_makes_a_parser_panic(text in vec(any::<u8>(), 0..400), cut in 0_usize..700) {
        let (mut payload, mut file, mut message) = (text.clone(), text.clone(), text.clone());
        drop(Payload::parse(&mut payload, DEFAULT_MAX_PLAINTEXT));
        drop(Payload::parse_file(&mut file, DEFAULT_MAX_PLAINTEXT));
        drop(Message::parse(&mut message, DEFAULT_MAX_PLAINTEXT));
        // and closer to the real thing: a message with something in it
        let sound = format!(r#"{{"message":{{"payload":"{},{}","signature":"#, "A".repeat(400), "A".repeat(60));
        let mut mixed = sound.into_bytes();
        mixed.splice(cut.min(mixed.len())..cut.min(mixed.len()), text);
        drop(Message::parse(&mut mixed, DEFAULT_MAX_PLAINTEXT));
    }
}
