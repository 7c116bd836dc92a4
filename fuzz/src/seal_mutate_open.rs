//! Seal, change, open: of everything that can be made of a message, only what carries the same signed payload opens, and it
//! opens to the same plaintext.

use arbitrary::{Arbitrary, Unstructured};
use studioml_envelope_core::{Message, OpenError, Opened, Policy, UnauthenticatedHeaders, VerifyError, seal_envelope};

use crate::keys::{RECIPIENT, SIGNERS, TRUSTED, identities};
use crate::providers::first;

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    p256: bool,
    headers: bool,
    mutations: Vec<Mutation<'a>>,
    plaintext: &'a [u8],
}

#[derive(Arbitrary, Debug)]
enum Mutation<'a> {
    /// Changes a byte.
    Change { at: u16, with: u8 },
    /// Puts bytes between others.
    Insert { at: u16, bytes: &'a [u8] },
    /// Takes bytes out.
    Remove { at: u16, count: u8 },
    /// Exchanges two stretches.
    Exchange { one: u16, other: u16, count: u8 },
    /// Takes the end of another message from here on.
    Splice { at: u16, signed_by_the_other: bool },
    /// Puts another message's payload beside this one's signature.
    Payload,
    /// Puts another message's signature beside this one's payload.
    Signature,
    /// A second member `payload`, in another case.
    Duplicate { upper: bool },
}

/// One message and what becomes of it.
pub fn seal_mutate_open(data: &[u8]) {
    let Ok(input) = Input::arbitrary_take_rest(Unstructured::new(data)) else { return };
    let mut sealed = Vec::new();
    let own = seal(input.plaintext, input.headers, input.p256, &mut sealed);
    let mut changed = own.clone();
    for mutation in input.mutations.iter().take(16) {
        changed = mutate(changed, mutation, &input, &mut sealed);
    }

    match open(&mut changed.clone()) {
        Ok((plaintext, payload)) => {
            let known = sealed.iter().any(|one| one.payload == payload && one.plaintext == plaintext);
            assert!(known, "something that nobody sealed was opened");
        }
        Err(Refused::Malformed | Refused::Verify(_)) => {
            assert!(changed != own, "the unchanged message was refused");
        }
        // nothing signed by a trusted key may fail after the signature: it was sealed well
        Err(Refused::Open(error)) => panic!("a verified message did not open: {error}"),
    }
    // whatever stands around them, payload and signature that are unchanged are what was signed
    let mut buffer = changed;
    if let Ok(message) = Message::parse(&mut buffer, usize::MAX) {
        let same = sealed.iter().any(|one| {
            message.payload().as_bytes() == one.payload && message.signature() == Some(one.signature.as_str())
        });
        let mut policy = Policy::default();
        policy.fingerprint = studioml_envelope_core::FingerprintPolicy::Warn;
        let verified = message.verify(&*TRUSTED, &policy);
        if same {
            assert!(verified.is_ok(), "{verified:?}");
        }
    }
}

#[derive(Debug)]
enum Refused {
    Malformed,
    #[allow(dead_code, reason = "shown when a finding is reported")]
    Verify(VerifyError),
    Open(OpenError),
}

fn open(message: &mut [u8]) -> Result<(Vec<u8>, Vec<u8>), Refused> {
    let message = Message::parse(message, usize::MAX).map_err(|_| Refused::Malformed)?;
    let verified = message.verify(&*TRUSTED, &Policy::default()).map_err(Refused::Verify)?;
    let signed = verified.payload().to_vec();
    let opened: Opened<'_> = verified.open(first(), identities(first())).map_err(Refused::Open)?;
    Ok((opened.plaintext().to_vec(), signed))
}

/// A message that was sealed and signed, as far as its receiver is to rely on it.
struct Sealed {
    payload: Vec<u8>,
    signature: String,
    plaintext: Vec<u8>,
}

/// Seals, signs, and takes note of it.
fn seal(plaintext: &[u8], headers: bool, p256: bool, sealed: &mut Vec<Sealed>) -> Vec<u8> {
    let request = br#"{"experiment":{"status":"waiting","pythonver":"3.8","time_added":1.5},"config":{}}"#;
    let headers =
        if headers { UnauthenticatedHeaders::from_request(request).expect("JSON") } else { Default::default() };
    let signer = Some(&*SIGNERS[usize::from(p256)]);
    let text = seal_envelope(first(), &**RECIPIENT, signer, &headers, plaintext, usize::MAX);
    let text = text.expect("the counter never fails");
    let mut buffer = text.clone();
    let message = Message::parse(&mut buffer, usize::MAX).expect("just sealed");
    let payload = message.payload().as_bytes().to_vec();
    let signature = message.signature().expect("just signed").to_owned();
    sealed.push(Sealed { payload, signature, plaintext: plaintext.to_vec() });
    text
}

fn mutate(mut message: Vec<u8>, mutation: &Mutation<'_>, input: &Input<'_>, sealed: &mut Vec<Sealed>) -> Vec<u8> {
    if message.is_empty() {
        return message;
    }
    let place = |at: u16, message: &[u8]| usize::from(at) % message.len();
    match mutation {
        Mutation::Change { at, with } => {
            let at = place(*at, &message);
            message[at] = *with;
        }
        Mutation::Insert { at, bytes } => {
            let at = place(*at, &message);
            message.splice(at..at, bytes.iter().copied());
        }
        Mutation::Remove { at, count } => {
            let at = place(*at, &message);
            let end = message.len().min(at + usize::from(*count));
            message.drain(at..end);
        }
        Mutation::Exchange { one, other, count } => {
            let (one, other) = (place(*one, &message), place(*other, &message));
            for index in 0..usize::from(*count) {
                if one + index < message.len() && other + index < message.len() {
                    message.swap(one + index, other + index);
                }
            }
        }
        Mutation::Splice { at, signed_by_the_other } => {
            let other = seal(b"another", input.headers, input.p256 != *signed_by_the_other, sealed);
            let at = place(*at, &message);
            message.truncate(at);
            message.extend_from_slice(other.get(at..).unwrap_or_default());
        }
        Mutation::Payload | Mutation::Signature => {
            seal(b"another", input.headers, input.p256, sealed);
            let Some(other) = sealed.last() else { return message };
            let mut buffer = message.clone();
            let Ok(parsed) = Message::parse(&mut buffer, usize::MAX) else { return message };
            let (from, to) = match mutation {
                Mutation::Payload => (parsed.payload().as_bytes().to_vec(), other.payload.clone()),
                _ => (parsed.signature().unwrap_or_default().as_bytes().to_vec(), other.signature.clone().into_bytes()),
            };
            message = replace(&message, &from, &to);
        }
        Mutation::Duplicate { upper } => {
            let name: &[u8] = if *upper { br#""PAYLOAD":"x","payload""# } else { br#""payload":"x","payload""# };
            message = replace(&message, br#""payload""#, name);
        }
    }
    message.truncate(256 * 1024);
    message
}

/// `text` with the first `from` replaced by `to`.
fn replace(text: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    if from.is_empty() {
        return text.to_vec();
    }
    match text.windows(from.len()).position(|window| window == from) {
        Some(at) => [&text[..at], to, &text[at + from.len()..]].concat(),
        None => text.to_vec(),
    }
}

/// Whether a payload is one that a seed of the target `message` carries with a good signature.
#[must_use]
pub fn is_seeded(payload: &[u8]) -> bool {
    let mut text = payload.to_vec();
    let Ok(payload) = studioml_envelope_core::Payload::parse(&mut text, usize::MAX) else { return false };
    let opened = payload.open_unauthenticated(first(), identities(first()));
    opened.is_ok_and(|opened| opened.unauthenticated_plaintext().starts_with(b"seed: "))
}
