//! What sealing and opening allocate, counted in this thread; a binary of its own because the counter is the allocator.
//!
//! Sealing makes one allocation of the payload's size, opening none: memory does not grow with the number of copies.
#![allow(clippy::unwrap_used, reason = "a test stops where something is not as expected")]

use allocation_counter::{AllocationInfo, measure};
use studioml_envelope::provider;
use studioml_envelope_conformance::Vectors;
use studioml_envelope_core::{
    Ed25519PrivateKey, Identity, Message, MessageError, Payload, PayloadError, Policy, Provider, Recipient,
    RsaPrivateKey, SecretBytes, SigningKey, SigningPrivateKey, TrustedSigner, UnauthenticatedHeaders, seal,
    seal_envelope, seal_into, sealed_len,
};

const PLAINTEXT: usize = 64 << 20;
/// What big numbers, headers and error paths may take beside, all in all: far below one copy of anything payload-sized.
/// (`rsa` allocates 1.5 MB of big numbers in one private operation, a few at a time.)
const SMALL: u64 = 4 << 20;
/// And what they may take at once.
const SMALL_AT_ONCE: u64 = 256 << 10;

struct Parties {
    provider: Provider,
    recipient: Box<dyn Recipient>,
    identities: [Box<dyn Identity>; 1],
    signer: Box<dyn SigningKey>,
    trusted: [TrustedSigner; 1],
}

fn parties() -> Vec<Parties> {
    let vectors = Vectors::bundled().unwrap();
    let private = RsaPrivateKey::from_pkcs1_der(vectors.bytes("keyfiles/rsa.pkcs1.der").unwrap()).unwrap();
    let seed = || SecretBytes::copy_from(vectors.bytes("keyfiles/ed25519.seed").unwrap());
    let load = |provider: &Provider| {
        let signing_key = SigningPrivateKey::Ed25519(Ed25519PrivateKey::new(seed(), None).unwrap());
        let signer = provider.sign.load(&signing_key).unwrap();
        Parties {
            provider: *provider,
            recipient: provider.key_wrap.load(private.public_key()).unwrap(),
            identities: [provider.key_unwrap.load(&private).unwrap()],
            trusted: [TrustedSigner::load(provider, signer.public_key()).unwrap()],
            signer,
        }
    };
    provider::ALL.iter().map(load).collect()
}

/// No further allocation of the payload's size fits into what was counted.
fn assert_close(what: &str, counted: u64, expected: usize) {
    let expected = u64::try_from(expected).unwrap();
    assert!((expected..expected + SMALL).contains(&counted), "{what}: {counted} bytes, {expected} expected");
}

fn assert_small(what: &str, info: &AllocationInfo) {
    assert!(info.bytes_total < SMALL, "{what}, in all: {} bytes", info.bytes_total);
    assert!(info.bytes_max < SMALL_AT_ONCE, "{what}, at once: {} bytes", info.bytes_max);
}

#[test]
fn sealing_allocates_the_payload_once() {
    let plaintext = vec![b'x'; PLAINTEXT];
    for party in parties() {
        let name = party.provider.name;
        let expected = sealed_len(512, PLAINTEXT).unwrap();
        let mut sealed = Vec::new();
        let info = measure(|| sealed = seal(&party.provider, &*party.recipient, &plaintext, PLAINTEXT).unwrap());
        assert_eq!(sealed.len(), expected);
        assert_close(&format!("{name}: sealing, in all"), info.bytes_total, expected);
        assert_close(&format!("{name}: sealing, at once"), info.bytes_max, expected);

        let info = measure(|| {
            seal_into(&party.provider, &*party.recipient, &plaintext, PLAINTEXT, &mut sealed).unwrap();
        });
        assert_small(&format!("{name}: sealing into a buffer"), &info);
    }
}

#[test]
fn sealing_and_signing_an_envelope_allocates_it_once() {
    let plaintext = vec![b'x'; PLAINTEXT];
    let headers = UnauthenticatedHeaders::default();
    for party in parties() {
        let name = party.provider.name;
        let mut json = Vec::new();
        let (provider, recipient, signer) = (&party.provider, &*party.recipient, Some(&*party.signer));
        let info = measure(|| {
            json = seal_envelope(provider, recipient, signer, &headers, &plaintext, PLAINTEXT).unwrap();
        });
        assert_close(&format!("{name}: in all"), info.bytes_total, json.len());
        assert_close(&format!("{name}: at once"), info.bytes_max, json.len());
    }
}

#[test]
fn opening_in_place_allocates_nothing_of_the_payloads_size() {
    let plaintext = vec![b'x'; PLAINTEXT];
    for party in parties() {
        let name = party.provider.name;
        let mut text = seal(&party.provider, &*party.recipient, &plaintext, PLAINTEXT).unwrap();
        let info = measure(|| {
            let payload = Payload::parse(&mut text, PLAINTEXT).unwrap();
            let opened = payload.open_unauthenticated(&party.provider, &party.identities).unwrap();
            assert!(opened.unauthenticated_plaintext() == plaintext);
        });
        assert_small(&format!("{name}: opening"), &info);

        // nor does failing to
        let mut text = seal(&party.provider, &*party.recipient, &plaintext, PLAINTEXT).unwrap();
        let place = text.len() - 9;
        let byte = text.get_mut(place).unwrap();
        *byte = if *byte == b'A' { b'B' } else { b'A' };
        let info = measure(|| {
            let payload = Payload::parse(&mut text, PLAINTEXT).unwrap();
            payload.open_unauthenticated(&party.provider, &party.identities).unwrap_err();
        });
        assert_small(&format!("{name}: failing to open"), &info);
    }
}

/// The text itself is counted here: what a program holds that reads a message of this size and opens it.
#[test]
fn opening_takes_less_than_a_tenth_more_memory_than_the_payload_text() {
    let plaintext = vec![b'x'; PLAINTEXT];
    for party in parties() {
        let sealed = seal(&party.provider, &*party.recipient, &plaintext, PLAINTEXT).unwrap();
        let length = u64::try_from(sealed.len()).unwrap();
        let info = measure(|| {
            let mut text = sealed.clone();
            let payload = Payload::parse(&mut text, PLAINTEXT).unwrap();
            let opened = payload.open_unauthenticated(&party.provider, &party.identities).unwrap();
            assert!(opened.unauthenticated_plaintext() == plaintext);
        });
        assert!(info.bytes_max >= length, "{}: the text was not counted", party.provider.name);
        assert!(info.bytes_max < length + length / 10, "{}: {} bytes", party.provider.name, info.bytes_max);
    }
}

#[test]
fn verifying_and_opening_an_envelope_allocates_nothing_of_its_size() {
    let plaintext = vec![b'x'; PLAINTEXT];
    let headers = UnauthenticatedHeaders::default();
    for party in parties() {
        let name = party.provider.name;
        let (recipient, signer) = (&*party.recipient, Some(&*party.signer));
        let mut json = seal_envelope(&party.provider, recipient, signer, &headers, &plaintext, PLAINTEXT).unwrap();
        let info = measure(|| {
            let message = Message::parse(&mut json, PLAINTEXT).unwrap();
            let verified = message.verify(&party.trusted, &Policy::default()).unwrap();
            let opened = verified.open(&party.provider, &party.identities).unwrap();
            assert!(opened.plaintext() == plaintext);
        });
        assert_small(&format!("{name}: parsing, verifying and opening"), &info);
    }
}

#[test]
fn a_payload_that_is_too_large_is_refused_before_it_is_copied() {
    let (wrapped_key, boxed) = ("A".repeat(344 - 1) + "=", "A".repeat(PLAINTEXT - 1));
    for slash in ["/", r"\/"] {
        let mut json = format!(r#"{{"message":{{"payload":"{wrapped_key},{slash}{boxed}"}}}}"#).into_bytes();
        let info = measure(|| {
            let refused = Message::parse(&mut json, 1 << 20).map(|_| ());
            assert!(matches!(refused, Err(MessageError::Payload(PayloadError::TooLarge { .. }))), "{refused:?}");
        });
        assert_small("refusing", &info);
    }
}
