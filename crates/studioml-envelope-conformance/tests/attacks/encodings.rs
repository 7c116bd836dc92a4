//! Second readings: base64 and JSON that another parser takes for something else. A signed text must have one meaning, and a
//! plaintext one payload string.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use studioml_envelope::{Message, MessageError, OpenError, PayloadError, provider};

use crate::parties::{Parties, Refused, member, with_member};

/// Noticed before any private key is asked.
fn is_public(error: &OpenError) -> bool {
    matches!(error, OpenError::Payload(_) | OpenError::NoKeyOfLength { .. })
}

/// Deployed Go skips CR and LF inside base64, Python any character outside of the alphabet, and both take spare bits.
#[test]
fn base64_malleability_is_refused_at_every_position() {
    let parties = Parties::new(&provider::default());
    let payload = String::from_utf8(parties.sealer.seal(b"{}").unwrap()).unwrap();
    assert_eq!(parties.open_report(payload.as_bytes()), Ok(b"{}".to_vec()));
    let mut refused = 0;
    for at in 0..=payload.len() {
        for inserted in ["\r", "\n", " ", "\0", "=", "-", "_", ".", "A===", "\u{feff}"] {
            let mut altered = payload.clone();
            altered.insert_str(at, inserted);
            let error = parties.open_report(altered.as_bytes()).unwrap_err();
            assert!(is_public(&error), "{inserted:?} at {at}: {error:?}");
            refused += 1;
        }
    }
    // characters exchanged for others that a lenient decoder skips or maps
    for at in (0..payload.len()).filter(|at| payload.as_bytes()[*at] != b',') {
        for with in ["\n", "-", "_", "=", "\u{7f}"] {
            let mut altered = payload.clone();
            altered.replace_range(at..=at, with);
            if altered == payload {
                continue;
            }
            let error = parties.open_report(altered.as_bytes()).unwrap_err();
            // padding in the place of the last character can make another payload, which is no second reading of this one
            let is_another = altered.split(',').all(|field| STANDARD.decode(field).is_ok());
            assert!(is_public(&error) || is_another, "{with:?} at {at}: {error:?}");
            refused += 1;
        }
    }
    assert!(refused > 5000, "{refused} second readings");
}

#[test]
fn base64_spare_bits_are_refused_in_every_field() {
    let parties = Parties::new(&provider::default());
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let next = |character: u8| {
        let index = ALPHABET.iter().position(|one| *one == character).unwrap();
        char::from(ALPHABET[index + 1])
    };
    // 256 bytes of wrapped key end in "==", 41 of box in "="
    let payload = String::from_utf8(parties.sealer.seal(b"x").unwrap()).unwrap();
    for end in payload.match_indices('=').map(|(at, _)| at).filter(|at| payload.as_bytes()[at - 1] != b'=') {
        let mut altered = payload.clone();
        altered.replace_range(end - 1..end, &next(payload.as_bytes()[end - 1]).to_string());
        let error = parties.open_report(altered.as_bytes()).unwrap_err();
        assert!(matches!(error, OpenError::Payload(PayloadError::Base64 { .. })), "{error:?}");
    }
    let message = parties.message();
    let signature = member(&message, "signature");
    let end = signature.find('=').unwrap();
    let mut altered = signature.clone();
    altered.replace_range(end - 1..end, &next(signature.as_bytes()[end - 1]).to_string());
    for text in [altered, signature.trim_end_matches('=').to_owned(), format!("{signature}\n"), format!(" {signature}")]
    {
        let changed = with_member(&message, "signature", Some(text.clone().into()));
        let refused = parties.receive(changed.as_bytes()).unwrap_err();
        assert!(matches!(refused, Refused::Verify(_)), "{text:?}: {refused:?}");
    }
}

/// Where Go takes the last duplicate and folds case, Python takes the last, and others the first.
#[test]
fn json_that_two_parsers_read_differently_is_refused() {
    let parties = Parties::new(&provider::default());
    let message = parties.message();
    let other = parties.message();
    let refused = |text: &str| match parties.receive(text.as_bytes()) {
        Err(Refused::Malformed(error)) => error,
        other => panic!("{text:.200}: {other:?}"),
    };
    for name in ["payload", "signature", "fingerprint"] {
        let second = format!("\"{name}\":{},", serde_json::Value::from(member(&other, name)));
        let at = message.find(&format!("\"{name}\"")).unwrap();
        let doubled = [&message[..at], &second, &message[at..]].concat();
        assert_eq!(refused(&doubled), MessageError::DuplicateMember { name: name.to_owned() });

        let escaped =
            doubled.replacen(&format!("\"{name}\""), &format!("\"\\u{:04x}{}\"", name.as_bytes()[0], &name[1..]), 1);
        assert_eq!(refused(&escaped), MessageError::DuplicateMember { name: name.to_owned() }, "by another spelling");

        let upper = doubled.replacen(&format!("\"{name}\""), &format!("\"{}\"", name.to_uppercase()), 1);
        assert!(matches!(refused(&upper), MessageError::CaseVariant { .. }));
        if name.contains('s') {
            let long_s =
                doubled.replacen(&format!("\"{name}\""), &format!("\"{}\"", name.replacen('s', "\u{17f}", 1)), 1);
            assert!(matches!(refused(&long_s), MessageError::CaseVariant { .. }), "the long s");
        }
    }
    let inner = message.strip_prefix("{\"message\":").unwrap();
    let doubled = format!("{{\"message\":{{}},\"message\":{inner}");
    assert_eq!(refused(&doubled), MessageError::DuplicateMember { name: "message".to_owned() });
    let doubled = format!("{{\"Message\":{{}},\"message\":{inner}");
    assert!(matches!(refused(&doubled), MessageError::CaseVariant { .. }));
    for header in [r#""experiment":{"status":"a","status":"b"},"#, r#""x":[{"y":{"z":1,"z":2}}],"#] {
        let doubled = message.replacen("{\"message\":{", &format!("{{\"message\":{{{}", header), 1);
        let doubled = if header.contains("experiment") {
            with_member(&message, "experiment", None).replacen(
                "{\"message\":{",
                &format!("{{\"message\":{{{header}"),
                1,
            )
        } else {
            doubled
        };
        assert!(matches!(refused(&doubled), MessageError::DuplicateMember { .. }), "deep inside: {header}");
    }
}

#[test]
fn what_is_not_quite_json_is_refused() {
    let parties = Parties::new(&provider::default());
    let message = parties.message();
    let with = |member: &str| message.replacen("{\"message\":{", &format!("{{\"message\":{{{member},"), 1);
    for text in [
        format!("\u{feff}{message}"),
        format!("{message}x"),
        format!("{message}{message}"),
        format!("{message}\0"),
        format!("/**/{message}"),
        format!("[{message}]"),
        message.replacen('{', "{,", 1),
        message.replace("}}", ",}}"),
        message.replace('"', "'"),
        with("\"x\":NaN"),
        with("\"x\":01"),
        with("\"x\":+1"),
        with("\"x\":.5"),
        with("\"x\":\"\t\""),
        with("\"x\":\"\\x41\""),
        with("x:1"),
    ] {
        assert!(matches!(parties.receive(text.as_bytes()), Err(Refused::Malformed(_))), "{text:.80}");
    }
    let utf16: Vec<u8> = message.encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert!(matches!(parties.receive(&utf16), Err(Refused::Malformed(MessageError::NotJson { .. }))));
    let mut latin1 = with("\"x\":\"?\"").into_bytes();
    let at = latin1.iter().position(|byte| *byte == b'?').unwrap();
    latin1[at] = 0xe4;
    assert!(matches!(parties.receive(&latin1), Err(Refused::Malformed(MessageError::NotJson { .. }))));
}

/// White space and escapes around the signed text are not part of it; the signed text itself has one form.
#[test]
fn json_freedom_around_the_payload_changes_nothing_that_is_signed() {
    let parties = Parties::new(&provider::default());
    let message = parties.message();
    let (plaintext, verification) = parties.receive(message.as_bytes()).unwrap();
    let payload = member(&message, "payload");
    let escaped: String = payload.bytes().map(|byte| format!("\\u{byte:04x}")).collect();
    for text in [
        format!(" \r\n\t{message}\n"),
        message.replace(':', " : "),
        message.replacen(&payload, &escaped, 1),
        message.replacen(&payload, &payload.replace('/', "\\/"), 1),
    ] {
        let text = if text.contains(" : ") { text.replace("SHA256 : ", "SHA256:") } else { text };
        assert_eq!(parties.receive(text.as_bytes()), Ok((plaintext.clone(), verification.clone())), "{text:.60}");
    }
    for payload in [format!("{payload}\n"), format!(" {payload}"), format!("{payload}\u{0}")] {
        let changed = with_member(&message, "payload", Some(payload.into()));
        assert!(parties.receive(changed.as_bytes()).is_err());
    }
}

/// A payload that is no base64 passes the parser, which looks at lengths; written again it is still one JSON string.
#[test]
fn json_injection_through_the_payload_gives_no_second_signature() {
    let parties = Parties::new(&provider::default());
    let message = parties.message();
    let payload = format!("{}A\",\"signature\":\"{}", "A".repeat(342), "A".repeat(59));
    let mut buffer = with_member(&message, "payload", Some(payload.clone().into())).into_bytes();
    let again = Message::parse(&mut buffer, 1 << 20).unwrap().to_json();
    let again = String::from_utf8(again).unwrap();
    assert_eq!(member(&again, "payload"), payload);
    assert_eq!(member(&again, "signature"), member(&message, "signature"));
}
