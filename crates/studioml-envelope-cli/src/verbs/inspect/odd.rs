//! What is odd about a message, as far as that shows without a key. None of it is a refusal: that is others' to say.

use base64::{DecodeError, Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Map, Value};
use studioml_envelope::Message;

/// How many members that nobody knows are named.
const MAX_NAMES: usize = 8;
/// How much of a name is shown, in characters.
const MAX_NAME: usize = 64;

/// Everything about an envelope.
pub fn in_envelope(message: &Message<'_>) -> Vec<String> {
    let mut odd = in_payload(message.payload().as_bytes());
    match message.signature() {
        None => odd.push("unsigned: refused by everybody who checks".to_owned()),
        Some(signature) => odd.extend(in_signature(signature)),
    }
    match message.claimed_fingerprint().map(str::parse::<studioml_envelope::Fingerprint>) {
        None => odd.push("no fingerprint: counts as a mismatch".to_owned()),
        Some(Err(error)) => odd.push(format!("fingerprint: {error}")),
        Some(Ok(_)) => {}
    }
    match serde_json::from_slice(&message.to_json()) {
        Ok(Value::Object(around)) => odd.extend(in_members(&around)),
        _ => odd.push("a value in it is not what every parser reads".to_owned()),
    }
    odd
}

/// What is no canonical base64 is noticed by everybody only after the signature; here it is worth a word.
pub fn in_payload(payload: &[u8]) -> Vec<String> {
    let fields = payload.splitn(2, |byte| *byte == b',').zip(["wrapped key", "box"]);
    let not_base64 = |(field, name): (&[u8], &str)| {
        let error = STANDARD.decode(field).err()?;
        let place = match error {
            DecodeError::InvalidByte(at, _) | DecodeError::InvalidLastSymbol { offset: at, .. } => {
                format!(" at byte {at}")
            }
            _ => String::new(), // length and padding concern the field as a whole
        };
        Some(format!("{name}: not canonical base64{place}: it will not open"))
    };
    fields.filter_map(not_base64).collect()
}

fn in_signature(text: &str) -> Option<String> {
    let Ok(bytes) = STANDARD.decode(text) else {
        return Some("signature: not canonical base64: it will not verify".to_owned());
    };
    if is_formed_like_a_signature(&bytes) {
        return None;
    }
    Some(format!("signature: {} bytes in none of the forms that there are: it will not verify", bytes.len()))
}

/// Ed25519 bare and in its SSH form, ECDSA P-256 as DER and in its SSH form (docs/spec.md §3).
fn is_formed_like_a_signature(bytes: &[u8]) -> bool {
    let ssh = |name: &[u8]| bytes.get(4..).is_some_and(|rest| rest.starts_with(name));
    match bytes.len() {
        64 => true,
        8..=72 if bytes.first() == Some(&0x30) => true,
        83 if ssh(b"ssh-ed25519") => true,
        37..=101 => ssh(b"ecdsa-sha2-nistp256"),
        _ => false,
    }
}

fn in_members(around: &Map<String, Value>) -> Vec<String> {
    let message = around.get("message").and_then(Value::as_object);
    let experiment = message.and_then(|message| message.get("experiment"));
    let member = |object: Option<&Value>, name| object.and_then(|object| object.get(name)).cloned();
    let header = |name| message.and_then(|message| message.get(name)).cloned();

    let mut odd = Vec::new();
    for (name, value, wanted, is_wanted) in [
        ("experiment", header("experiment"), "an object", Value::is_object as fn(&Value) -> bool),
        ("experiment.status", member(experiment, "status"), "a string", Value::is_string),
        ("experiment.pythonver", member(experiment, "pythonver"), "a string", Value::is_string),
        ("time_added", header("time_added"), "a number", Value::is_number),
        ("experiment_lifetime", header("experiment_lifetime"), "a string", Value::is_string),
        ("resources_needed", header("resources_needed"), "an object", Value::is_object),
    ] {
        // for headers `null` and missing are both "absent"
        if value.is_some_and(|value| !value.is_null() && !is_wanted(&value)) {
            odd.push(format!("header {name}: not {wanted}"));
        }
    }
    let known_in_message =
        ["experiment", "time_added", "experiment_lifetime", "resources_needed", "payload", "signature", "fingerprint"];
    let unknown = unknown_members("", Some(around), &["message"])
        .chain(unknown_members("message.", message, &known_in_message))
        .chain(unknown_members("message.experiment.", experiment.and_then(Value::as_object), &EXPERIMENT))
        .collect::<Vec<_>>();
    odd.extend(unknown.iter().take(MAX_NAMES).map(|name| format!("unknown member {name}")));
    if let Some(more) = unknown.len().checked_sub(MAX_NAMES).filter(|more| *more > 0) {
        odd.push(format!("and {more} more unknown members"));
    }
    odd
}

/// `pthonver` is a misspelling that is deployed.
const EXPERIMENT: [&str; 3] = ["status", "pythonver", "pthonver"];

fn unknown_members<'m>(
    place: &'m str,
    object: Option<&'m Map<String, Value>>,
    known: &'m [&str],
) -> impl Iterator<Item = String> + 'm {
    let names = object.into_iter().flat_map(Map::keys).filter(|name| !known.contains(&name.as_str()));
    names.map(move |name| format!("{place}{}", name.chars().take(MAX_NAME).collect::<String>()))
}
