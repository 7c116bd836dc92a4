//! `inspect`: what a message is made of, without a key and without opening anything.

mod odd;

use serde_json::{Value, json};
use studioml_envelope::{Message, MessageError, Payload, UnauthenticatedHeaders};

use crate::{
    args::{Global, Inspect},
    failure::{Failure, Outcome},
    io::{Limit, print_json, print_line, read_input},
};

/// Shows a message or payload.
pub fn run(global: &Global, inspect: &Inspect) -> Outcome {
    let mut input = read_input(inspect.input.as_deref(), Limit::message(global.max_plaintext))?;
    let report = describe(&mut input)?;
    if global.json {
        return print_json(&report);
    }
    for line in lines(&report) {
        print_line(&line)?;
    }
    Ok(())
}

/// A payload string begins with base64; everything that is JSON begins with a brace after white space.
fn describe(input: &mut [u8]) -> Outcome<Value> {
    let looks_like_json = input.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{');
    if !looks_like_json {
        let payload = Payload::parse_file(input, usize::MAX).map_err(Failure::unusable)?;
        let odd = odd::in_payload(payload.as_bytes());
        return Ok(json!({ "kind": "payload", "payload": sizes(&payload), "odd": odd }));
    }
    match Message::parse(input, usize::MAX) {
        Ok(message) => Ok(describe_message(&message)),
        Err(MessageError::NotAnEnvelope) => {
            let headers = UnauthenticatedHeaders::from_request(input).map_err(Failure::unusable)?;
            Ok(json!({
                "kind": "clear-text request",
                "unauthenticated_headers": header_values(&headers),
                "odd": ["not sealed and not signed: anybody who can write to the queue can have made it"],
            }))
        }
        Err(error) => Err(Failure::unusable(error)),
    }
}

fn describe_message(message: &Message<'_>) -> Value {
    json!({
        "kind": "envelope",
        "payload": sizes(message.payload()),
        "signature": message.signature().map(|text| shortened(text, 128)),
        "claimed_fingerprint": message.claimed_fingerprint().map(|text| shortened(text, 64)),
        "unauthenticated_headers": header_values(message.unauthenticated_headers()),
        "odd": odd::in_envelope(message),
    })
}

fn sizes(payload: &Payload<'_>) -> Value {
    json!({
        "characters": payload.as_bytes().len(),
        "wrapped_key_bytes": payload.wrapped_key_len(),
        "recipient_key_bits": payload.wrapped_key_len() * 8,
        "plaintext_bytes": payload.plaintext_len(),
    })
}

/// A header's text as a value, to be shown. The library takes an object with a member of its own for the text in that: shown
/// as it stands, it deceives nobody.
fn shown(text: &str) -> Value {
    if text.contains("$serde_json::private") {
        return Value::from(text);
    }
    serde_json::from_str(text).unwrap_or_default()
}

fn header_values(headers: &UnauthenticatedHeaders) -> Value {
    let raw = |text: Option<&str>| text.map(shown);
    json!({
        "status": headers.status(),
        "pythonver": headers.python_version(),
        "time_added": raw(headers.time_added()),
        "experiment_lifetime": headers.experiment_lifetime(),
        "resources_needed": raw(headers.resources_needed()),
    })
}

fn shortened(text: &str, characters: usize) -> String {
    text.chars().take(characters).collect()
}

/// The report for people: one `name: value` a line.
fn lines(report: &Value) -> Vec<String> {
    let Some(members) = report.as_object() else { return Vec::new() };
    let mut lines = Vec::new();
    for (name, value) in members {
        match value {
            Value::Object(inner) => {
                let note = if name == "unauthenticated_headers" { "  (clear text, signed by nobody)" } else { "" };
                lines.push(format!("{}:{note}", name.replace('_', " ")));
                let shown = inner.iter().filter(|(_, value)| !value.is_null());
                lines.extend(shown.map(|(name, value)| format!("  {}: {}", name.replace('_', " "), plain(value))));
            }
            Value::Array(notes) => lines.extend(notes.iter().map(|note| format!("{name}: {}", plain(note)))),
            value => lines.push(format!("{}: {}", name.replace('_', " "), plain(value))),
        }
    }
    lines
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.escape_default().to_string(),
        Value::Null => "none".to_owned(),
        other => other.to_string(),
    }
}
