//! Clear-text Requests (docs/spec.md §2): let through only where the configuration says so and no key is assigned to the queue.
#![allow(clippy::unwrap_used, reason = "a test stops where something is not as expected")]

mod parties;

use parties::{signed, signer};
use studioml_envelope_core::{ClearTextError, Policy, RequestError, UnauthenticatedRequest};

const REQUEST: &[u8] = br#"{"experiment": {}, "config": {}}"#;

fn allowing() -> Policy {
    let mut policy = Policy::default();
    policy.clear_text_messages = true;
    policy
}

fn admit(json: &[u8]) -> Result<(), ClearTextError> {
    UnauthenticatedRequest::admit(json, &allowing(), false).map(|_| ())
}

#[test]
fn the_configuration_and_the_queue_both_have_a_say() {
    for (policy, queue_has_key, expected) in [
        (Policy::default(), false, Err(ClearTextError::NotAllowed)),
        (Policy::default(), true, Err(ClearTextError::QueueHasKey)),
        (allowing(), true, Err(ClearTextError::QueueHasKey)),
        (allowing(), false, Ok(REQUEST)),
    ] {
        let admitted = UnauthenticatedRequest::admit(REQUEST, &policy, queue_has_key);
        assert_eq!(admitted.map(|request| request.unauthenticated_json()), expected);
    }
}

/// The policy is asked first: what is not admitted is not looked at, so that nothing about the text can be learnt.
#[test]
fn the_text_is_looked_at_last() {
    let refused = UnauthenticatedRequest::admit(b"hello", &Policy::default(), false).map(|_| ());
    assert_eq!(refused, Err(ClearTextError::NotAllowed));
}

#[test]
fn only_a_request_is_admitted() {
    let request = |error| Err(ClearTextError::Request(error));
    assert_eq!(admit(b"hello"), request(RequestError::NotJson { line: 1, column: 1 }));
    assert_eq!(admit(b""), request(RequestError::NotJson { line: 1, column: 1 }));
    assert_eq!(admit(b"[]"), request(RequestError::NotAnObject));
    assert_eq!(admit(b"{}"), request(RequestError::Missing { member: "experiment" }));
    assert_eq!(admit(b"{\"experiment\":{}}"), request(RequestError::Missing { member: "config" }));
}

/// An envelope is never clear text, however it is spelt and whatever stands beside it.
#[test]
fn an_envelope_is_never_taken_for_a_request() {
    let envelope = Err(ClearTextError::Request(RequestError::Envelope));
    assert_eq!(admit(&signed(&*signer(), REQUEST)), envelope);
    for name in ["message", "Message", "MESSAGE", "me\u{17f}\u{17f}age", r"\u006dessage"] {
        let json = format!(r#"{{"experiment": {{}}, "config": {{}}, "{name}": {{"payload": "x"}}}}"#);
        assert_eq!(admit(json.as_bytes()), envelope, "{name}");
    }
}

/// What one parser takes for this Request and another for that one is refused as it is in an envelope.
#[test]
fn duplicates_are_refused() {
    for (json, name) in [
        (r#"{"experiment": {}, "config": {}, "config": {"a": 1}}"#, "config"),
        (r#"{"experiment": {"key": 1, "key": 2}, "config": {}}"#, "key"),
        (r#"{"experiment": {"x": [{"key": 1, "key": 2}]}, "config": {}}"#, "key"),
    ] {
        let duplicate = RequestError::DuplicateMember { name: name.to_owned() };
        assert_eq!(admit(json.as_bytes()), Err(ClearTextError::Request(duplicate)), "{json}");
    }
}

#[test]
fn nesting_and_numbers_have_limits() {
    let limits = Err(ClearTextError::Request(RequestError::Limits { member: "config".to_owned() }));
    let request = |config: &str| admit(format!(r#"{{"experiment": {{}}, "config": {config}}}"#).as_bytes());
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert_eq!(request(&nested(99)), Ok(()));
    assert_eq!(request(&nested(100)), limits);
    assert_eq!(request(&nested(1 << 20)), limits);
    assert_eq!(request("1e400"), limits);
}

#[test]
fn nothing_of_it_is_shown_in_its_debug_form() {
    let policy = allowing();
    let admitted = UnauthenticatedRequest::admit(REQUEST, &policy, false).unwrap();
    assert_eq!(format!("{admitted:?}"), format!("UnauthenticatedRequest({} bytes)", REQUEST.len()));
}
