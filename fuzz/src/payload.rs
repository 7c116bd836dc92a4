//! The payload string (docs/spec.md §1), parsed and opened with a key that costs nothing, and held against a second, plain reading
//! of the clause.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use studioml_envelope_core::{Identity, OpenError, Payload, PayloadError, Random, SessionKey, Unwrapped};

use crate::memory;
use crate::providers::{first, is_short};

/// The session key that every wrapped key of this target gives.
pub const SESSION_KEY: [u8; 32] = [0x5a; 32];

/// A private key that finds the same session key in everything: the RSA operation is another target's.
pub struct Canned(pub usize);

impl Identity for Canned {
    fn wrapped_len(&self) -> usize {
        self.0
    }

    fn unwrap(&self, wrapped: &[u8], _: &dyn Random) -> Unwrapped {
        assert_eq!(wrapped.len(), self.0, "the caller compares lengths first");
        Unwrapped::from_library(Some(&SESSION_KEY))
    }
}

/// The first byte bounds the plaintext (in units of 16 bytes), the rest is the payload string.
pub fn payload(data: &[u8]) {
    let Some((maximum, text)) = data.split_first() else { return };
    let maximum = usize::from(*maximum) * 16;
    let expected = plain_reading(text, maximum);
    for file in [false, true] {
        let mut buffer = text.to_vec();
        let outcome = memory::at_most(64 * 1024, || open(&mut buffer, maximum, file));
        match (&outcome, file) {
            // a line end is part of no payload string and is dropped from a file
            (_, true) if text.ends_with(b"\n") => {}
            _ => assert_eq!(outcome, expected),
        }
        if outcome == Err(OpenError::CannotOpen) {
            let box_field = text.split(|byte| *byte == b',').nth(1).unwrap_or_default();
            assert!(!leaves_decrypted(&buffer, box_field), "a refused box is wiped");
        }
    }
}

/// Parses and opens; the plaintext or the error.
fn open(buffer: &mut [u8], maximum: usize, file: bool) -> Result<Vec<u8>, OpenError> {
    let payload = if file { Payload::parse_file(buffer, maximum) } else { Payload::parse(buffer, maximum) };
    let payload = payload.inspect_err(|error| is_short(error))?;
    let plaintext_len = payload.plaintext_len();
    assert!(plaintext_len <= maximum);
    let identity: [Box<dyn Identity>; 1] = [Box::new(Canned(payload.wrapped_key_len()))];
    let opened = payload.open_unauthenticated(first(), &identity).inspect_err(|error| is_short(error))?;
    assert_eq!(opened.unauthenticated_plaintext().len(), plaintext_len);
    Ok(opened.unauthenticated_plaintext().to_vec())
}

/// docs/spec.md §1 once more, with whole copies and library calls.
fn plain_reading(text: &[u8], maximum: usize) -> Result<Vec<u8>, OpenError> {
    if text.starts_with(b"studioml.") {
        return Err(PayloadError::UnsupportedVersion.into());
    }
    let fields: Vec<&[u8]> = text.split(|byte| *byte == b',').collect();
    let [key_field, box_field] = fields.as_slice() else {
        return Err(PayloadError::Fields { fields: fields.len().min(3) }.into());
    };
    let found = decoded_len(key_field, "wrapped key")?;
    if !(256..=1024).contains(&found) {
        return Err(PayloadError::WrappedKeyLength { found }.into());
    }
    let found = decoded_len(box_field, "box")?;
    if found < 40 {
        return Err(PayloadError::BoxLength { found }.into());
    }
    if found - 40 > maximum {
        return Err(PayloadError::TooLarge { found: found - 40, maximum }.into());
    }
    for (field, name) in [(key_field, "wrapped key"), (box_field, "box")] {
        if STANDARD.decode(field).is_err() {
            return Err(PayloadError::Base64 { field: name, offset: offset_of(text, name) }.into());
        }
    }
    let mut boxed = STANDARD.decode(box_field).expect("decoded a moment ago");
    let (front, text) = boxed.split_at_mut(40);
    let (nonce, tag) = front.split_at(24);
    let key = SessionKey::from_bytes(SESSION_KEY);
    let (nonce, tag) = (nonce.try_into().expect("24"), tag.try_into().expect("16"));
    let opened = first().secret_box.open_in_place(&key, nonce, tag, text);
    opened.map_err(|_| OpenError::CannotOpen)?;
    Ok(text.to_vec())
}

fn decoded_len(field: &[u8], name: &'static str) -> Result<usize, PayloadError> {
    if !field.len().is_multiple_of(4) {
        return Err(PayloadError::Base64 { field: name, offset: field.len() });
    }
    let padding = field.iter().rev().take(2).take_while(|byte| **byte == b'=').count();
    Ok(field.len() / 4 * 3 - padding)
}

/// The offset in a base64 error is a hint for people and has no second opinion: taken from the implementation.
fn offset_of(text: &[u8], name: &'static str) -> usize {
    match open(&mut text.to_vec(), usize::MAX, false) {
        Err(OpenError::Payload(PayloadError::Base64 { field, offset })) if field == name => {
            assert!(offset <= text.len());
            offset
        }
        other => panic!("{name} is not base64, and opening it gave {other:?}"),
    }
}

/// Whether the plaintext, which only the session key gives, stands anywhere in the buffer of a refused payload.
fn leaves_decrypted(buffer: &[u8], box_field: &[u8]) -> bool {
    let Ok(mut boxed) = STANDARD.decode(box_field) else { return false };
    let Some((front, text)) = boxed.split_at_mut_checked(40) else { return false };
    let nonce = front.first_chunk().expect("40 bytes are more than 24");
    // XSalsa20 is its own inverse: sealing the ciphertext gives the plaintext
    let key = SessionKey::from_bytes(SESSION_KEY);
    first().secret_box.seal_in_place(&key, nonce, text);
    text.len() >= 16 && buffer.windows(16).any(|window| window == &text[..16])
}
