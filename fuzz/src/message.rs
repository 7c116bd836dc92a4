//! The message envelope (docs/spec.md §2): whatever this parser accepts, a plain JSON parser reads the same way.

use serde_json::Value;
use studioml_envelope_core::{Message, Policy, UnauthenticatedHeaders, UnauthenticatedRequest};

use crate::keys::TRUSTED;
use crate::memory;
use crate::providers::is_short;

/// The bytes are the message. A second byte string after the first NUL, if there is one, is the Request that its headers are
/// compared with.
pub fn message(data: &[u8]) {
    let (json, request) = match data.iter().position(|byte| *byte == 0) {
        Some(end) => (&data[..end], &data[end + 1..]),
        None => (data, data),
    };
    let budget = 256 * json.len() + 64 * 1024;
    let mut buffer = json.to_vec();
    memory::at_most(budget, || match Message::parse(&mut buffer, 1 << 20) {
        Ok(message) => accepted(&message, json, request),
        Err(error) => is_short(&error),
    });

    let mut buffer = json.to_vec();
    if let Ok(message) = Message::parse(&mut buffer, 1 << 20) {
        // nobody has signed it: a signature that verifies here would be a forgery
        let verified = message.verify(&*TRUSTED, &Policy::default());
        assert!(seeded_signature(json) || verified.is_err(), "a forgery");
    }
    clear_text(json);
}

fn accepted(message: &Message<'_>, json: &[u8], request: &[u8]) {
    let value: Value = serde_json::from_slice(json).expect("what was accepted is JSON");
    let inner = &value["message"];
    assert_eq!(inner["payload"].as_str().map(str::as_bytes), Some(message.payload().as_bytes()));
    for (member, found) in [("signature", message.signature()), ("fingerprint", message.claimed_fingerprint())] {
        let expected = inner[member].as_str().filter(|text| !text.is_empty());
        assert_eq!(found, expected, "{member}");
    }
    let headers = message.unauthenticated_headers();
    let experiment = &inner["experiment"];
    assert_eq!(headers.status().as_deref(), experiment["status"].as_str());
    if experiment["pythonver"].is_string() {
        assert_eq!(headers.python_version().as_deref(), experiment["pythonver"].as_str());
    }
    match headers.disagreements(request) {
        Ok(names) => assert!(names.iter().map(String::len).sum::<usize>() <= 64 * json.len() + 64),
        Err(error) => is_short(&error),
    }

    // written again it says the same, and written once more it is the same text
    let again = message.to_json();
    assert_eq!(serde_json::from_slice::<Value>(&again).expect("what is written is JSON"), value);
    let mut buffer = again.clone();
    let reparsed = Message::parse(&mut buffer, 1 << 20).expect("what is written is accepted");
    assert_eq!(reparsed.to_json(), again);
}

/// Whether the fuzzer was given a good signature as a seed.
fn seeded_signature(json: &[u8]) -> bool {
    let mut buffer = json.to_vec();
    let Ok(message) = Message::parse(&mut buffer, 1 << 20) else { return false };
    crate::seal_mutate_open::is_seeded(message.payload().as_bytes())
}

/// A clear-text Request passes exactly if configuration and queue allow it, and never if it is an envelope.
fn clear_text(json: &[u8]) {
    let mut allowing = Policy::default();
    allowing.clear_text_messages = true;
    assert!(UnauthenticatedRequest::admit(json, &Policy::default(), false).is_err());
    assert!(UnauthenticatedRequest::admit(json, &allowing, true).is_err());
    match UnauthenticatedRequest::admit(json, &allowing, false) {
        Ok(request) => {
            assert_eq!(request.unauthenticated_json(), json);
            let value: Value = serde_json::from_slice(json).expect("what was admitted is JSON");
            assert!(value.get("message").is_none(), "an envelope is not a clear-text Request");
            assert!(value["experiment"] != Value::Null && value["config"] != Value::Null);
            let headers = UnauthenticatedHeaders::from_request(json).expect("an object has headers");
            assert_eq!(headers.disagreements(json), Ok(Vec::new()), "headers copied from a Request agree with it");
        }
        Err(error) => is_short(&error),
    }
}
