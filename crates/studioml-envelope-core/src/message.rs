//! The message envelope (docs/spec.md §2): JSON around a payload string, read in place.
//!
//! Public all of it, and the attacker's to write. A text that two parsers could read differently is malformed: duplicate
//! members at any level, and names that deployed Go, which folds case, would take for `message`, `payload`, `signature` or
//! `fingerprint`.

use core::ops::Range;

use serde_json::value::RawValue;

use crate::{
    ClearTextError, Fingerprint, FingerprintClaim, FingerprintPolicy, MessageError, Payload, Policy, Provider,
    Recipient, RequestError, SealError, SigningKey, TrustedSigner, UnauthenticatedHeaders, Verified, VerifyError,
    headers::{HEADER_DEPTH, checked_object},
    json::{self, Member},
    payload::{append_sealed, refuse_too_long},
    verify::{MESSAGE_FINGERPRINT_FORM, find_signer},
};

/// A message envelope, parsed: nothing in it has been verified.
///
/// It borrows the caller's buffer, in which its payload will be opened. Headers, signature and fingerprint are copies;
/// members that this version does not know are kept for [`to_json`](Self::to_json), numbers as the text they came as.
#[derive(Debug)]
pub struct Message<'a> {
    payload: Payload<'a>,
    signature: Option<String>,
    fingerprint: Option<String>,
    headers: UnauthenticatedHeaders,
    kept: Kept,
}

/// What [`Message::to_json`] needs beside the payload.
#[derive(Debug)]
struct Kept {
    /// The members of `message` in their order; the payload, which is written afresh, without a value.
    message: Vec<(String, Option<Box<RawValue>>)>,
    /// The members beside `message`.
    beside: Vec<(String, Option<Box<RawValue>>)>,
}

/// The parts of a parsed envelope that do not borrow its text.
struct Parts {
    payload: Range<usize>,
    /// The payload string where JSON escapes stood in it.
    unescaped: Option<String>,
    signature: Option<String>,
    fingerprint: Option<String>,
    headers: UnauthenticatedHeaders,
    kept: Kept,
}

impl<'a> Message<'a> {
    /// Parses an envelope in the caller's buffer. Trailing white space is allowed, as JSON allows it.
    ///
    /// `max_plaintext` is the largest plaintext in bytes that is let through. Memory: copies of everything but the payload
    /// (and a copy of the payload where its JSON string has escapes). On success with such escapes the payload's place in
    /// the buffer holds the unescaped text.
    ///
    /// # Errors
    /// [`MessageError::NotAnEnvelope`] if there is no member `message` (a clear-text Request, perhaps: see
    /// [`UnauthenticatedRequest`]); every other [`MessageError`] if it is malformed.
    pub fn parse(json: &'a mut [u8], max_plaintext: usize) -> Result<Self, MessageError> {
        let parts = read(json, max_plaintext)?;
        let Range { start, .. } = parts.payload;
        let mut range = parts.payload;
        if let Some(unescaped) = &parts.unescaped {
            // unescaping never lengthens, so the text fits where its escaped form stood
            range = start..start.saturating_add(unescaped.len());
            let place = json.get_mut(range.clone()).ok_or(MessageError::PayloadMissing)?;
            place.copy_from_slice(unescaped.as_bytes());
        }
        let payload = json.get_mut(range).ok_or(MessageError::PayloadMissing)?;
        Ok(Self {
            payload: Payload::parse(payload, max_plaintext)?,
            signature: parts.signature,
            fingerprint: parts.fingerprint,
            headers: parts.headers,
            kept: parts.kept,
        })
    }

    /// The payload, its structure checked.
    #[must_use]
    pub const fn payload(&self) -> &Payload<'a> {
        &self.payload
    }

    /// The member `signature` as it came: base64, unchecked. Absent, `null` and empty are all `None`.
    #[must_use]
    pub fn signature(&self) -> Option<&str> {
        self.signature.as_deref()
    }

    /// The member `fingerprint` as it came, a claim. Absent, `null` and empty are all `None`.
    #[must_use]
    pub fn claimed_fingerprint(&self) -> Option<&str> {
        self.fingerprint.as_deref()
    }

    /// The clear-text headers, which nobody has signed.
    #[must_use]
    pub const fn unauthenticated_headers(&self) -> &UnauthenticatedHeaders {
        &self.headers
    }

    /// Verifies the signature under the keys held for the queue, and the claimed fingerprint under the policy.
    ///
    /// # Errors
    /// [`VerifyError`]. An unsigned message is refused, whatever the policy.
    pub fn verify<S: AsRef<TrustedSigner>>(self, trusted: &[S], policy: &Policy) -> Result<Verified<'a>, VerifyError> {
        if trusted.is_empty() {
            return Err(VerifyError::NoKey);
        }
        let signature = self.signature.as_deref().ok_or(VerifyError::Unsigned)?;
        let claimed = self.fingerprint.as_deref().map(str::parse::<Fingerprint>);
        let hint = claimed.as_ref().and_then(|parsed| parsed.as_ref().ok());
        let signer = find_signer(self.payload.as_bytes(), signature, hint, trusted)?;

        let claim = match &claimed {
            None => FingerprintClaim::Missing,
            Some(Ok(fingerprint)) if signer.is_named_by(fingerprint) => FingerprintClaim::Matches,
            Some(_) => FingerprintClaim::Differs,
        };
        match (claim, policy.fingerprint) {
            (FingerprintClaim::Missing, FingerprintPolicy::Refuse) => Err(VerifyError::FingerprintMissing),
            (FingerprintClaim::Differs, FingerprintPolicy::Refuse) => Err(VerifyError::FingerprintMismatch),
            _ => Ok(Verified::new(self.payload, signer, claim)),
        }
    }

    /// Gives up the envelope for its payload, to be opened without a signature check.
    #[must_use]
    pub fn into_payload_unverified(self) -> Payload<'a> {
        self.payload
    }

    /// The message as JSON again: every member with its value as it came, those this version does not know included.
    /// `message` comes first; its members keep their order.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.payload.as_bytes().len().saturating_add(1024));
        out.extend_from_slice(b"{\"message\":{");
        put_members(&mut out, &self.kept.message, self.payload.as_bytes());
        out.push(b'}');
        if !self.kept.beside.is_empty() {
            out.push(b',');
            put_members(&mut out, &self.kept.beside, &[]);
        }
        out.push(b'}');
        out
    }
}

/// Writes members, separated by commas. The one without a value of its own is the payload, as a JSON string: that it is
/// base64 and a comma shows only when it is opened, and a quotation mark in it must not begin another member here.
fn put_members(out: &mut Vec<u8>, members: &[(String, Option<Box<RawValue>>)], payload: &[u8]) {
    for (index, (name, value)) in members.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        out.extend_from_slice(serde_json::Value::from(name.as_str()).to_string().as_bytes());
        out.push(b':');
        match value {
            Some(value) => out.extend_from_slice(value.get().as_bytes()),
            None => {
                let written = serde_json::to_writer(&mut *out, &String::from_utf8_lossy(payload));
                debug_assert!(written.is_ok(), "a Vec takes all that is written");
            }
        }
    }
}

/// Reads everything out of an envelope's text.
fn read(json: &[u8], max_plaintext: usize) -> Result<Parts, MessageError> {
    let text = core::str::from_utf8(json).map_err(|error| not_utf8(json, error.valid_up_to()))?;
    let (around, members) = json::object_members_within(text, "message")?;
    refuse_case_variants(&around, &["message"])?;
    let members = members.ok_or(MessageError::NotAnEnvelope)?;
    refuse_case_variants(&members, &["payload", "signature", "fingerprint"])?;
    for member in &around {
        json::check_members_unique(member, 1)?;
    }
    // the payload is looked at below, and is too large to be walked twice
    for member in members.iter().filter(|member| member.name != "payload") {
        json::check_members_unique(member, HEADER_DEPTH)?;
    }

    let find = |name| members.iter().find(|member| member.name == name).map(|member| member.value);
    let payload = find("payload").ok_or(MessageError::PayloadMissing)?;
    let quoted = payload.get();
    let inner = quoted
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
        .ok_or(MessageError::NotAString { member: "payload" })?;
    let unescaped = unescape(payload, inner, max_plaintext)?;
    // where the string stands in the text it was borrowed from
    let start = (inner.as_ptr() as usize).saturating_sub(text.as_ptr() as usize);

    let optional_string = |member: &'static str| -> Result<Option<String>, MessageError> {
        match find(member) {
            None => Ok(None),
            Some(value) if value.get() == "null" => Ok(None),
            Some(value) => {
                let text = json::as_string(value).ok_or(MessageError::NotAString { member })?;
                Ok(Some(text).filter(|text| !text.is_empty()))
            }
        }
    };
    Ok(Parts {
        payload: start..start.saturating_add(inner.len()),
        unescaped,
        signature: optional_string("signature")?,
        fingerprint: optional_string("fingerprint")?,
        headers: UnauthenticatedHeaders::from_members(
            members.iter().map(|member| (member.name.as_str(), member.value)),
        ),
        kept: Kept { message: keep(&members, Some("payload")), beside: keep(&around, None) },
    })
}

/// The payload without its escapes, where it has any. One that is longer than a payload may be is refused before it is copied.
fn unescape(payload: &RawValue, inner: &str, max_plaintext: usize) -> Result<Option<String>, MessageError> {
    let backslashes = memchr::memchr_iter(b'\\', inner.as_bytes()).count();
    if backslashes == 0 {
        return Ok(None);
    }
    // an escape is at most six characters for one
    let length = inner.len().saturating_sub(backslashes.saturating_mul(5));
    refuse_too_long(length, max_plaintext)?;
    let lone_surrogate = || MessageError::LoneSurrogate { member: "payload".to_owned() };
    json::as_string(payload).ok_or_else(lone_surrogate).map(Some)
}

/// Copies the members, all but the value of the one that is written afresh.
fn keep(members: &[Member<'_>], without: Option<&str>) -> Vec<(String, Option<Box<RawValue>>)> {
    let value = |member: &Member<'_>| (Some(member.name.as_str()) != without).then(|| member.value.to_owned());
    members.iter().map(|member| (member.name.clone(), value(member))).collect()
}

/// Refuses names that deployed Go takes for one of `meant`.
fn refuse_case_variants(members: &[Member<'_>], meant: &[&'static str]) -> Result<(), MessageError> {
    for member in members {
        let folded = folded(&member.name);
        if let Some(means) = meant.iter().find(|means| **means == folded && **means != member.name) {
            return Err(MessageError::CaseVariant { name: json::shortened(&member.name), means });
        }
    }
    Ok(())
}

/// A name as Go's `encoding/json` compares it: it folds case as Unicode does, where the long s (U+017F) is an s and the
/// Kelvin sign (U+212A) a k.
fn folded(name: &str) -> String {
    let fold = |c: char| match c {
        '\u{17f}' => 's',
        '\u{212a}' => 'k',
        c => c.to_ascii_lowercase(),
    };
    name.chars().map(fold).collect()
}

/// What is wrong with a clear-text Request, in its own words. That it is an object has been seen.
fn not_clear_text(member: &str, error: MessageError) -> RequestError {
    match error {
        MessageError::DuplicateMember { name } => RequestError::DuplicateMember { name },
        _ => RequestError::Limits { member: json::shortened(member) },
    }
}

fn not_utf8(json: &[u8], at: usize) -> MessageError {
    let before = json.get(..at).unwrap_or_default();
    let line = before.iter().filter(|byte| **byte == b'\n').count().saturating_add(1);
    let column = before.iter().rev().take_while(|byte| **byte != b'\n').count().saturating_add(1);
    MessageError::NotJson { line, column }
}

/// Writes an envelope: seals `plaintext` for `recipient` and, with `signer`, signs the payload string.
///
/// The payload is sealed straight into the JSON text: one allocation of its size. Headers come first, as clients write
/// them, then `payload`, `signature` and `fingerprint`. Without a signer the message will be refused by everybody who
/// checks; [`crate::VerifyError::Unsigned`] is what they say.
///
/// # Errors
/// [`SealError`].
pub fn seal_envelope(
    provider: &Provider,
    recipient: &dyn Recipient,
    signer: Option<&dyn SigningKey>,
    headers: &UnauthenticatedHeaders,
    plaintext: &[u8],
    max_plaintext: usize,
) -> Result<Vec<u8>, SealError> {
    let mut before = String::from("{\"message\":{");
    for (name, value) in headers.members() {
        before.push_str(&format!("\"{name}\":{value},"));
    }
    before.push_str("\"payload\":\"");

    // room for `signature` and `fingerprint` too, so that the text is never moved
    const ROOM_AFTER: usize = 256;
    let start = before.len();
    let mut out = before.into_bytes();
    append_sealed(provider, recipient, plaintext, max_plaintext, &mut out, ROOM_AFTER)?;
    let payload = out.get(start..).unwrap_or_default();

    let mut after = String::from("\"");
    if let Some(signer) = signer {
        let signature = signer.sign(payload, provider.random)?.to_base64();
        let fingerprint = Fingerprint::of(&(*signer.public_key()).into(), MESSAGE_FINGERPRINT_FORM, provider.digest);
        after.push_str(&format!(",\"signature\":\"{signature}\",\"fingerprint\":\"{fingerprint}\""));
    }
    after.push_str("}}");
    out.extend_from_slice(after.as_bytes());
    Ok(out)
}

/// A clear-text Request: a JSON object without a member `message`, which anybody who can write to the queue can have made.
pub struct UnauthenticatedRequest<'p> {
    json: &'p [u8],
}

impl<'p> UnauthenticatedRequest<'p> {
    /// Lets a clear-text Request through, if the policy allows it and no signing key is assigned to the queue ("once a key
    /// has been assigned messages must have a valid signature").
    ///
    /// # Errors
    /// [`ClearTextError`]; the policy is asked before the text is looked at.
    pub fn admit(json: &'p [u8], policy: &Policy, queue_has_key: bool) -> Result<Self, ClearTextError> {
        if queue_has_key {
            return Err(ClearTextError::QueueHasKey);
        }
        if !policy.clear_text_messages {
            return Err(ClearTextError::NotAllowed);
        }
        let text = checked_object(json)?;
        let members = json::object_members(text).map_err(|error| not_clear_text("", error))?;
        if members.iter().any(|member| folded(&member.name) == "message") {
            return Err(RequestError::Envelope.into());
        }
        // nobody has signed this: what two parsers read differently is refused, as it is in an envelope
        for member in &members {
            json::check_members_unique(member, 1).map_err(|error| not_clear_text(&member.name, error))?;
        }
        let needed = ["experiment", "config"];
        for (member, found) in needed.into_iter().zip(json::members(text, needed)) {
            if found.is_none() {
                return Err(RequestError::Missing { member }.into());
            }
        }
        Ok(Self { json })
    }

    /// The Request as it came. The name is the warning.
    #[must_use]
    pub const fn unauthenticated_json(&self) -> &'p [u8] {
        self.json
    }
}

impl core::fmt::Debug for UnauthenticatedRequest<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "UnauthenticatedRequest({} bytes)", self.json.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_that_is_no_base64_is_written_again_as_one_string() {
        let (key, boxed) = ("A".repeat(341), "A".repeat(60));
        // where the comma is, the text ends and another member begins; each field keeps a length that base64 has
        for comma in [r#"AA\",\"signature\":\"bad"#, r"\n\u0000\u007f,\\\\AA", "\u{e9}A,\u{e9}AA"] {
            let text = format!(r#"{{"message":{{"payload":"{key}{comma}{boxed}","signature":"good"}}}}"#);
            let mut json = text.clone().into_bytes();
            let message = Message::parse(&mut json, 1024).unwrap();
            let before: serde_json::Value = serde_json::from_str(&text).unwrap();
            let again: serde_json::Value = serde_json::from_slice(&message.to_json()).unwrap();
            assert_eq!(again, before);
            assert_eq!(again["message"]["signature"], "good");
        }
    }
}
