//! The message envelope (docs/spec.md §2): strict JSON, members that are kept, what is signed and what is claimed.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test stops where something is not as expected")]

mod parties;

use parties::{
    PROVIDER, envelope, identities, other_signer, p256_signer, public, recipient, replaced, shaped, signed, signer,
    trusted,
};
use studioml_envelope_core::{
    DEFAULT_MAX_PLAINTEXT, Fingerprint, FingerprintClaim, FingerprintForm, FingerprintPolicy, Message, MessageError,
    Payload, PayloadError, Policy, RequestError, SignatureError, TrustedSigner, UnauthenticatedHeaders, VerifyError,
    seal_envelope, sealed_len,
};

const REQUEST: &[u8] = br#"{"experiment": {"time_added": 1.5}, "config": {}}"#;

fn parse(json: &[u8]) -> Result<(), MessageError> {
    Message::parse(&mut json.to_vec(), DEFAULT_MAX_PLAINTEXT).map(|_| ())
}

/// Parses a message with these members beside its payload.
fn beside_payload(members: &str) -> Result<(), MessageError> {
    parse(&envelope(&format!(r#""payload":"{}"{}{members}"#, shaped(), if members.is_empty() { "" } else { "," })))
}

fn duplicate(name: &str) -> Result<(), MessageError> {
    Err(MessageError::DuplicateMember { name: name.to_owned() })
}

fn case_variant(name: &str, means: &'static str) -> Result<(), MessageError> {
    Err(MessageError::CaseVariant { name: name.to_owned(), means })
}

#[test]
fn what_is_no_json_says_where() {
    for (text, line, column) in [
        (&b""[..], 1, 1),
        (b"   ", 1, 3),
        (b"hello", 1, 1),
        (b"\xef\xbb\xbf{}", 1, 1),
        (b"{\"message\": }", 1, 13),
        (b"{\n  \"message\": {\n    x", 3, 5),
        (b"{\"a\": NaN}", 1, 7),
        (b"{\"a\": 'b'}", 1, 7),
        (b"{\"a\": 1,}", 1, 9),
        (b"{\"a\": 01}", 1, 8),
        (b"{\"a\": \"\xff\"}", 1, 8),
        (b"{\n\"a\": \"\xff\"}", 2, 7),
    ] {
        assert_eq!(parse(text), Err(MessageError::NotJson { line, column }), "{}", String::from_utf8_lossy(text));
    }
    let after = [&envelope(&format!(r#""payload":"{}""#, shaped()))[..], b"x"].concat();
    assert_eq!(parse(&after), Err(MessageError::NotJson { line: 1, column: after.len() }));
}

#[test]
fn white_space_may_stand_around_it() {
    let json = [b" \r\n\t", &envelope(&format!(r#" "payload" : "{}" "#, shaped()))[..], b"\r\n \n"].concat();
    assert_eq!(parse(&json), Ok(()));
}

#[test]
fn what_is_no_object_is_named() {
    for text in ["1", "null", "true", "\"message\"", "[]", "[{\"message\":{}}]"] {
        assert_eq!(parse(text.as_bytes()), Err(MessageError::NotAnObject { what: "the top level" }), "{text}");
    }
    for value in ["1", "null", "true", "\"\"", "[]", "[1]"] {
        let text = format!(r#"{{"message":{value}}}"#);
        assert_eq!(parse(text.as_bytes()), Err(MessageError::NotAnObject { what: "\"message\"" }), "{text}");
    }
}

#[test]
fn without_a_message_it_is_no_envelope_and_without_a_payload_malformed() {
    assert_eq!(parse(b"{}"), Err(MessageError::NotAnEnvelope));
    assert_eq!(parse(REQUEST), Err(MessageError::NotAnEnvelope));
    assert_eq!(parse(&envelope("")), Err(MessageError::PayloadMissing));
    for value in ["null", "1", "true", "[]", "{}", "[\"AAAA,BBBB\"]"] {
        let json = envelope(&format!(r#""payload":{value}"#));
        assert_eq!(parse(&json), Err(MessageError::NotAString { member: "payload" }), "{value}");
    }
    let json = envelope(r#""payload":"""#);
    assert_eq!(parse(&json), Err(MessageError::Payload(PayloadError::Fields { fields: 1 })));
}

/// 65,536 of the two outer objects together, and as many within the value of a member.
#[test]
fn members_are_taken_up_to_a_limit() {
    let members = |count: usize| (0..count).map(|number| format!("\"{number}\":0")).collect::<Vec<_>>().join(",");
    assert_eq!(beside_payload(&members(65_534)), Ok(()));
    assert_eq!(beside_payload(&members(65_535)), Err(MessageError::TooManyMembers));
    let within = |count| beside_payload(&format!("\"others\":{{{}}}", members(count)));
    assert_eq!(within(65_536), Ok(()));
    assert_eq!(within(65_537), Err(MessageError::TooManyMembers));
}

#[test]
fn signature_and_fingerprint_are_strings_or_absent() {
    for member in ["signature", "fingerprint"] {
        for value in ["1", "true", "[]", "{}", "[\"x\"]"] {
            assert_eq!(beside_payload(&format!(r#""{member}":{value}"#)), Err(MessageError::NotAString { member }));
        }
        for value in ["null", "\"\"", "\"x\""] {
            assert_eq!(beside_payload(&format!(r#""{member}":{value}"#)), Ok(()), "{value}");
        }
    }
}

#[test]
fn duplicates_are_refused_at_every_level() {
    let payload = shaped();
    assert_eq!(beside_payload(r#""payload":"AAAA,BBBB""#), duplicate("payload"));
    assert_eq!(beside_payload(r#""signature":"a","signature":"a""#), duplicate("signature"));
    assert_eq!(beside_payload(r#""a":1,"a":1"#), duplicate("a"));
    assert_eq!(beside_payload(r#""experiment":{"status":1,"status":2}"#), duplicate("status"));
    assert_eq!(beside_payload(r#""x":[[{"y":{"z":0,"z":0}}]]"#), duplicate("z"));
    // an escape is another spelling of the same name
    assert_eq!(beside_payload(r#""a":1,"\u0061":1"#), duplicate("a"));
    assert_eq!(beside_payload(r#""pay\u006coad":"AAAA,BBBB""#), duplicate("payload"));
    let twice = format!(r#"{{"message":{{"payload":"{payload}"}},"message":{{"payload":"{payload}"}}}}"#);
    assert_eq!(parse(twice.as_bytes()), duplicate("message"));
    let around = format!(r#"{{"message":{{"payload":"{payload}"}},"b":1,"b":1}}"#);
    assert_eq!(parse(around.as_bytes()), duplicate("b"));
    let deeper = format!(r#"{{"message":{{"payload":"{payload}"}},"b":{{"c":[{{"d":1,"d":1}}]}}}}"#);
    assert_eq!(parse(deeper.as_bytes()), duplicate("d"));
    // the same name at another place is none
    assert_eq!(beside_payload(r#""a":{"a":{"a":1}},"b":[{"a":1},{"a":1}]"#), Ok(()));
    // a long name is cut in the error
    let long = "n".repeat(1000);
    assert_eq!(beside_payload(&format!(r#""{long}":1,"{long}":1"#)), duplicate(&"n".repeat(64)));
}

#[test]
fn names_that_deployed_parsers_take_for_others_are_refused() {
    let payload = shaped();
    for name in ["PAYLOAD", "Payload", "payloaD"] {
        assert_eq!(beside_payload(&format!(r#""{name}":"x""#)), case_variant(name, "payload"));
        assert_eq!(parse(&envelope(&format!(r#""{name}":"{payload}""#))), case_variant(name, "payload"));
    }
    assert_eq!(beside_payload(r#""Signature":"x""#), case_variant("Signature", "signature"));
    assert_eq!(beside_payload(r#""FINGERPRINT":"x""#), case_variant("FINGERPRINT", "fingerprint"));
    // Go folds the long s to s; the Kelvin sign to k, which none of the names has
    assert_eq!(beside_payload("\"\u{17f}ignature\":\"x\""), case_variant("\u{17f}ignature", "signature"));
    assert_eq!(beside_payload(r#""\u017fignature":"x""#), case_variant("\u{17f}ignature", "signature"));
    for name in ["MESSAGE", "Message", "me\u{17f}sage", "mes\u{17f}age", "ME\u{17f}\u{17f}AGE"] {
        let alone = format!(r#"{{"{name}":{{"payload":"{payload}"}}}}"#);
        assert_eq!(parse(alone.as_bytes()), case_variant(name, "message"));
        let beside = format!(r#"{{"message":{{"payload":"{payload}"}},"{name}":1}}"#);
        assert_eq!(parse(beside.as_bytes()), case_variant(name, "message"));
    }
    // what only looks alike is an unknown member: the Kelvin sign is no other letter, and nobody folds these
    for name in ["\u{212a}", "p\u{430}yload", "s\u{131}gnature", "payload ", "message", "ﬁngerprint"] {
        assert_eq!(beside_payload(&format!(r#""{name}":"x""#)), Ok(()), "{name}");
    }
}

#[test]
fn nesting_stops_at_100_levels() {
    let arrays = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let objects = |depth: usize| format!("{}1{}", r#"{"a":"#.repeat(depth), "}".repeat(depth));
    // `message` is the first level, its members' values stand on the second
    for nested in [arrays, objects] {
        assert_eq!(beside_payload(&format!(r#""x":{}"#, nested(98))), Ok(()));
        assert_eq!(beside_payload(&format!(r#""x":{}"#, nested(99))), Err(MessageError::TooDeep));
        assert_eq!(beside_payload(&format!(r#""x":{}"#, nested(100_000))), Err(MessageError::TooDeep));
        let around = |depth| format!(r#"{{"message":{{"payload":"{}"}},"x":{}}}"#, shaped(), nested(depth));
        assert_eq!(parse(around(99).as_bytes()), Ok(()));
        assert_eq!(parse(around(100).as_bytes()), Err(MessageError::TooDeep));
    }
}

#[test]
fn a_million_levels_do_not_end_the_stack_wherever_they_stand() {
    let deep = "[".repeat(1 << 20);
    for text in [
        deep.clone(),
        format!(r#"{{"message":{deep}"#),
        format!(r#"{{"message":{{"payload":{deep}"#),
        format!(r#"{{"message":{{"payload":{deep}{}}}}}"#, "]".repeat(1 << 20)),
        r#"{"message":"#.repeat(1 << 17),
    ] {
        assert!(parse(text.as_bytes()).is_err());
    }
}

#[test]
fn escapes_in_a_payload_are_another_spelling_of_it() {
    let good = signed(&*signer(), REQUEST);
    let message = Message::parse(&mut good.clone(), DEFAULT_MAX_PLAINTEXT).unwrap().payload().as_bytes().to_vec();
    let payload = String::from_utf8(message).unwrap();
    let escape = |from: char, to: &str| replaced(&good, &payload, &payload.replace(from, to));
    let every: String = payload.chars().map(|c| format!("\\u{:04x}", u32::from(c))).collect();
    for (what, mut json) in [
        ("solidus", escape('/', r"\/")),
        ("plus", escape('+', r"\u002b")),
        ("upper-case digits", escape('+', r"\u002B")),
        ("comma", escape(',', r"\u002c")),
        ("every character", replaced(&good, &payload, &every)),
    ] {
        let message = Message::parse(&mut json, DEFAULT_MAX_PLAINTEXT).unwrap();
        assert_eq!(message.payload().as_bytes(), payload.as_bytes(), "{what}");
        let emitted = message.to_json();
        assert!(String::from_utf8(emitted).unwrap().contains(&payload), "{what}");
        let verified = message.verify(&[trusted(&*signer())], &Policy::default()).unwrap();
        assert_eq!(verified.open(&PROVIDER, &identities()).unwrap().plaintext(), REQUEST, "{what}");
    }
    // escapes that give what no payload holds
    for (escaped, parses) in [(r"\n", false), (r"\u0000", true), (r"\ud800", false), (r"\ud83d\ude00", true)] {
        let json = envelope(&format!(r#""payload":"{}{escaped}""#, shaped()));
        let outcome = parse(&json);
        assert!(outcome.is_err() || parses, "{escaped}: {outcome:?}");
    }
}

#[test]
fn escapes_in_signature_and_fingerprint_are_another_spelling_too() {
    let json = String::from_utf8(signed(&*signer(), REQUEST)).unwrap();
    let (front, after) = json.split_once("\"signature\"").unwrap();
    let escaped = after.replace('/', r"\/").replace('+', r"\u002b").replace("SHA256:", r"\u0053HA256\u003a");
    let mut json = format!("{front}\"signature\"{escaped}").into_bytes();
    let message = Message::parse(&mut json, DEFAULT_MAX_PLAINTEXT).unwrap();
    let verified = message.verify(&[trusted(&*signer())], &Policy::default()).unwrap();
    assert_eq!(verified.verification().claim, FingerprintClaim::Matches);
}

#[test]
fn an_unsigned_message_is_refused_whatever_the_policy() {
    let mut lenient = Policy::default();
    lenient.fingerprint = FingerprintPolicy::Warn;
    lenient.clear_text_messages = true;
    for signature in ["", r#","signature":null"#, r#","signature":"""#] {
        let json = envelope(&format!(r#""payload":"{}"{signature}"#, shaped()));
        for policy in [&Policy::default(), &lenient] {
            let mut json = json.clone();
            let message = Message::parse(&mut json, DEFAULT_MAX_PLAINTEXT).unwrap();
            assert_eq!(message.signature(), None);
            assert_eq!(message.verify(&[trusted(&*signer())], policy).unwrap_err(), VerifyError::Unsigned);
        }
    }
}

#[test]
fn without_a_key_nothing_verifies() {
    let mut json = signed(&*signer(), REQUEST);
    let message = Message::parse(&mut json, DEFAULT_MAX_PLAINTEXT).unwrap();
    let nobody: [studioml_envelope_core::TrustedSigner; 0] = [];
    assert_eq!(message.verify(&nobody, &Policy::default()).unwrap_err(), VerifyError::NoKey);
}

#[test]
fn any_of_several_keys_verifies_and_a_fingerprint_excludes_none() {
    let (old, new, p256) = (other_signer(), signer(), p256_signer());
    let held = [trusted(&*old), trusted(&*p256), trusted(&*new)];
    for signing in [&old, &new, &p256] {
        let mut json = signed(&**signing, REQUEST);
        let message = Message::parse(&mut json, DEFAULT_MAX_PLAINTEXT).unwrap();
        let verified = message.verify(&held, &Policy::default()).unwrap();
        assert_eq!(&verified.verification().signer, signing.public_key());
        assert_eq!(&verified.verification().fingerprint, trusted(&**signing).fingerprint());
    }
}

/// A message signed by one key with a fingerprint of one's choice.
fn claiming(fingerprint: Option<&str>) -> Vec<u8> {
    let json = signed(&*signer(), REQUEST);
    let own = format!("\"fingerprint\":\"{}\"", trusted(&*signer()).fingerprint());
    match fingerprint {
        None => replaced(&json, &format!(",{own}"), ""),
        Some(claimed) => replaced(&json, &own, &format!("\"fingerprint\":{claimed}")),
    }
}

#[test]
fn a_false_claim_of_identity_is_refused_or_told_as_the_policy_says() {
    let mut warn = Policy::default();
    warn.fingerprint = FingerprintPolicy::Warn;
    let other = trusted(&*other_signer()).fingerprint().to_string();
    let own = Fingerprint::all_of(&public(signer().public_key()), PROVIDER.digest);
    let quoted = |text: &str| Some(format!("\"{text}\""));
    let mut claims = vec![
        (None, FingerprintClaim::Missing),
        (Some("null".to_owned()), FingerprintClaim::Missing),
        (quoted(""), FingerprintClaim::Missing),
        (quoted(&other), FingerprintClaim::Differs),
        (quoted("x"), FingerprintClaim::Differs),
        (quoted("MD5:5b:74:e2:f4:21:ba:68:6f:bc:f6:fb:e7:92:c8:a3:23"), FingerprintClaim::Differs),
        (quoted(&format!("{}=", own[0])), FingerprintClaim::Differs),
    ];
    claims.extend(own.iter().map(|form| (quoted(&form.to_string()), FingerprintClaim::Matches)));
    assert_eq!(FingerprintForm::ALL.len(), own.len());
    // the other key is held as well: that it exists does not make the claim true
    let held = [trusted(&*other_signer()), trusted(&*signer())];
    for (claimed, expected) in claims {
        let json = claiming(claimed.as_deref());
        let verified = |policy| {
            let mut json = json.clone();
            let message = Message::parse(&mut json, DEFAULT_MAX_PLAINTEXT).unwrap();
            message.verify(&held, policy).map(|verified| verified.verification().clone())
        };
        let told = verified(&warn).unwrap();
        assert_eq!((told.claim, told.signer), (expected, *signer().public_key()), "{claimed:?}");
        let refused = match expected {
            FingerprintClaim::Missing => Err(VerifyError::FingerprintMissing),
            FingerprintClaim::Differs => Err(VerifyError::FingerprintMismatch),
            _ => Ok(told),
        };
        assert_eq!(verified(&Policy::default()), refused, "{claimed:?}");
    }
}

#[test]
fn a_bare_payload_makes_no_claim() {
    let mut json = signed(&*signer(), REQUEST);
    let message = Message::parse(&mut json, DEFAULT_MAX_PLAINTEXT).unwrap();
    let signature = message.signature().unwrap().to_owned();
    let verified = message.into_payload_unverified().verify(&signature, &[trusted(&*signer())]).unwrap();
    assert_eq!(verified.verification().claim, FingerprintClaim::NotMade);
}

#[test]
fn members_are_emitted_as_they_came() {
    let members = r#""experiment": {"status" : "waiting"},"time_added":1530054413.134781000,"exotic":[1e300,-0.0,{"k":"\u00e9"}],"payload""#;
    let json = format!("{{\"x\": 1.10, \"message\": {{{members}:\"{}\"}}, \"y\": null}}", shaped());
    let emitted = Message::parse(&mut json.into_bytes(), DEFAULT_MAX_PLAINTEXT).map(|message| message.to_json());
    let expected = format!(
        "{{\"message\":{{\"experiment\":{{\"status\" : \"waiting\"}},\"time_added\":1530054413.134781000,\"exotic\":[1e300,-0.0,{{\"k\":\"\\u00e9\"}}],\"payload\":\"{}\"}},\"x\":1.10,\"y\":null}}",
        shaped()
    );
    assert_eq!(emitted.map(|json| String::from_utf8(json).unwrap()), Ok(expected));
}

/// What a scheduler looks at stands in the envelope as the Request has it.
#[test]
fn headers_are_written_before_the_payload_in_the_order_of_clients() {
    let request =
        br#"{"experiment":{"status":"waiting","pythonver":"3.8","time_added":1.50,"resources_needed":{"cpus":1}},
        "config":{"experimentLifetime":"30m"}}"#;
    let headers = UnauthenticatedHeaders::from_request(request).unwrap();
    let json =
        seal_envelope(&PROVIDER, &*recipient(), Some(&*signer()), &headers, request, DEFAULT_MAX_PLAINTEXT).unwrap();
    let text = String::from_utf8(json.clone()).unwrap();
    let expected = r#"{"message":{"experiment":{"status":"waiting","pythonver":"3.8"},"time_added":1.50,"experiment_lifetime":"30m","resources_needed":{"cpus":1},"payload":""#;
    assert!(text.starts_with(expected), "{}", text.get(..expected.len()).unwrap_or(&text));
    let mut json = json;
    let message = Message::parse(&mut json, DEFAULT_MAX_PLAINTEXT).unwrap();
    assert_eq!(message.unauthenticated_headers().status().as_deref(), Some("waiting"));
    assert_eq!(message.unauthenticated_headers().disagreements(request), Ok(Vec::new()));
}

/// Python reads infinity, Go refuses: two parsers, two messages.
#[test]
fn a_number_that_no_float_holds_is_refused_with_its_member() {
    let too_large = |member: &str| Err(MessageError::NumberTooLarge { member: member.to_owned() });
    assert_eq!(beside_payload(r#""time_added":1e400"#), too_large("time_added"));
    assert_eq!(beside_payload(r#""x":[{"y":-1e309}]"#), too_large("x"));
    let around = format!(r#"{{"message":{{"payload":"{}"}},"z":1e400}}"#, shaped());
    assert_eq!(parse(around.as_bytes()), too_large("z"));
    for number in ["1e308", "-1.7e308", "1e-400", "123456789012345678901234567890", "0.1234567890123456789"] {
        assert_eq!(beside_payload(&format!(r#""x":{number}"#)), Ok(()), "{number}");
    }
}

/// Go and JavaScript make U+FFFD of it, Python keeps it: two parsers, two messages.
#[test]
fn half_of_a_surrogate_pair_is_refused_with_its_member() {
    let lone = |member: &str| Err(MessageError::LoneSurrogate { member: member.to_owned() });
    assert_eq!(beside_payload(r#""x":"\ud800""#), lone("x"));
    assert_eq!(beside_payload(r#""x":[{"\udc00":1}]"#), lone("x"));
    assert_eq!(beside_payload(r#""signature":"\ud800x""#), lone("signature"));
    assert_eq!(parse(&envelope(r#""payload":"\udfff""#)), lone("payload"));
    assert_eq!(beside_payload(r#""x":"\ud83d\ude00""#), Ok(()));
}

#[test]
fn an_escaped_payload_is_as_long_as_it_is_without_its_escapes() {
    let escaped: String = shaped().bytes().map(|byte| format!("\\u{byte:04x}")).collect();
    let escaped = envelope(&format!(r#""payload":"{escaped}""#));
    let parse =
        |maximum| Message::parse(&mut escaped.clone(), maximum).map(|message| message.payload().plaintext_len());
    let length = parse(DEFAULT_MAX_PLAINTEXT).unwrap();
    assert_eq!(parse(length), Ok(length));
    let too_large = MessageError::Payload(PayloadError::TooLarge { found: length, maximum: length - 1 });
    assert_eq!(parse(length - 1), Err(too_large));
}

/// Nothing else of it is looked at then.
#[test]
fn an_escaped_payload_that_is_longer_than_any_may_be_is_refused_for_that() {
    let longest = sealed_len(1024, 100).unwrap();
    let escaped = |length: usize| envelope(&format!(r#""payload":"\u0041{}""#, "A".repeat(length - 1)));
    let parse = |length| Message::parse(&mut escaped(length), 100).map(|_| ());
    assert_eq!(parse(longest), Err(PayloadError::Fields { fields: 1 }.into()));
    for (more, found) in [(1, 101), (4, 101), (5, 102), (400, 200)] {
        assert_eq!(parse(longest + more), Err(PayloadError::TooLarge { found, maximum: 100 }.into()), "{more}");
    }
}

#[test]
fn a_request_is_an_object_with_experiment_and_config() {
    let request = |plaintext: &[u8]| {
        let mut json = signed(&*signer(), plaintext);
        let message = Message::parse(&mut json, DEFAULT_MAX_PLAINTEXT).unwrap();
        let opened = message.verify(&[trusted(&*signer())], &Policy::default()).unwrap();
        let opened = opened.open(&PROVIDER, &identities()).unwrap();
        opened.request().map(|request| (request.as_json().to_owned(), request.time_added()))
    };
    assert_eq!(request(REQUEST), Ok((String::from_utf8(REQUEST.to_vec()).unwrap(), Some(1.5))));
    assert_eq!(request(b"{\"experiment\":{},\"config\":{}}").unwrap().1, None);
    assert_eq!(request(b"{}"), Err(RequestError::Missing { member: "experiment" }));
    assert_eq!(request(b"{\"experiment\":{}}"), Err(RequestError::Missing { member: "config" }));
    assert_eq!(request(b"{\"experiment\":null,\"config\":{}}"), Err(RequestError::Missing { member: "experiment" }));
    for other in ["[]", "1", "\"x\"", "null"] {
        assert_eq!(request(other.as_bytes()), Err(RequestError::NotAnObject), "{other}");
    }
    for (other, line, column) in [("", 1, 1), ("hello", 1, 1), ("{}x", 1, 3), ("{\n", 2, 1)] {
        assert_eq!(request(other.as_bytes()), Err(RequestError::NotJson { line, column }), "{other:?}");
    }
}

#[test]
fn what_was_opened_is_wiped_when_it_is_dropped() {
    let plaintext = [0x5a; 500];
    let mut json = signed(&*signer(), &plaintext);
    let message = Message::parse(&mut json, DEFAULT_MAX_PLAINTEXT).unwrap();
    let verified = message.verify(&[trusted(&*signer())], &Policy::default()).unwrap();
    let opened = verified.open(&PROVIDER, &identities()).unwrap();
    assert_eq!(opened.plaintext(), plaintext);
    assert!(!format!("{opened:?}").contains("ZZZ"));
    drop(opened);
    assert!(!json.windows(8).any(|bytes| bytes == [0x5a; 8]), "the plaintext is still in the buffer");
}

/// From the text to the plaintext, each step hands out what it is of.
#[test]
fn every_state_hands_out_what_it_holds() {
    let mut json = signed(&*signer(), REQUEST);
    let held = trusted(&*signer());
    assert_eq!(format!("{held:?}"), format!("TrustedSigner(Ed25519 {})", held.fingerprint()));
    let message = Message::parse(&mut json, DEFAULT_MAX_PLAINTEXT).unwrap();
    let claimed = message.claimed_fingerprint().map(str::to_owned);
    assert_eq!(claimed, Some(held.fingerprint().to_string()));
    let payload = message.payload().as_bytes().to_vec();
    let verified = message.verify(&[held], &Policy::default()).unwrap();
    assert_eq!(verified.payload(), payload);
    let verification = verified.verification().clone();
    let opened = verified.open(&PROVIDER, &identities()).unwrap();
    assert_eq!(format!("{opened:?}"), format!("Opened({} bytes, {verification:?})", REQUEST.len()));
    let request = opened.request().map(|request| format!("{request:?}"));
    assert_eq!(request, Ok(format!("Request({} bytes)", REQUEST.len())));
    let disagreements = |copied_from: &[u8]| {
        let headers = UnauthenticatedHeaders::from_request(copied_from).unwrap();
        opened.request().unwrap().disagreements(&headers)
    };
    assert_eq!(disagreements(REQUEST), Vec::<String>::new());
    assert_eq!(disagreements(br#"{"experiment": {"time_added": 2}, "config": {}}"#), ["time_added"]);
    assert_eq!(opened.into_plaintext(), REQUEST);
}

/// Of several keys' verdicts the one that says most: a signature that a key could read and refused.
#[test]
fn a_bad_signature_says_more_than_one_that_cannot_be_read() {
    let mut json = signed(&*signer(), REQUEST);
    let payload = Message::parse(&mut json, DEFAULT_MAX_PLAINTEXT).unwrap().into_payload_unverified();
    let text = payload.as_bytes().to_vec();
    let bad = signer().sign(b"something else", PROVIDER.random).unwrap().to_base64();
    let verdict = |signature: &str, held: &[TrustedSigner]| {
        let mut text = text.clone();
        Payload::parse(&mut text, DEFAULT_MAX_PLAINTEXT).unwrap().verify(signature, held).map(|_| ()).unwrap_err()
    };
    let (one, other) = (|| trusted(&*signer()), || trusted(&*p256_signer()));
    assert_eq!(verdict(&bad, &[one(), other()]), VerifyError::BadSignature);
    assert_eq!(verdict(&bad, &[other(), one()]), VerifyError::BadSignature);
    assert!(matches!(verdict(&bad, &[other()]), VerifyError::Signature(_)));
    assert_eq!(verdict("!!!!", &[one()]), VerifyError::Signature(SignatureError::Base64));
    assert_eq!(verdict(&bad, &[]), VerifyError::NoKey);
}
