//! The payload string (FORMAT §1): its structure, its limits, its order of work and what is left of a buffer afterwards.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test stops where something is not as expected")]

mod parties;

use parties::{PROVIDER, identities, recipient, sealed, shaped, signer, trusted};
use studioml_envelope_core::{
    DEFAULT_MAX_PLAINTEXT, OpenError, Payload, PayloadError, SealError, VerifyError, seal, seal_into, sealed_len,
};

fn parse(text: &str) -> Result<(), PayloadError> {
    Payload::parse(&mut text.as_bytes().to_vec(), DEFAULT_MAX_PLAINTEXT).map(|_| ())
}

fn base64_error(field: &'static str, offset: usize) -> Result<(), PayloadError> {
    Err(PayloadError::Base64 { field, offset })
}

#[test]
fn a_payload_has_two_fields() {
    assert_eq!(parse(&shaped()), Ok(()));
    assert_eq!(parse(""), Err(PayloadError::Fields { fields: 1 }));
    assert_eq!(parse("AAAA"), Err(PayloadError::Fields { fields: 1 }));
    for more in [",", ",AAAA", ",,,,"] {
        assert_eq!(parse(&format!("{}{more}", shaped())), Err(PayloadError::Fields { fields: 3 }));
    }
    assert_eq!(parse(&",".repeat(1 << 20)), Err(PayloadError::Fields { fields: 3 }));
}

#[test]
fn errors_of_fields_read_well() {
    let text = |fields| PayloadError::Fields { fields }.to_string();
    assert_eq!(text(1), "payload: 1 comma-separated field, there must be 2");
    assert_eq!(text(3), "payload: more than 2 comma-separated fields, there must be 2");
}

#[test]
fn another_version_is_unsupported_and_not_malformed() {
    for text in ["studioml.v2,AAAA,BBBB", "studioml.", "studioml.v3"] {
        assert_eq!(parse(text), Err(PayloadError::UnsupportedVersion), "{text}");
    }
    assert_eq!(parse("studioml"), Err(PayloadError::Fields { fields: 1 }));
}

#[test]
fn the_first_field_decodes_to_256_to_1024_bytes() {
    let boxed = format!("{}=", "A".repeat(55));
    // 4 characters are 3 bytes, less one for each = at the end
    let field = |bytes: usize| {
        let padding = (3 - bytes % 3) % 3;
        format!("{}{}", "A".repeat(bytes.div_ceil(3) * 4 - padding), "=".repeat(padding))
    };
    for bytes in [256, 257, 512, 1023, 1024] {
        assert_eq!(parse(&format!("{},{boxed}", field(bytes))), Ok(()), "{bytes}");
    }
    for found in [0, 1, 128, 255, 1025, 1026, 2048] {
        let expected = Err(PayloadError::WrappedKeyLength { found });
        assert_eq!(parse(&format!("{},{boxed}", field(found))), expected, "{found}");
    }
    for bytes in [40, 41, 42, 4096] {
        assert_eq!(parse(&format!("{},{}", field(512), field(bytes))), Ok(()), "{bytes}");
    }
    for found in [0, 1, 24, 39] {
        let expected = Err(PayloadError::BoxLength { found });
        assert_eq!(parse(&format!("{},{}", field(512), field(found))), expected, "{found}");
    }
}

#[test]
fn a_length_that_is_no_whole_number_of_groups_is_named_with_its_field() {
    let (key, boxed) = ("A".repeat(344), format!("{}=", "A".repeat(55)));
    for more in 1..4 {
        let extra = "A".repeat(more);
        assert_eq!(parse(&format!("{key}{extra},{boxed}")), base64_error("wrapped key", 344 + more));
        assert_eq!(parse(&format!("{key},{boxed}{extra}")), base64_error("box", 56 + more));
    }
}

#[test]
fn a_plaintext_that_is_too_large_is_refused_before_anything_is_allocated() {
    let mut text = sealed(&[1; 100]);
    for (maximum, found) in [(100, None), (99, Some(100)), (0, Some(100))] {
        let expected = found.map_or(Ok(()), |found| Err(PayloadError::TooLarge { found, maximum }));
        assert_eq!(Payload::parse(&mut text, maximum).map(|_| ()), expected);
    }
    let too_large = SealError::TooLarge { found: 100, maximum: 99 };
    assert_eq!(seal(&PROVIDER, &*recipient(), &[1; 100], 99).unwrap_err(), too_large);
}

#[test]
fn sealing_wants_a_buffer_of_exactly_the_length() {
    let recipient = recipient();
    let length = sealed_len(recipient.wrapped_len(), 10).unwrap();
    for wrong in [0, 1, length - 1, length + 1] {
        let sealed = seal_into(&PROVIDER, &*recipient, &[0; 10], 10, &mut vec![0; wrong]);
        assert_eq!(sealed, Err(SealError::OutputLength), "{wrong}");
    }
    let mut out = vec![0; length];
    seal_into(&PROVIDER, &*recipient, b"plaintext!", 10, &mut out).unwrap();
    let payload = Payload::parse(&mut out, 10).unwrap();
    let opened = payload.open_unauthenticated(&PROVIDER, &identities()).unwrap();
    assert_eq!(opened.unauthenticated_plaintext(), b"plaintext!");
}

#[test]
fn sealed_len_says_none_where_it_would_overflow() {
    assert_eq!(sealed_len(512, 0), Some(684 + 1 + 56));
    assert_eq!(sealed_len(512, usize::MAX), None);
    assert_eq!(sealed_len(512, usize::MAX / 4 * 3), None);
    assert_eq!(sealed_len(usize::MAX, 0), None);
}

#[test]
fn two_payloads_of_one_plaintext_share_nothing() {
    let (one, other) = (sealed(b"plaintext"), sealed(b"plaintext"));
    let fields = |text: &[u8]| {
        let comma = text.iter().position(|byte| *byte == b',').unwrap();
        (text[..comma].to_vec(), text[comma + 1..].to_vec())
    };
    assert_ne!(fields(&one).0, fields(&other).0);
    // the nonce and the first bytes of the tag
    assert_ne!(fields(&one).1[..32], fields(&other).1[..32]);
}

#[test]
fn base64_is_looked_at_after_the_signature() {
    let mut text = sealed(b"plaintext");
    text[5] = b'!';
    let last = text.len() - 6;
    text[last] = b'!';
    let signature = signer().sign(b"something else", PROVIDER.random).unwrap().to_base64();
    let payload = Payload::parse(&mut text, DEFAULT_MAX_PLAINTEXT).unwrap();
    let trusted = [trusted(&*signer())];
    assert_eq!(payload.verify(&signature, &trusted).unwrap_err(), VerifyError::BadSignature);
}

#[test]
fn bad_base64_is_named_with_field_and_offset() {
    for (place, field, offset) in [(0, "wrapped key", 0), (682, "wrapped key", 682), (685, "box", 0), (700, "box", 15)]
    {
        for character in [b'!', b'-', b'_', b' ', b'\n', 0x80] {
            let mut text = sealed(b"plaintext");
            text[place] = character;
            let payload = Payload::parse(&mut text, DEFAULT_MAX_PLAINTEXT).unwrap();
            let opened = payload.open_unauthenticated(&PROVIDER, &identities()).map(|_| ());
            let expected = PayloadError::Base64 { field, offset };
            assert_eq!(opened, Err(OpenError::Payload(expected)), "{character} at {place}");
        }
    }
}

/// The decoder works in pieces of 16 KiB; what is wrong in a later piece is named by its place in the whole field.
#[test]
fn bad_base64_in_a_later_piece_is_named_by_its_place_in_the_field() {
    let good = sealed(&vec![0; 100_000]);
    for offset in [0, 16_383, 16_384, 16_385, 32_768, 131_072, 133_380] {
        for (character, at) in [(b'!', offset), (b'=', offset)] {
            let mut text = good.clone();
            text[685 + offset] = character;
            let payload = Payload::parse(&mut text, DEFAULT_MAX_PLAINTEXT).unwrap();
            let opened = payload.open_unauthenticated(&PROVIDER, &identities()).map(|_| ());
            match opened {
                Err(OpenError::Payload(PayloadError::Base64 { field: "box", offset: found })) => {
                    // of padding in the wrong place the decoder may name the group
                    assert!(found.abs_diff(at) < 4, "{character} at {at}: {found}");
                }
                other => unreachable!("{character} at {at}: {other:?}"),
            }
        }
    }
}

#[test]
fn a_payload_without_a_line_end_is_what_a_file_holds() {
    let text = sealed(b"plaintext");
    for end in ["", "\n", "\r\n"] {
        let mut contents = [&text[..], end.as_bytes()].concat();
        let payload = Payload::parse_file(&mut contents, DEFAULT_MAX_PLAINTEXT).unwrap();
        assert_eq!(payload.as_bytes(), &text[..]);
        let opened = payload.open_unauthenticated(&PROVIDER, &identities()).unwrap();
        assert_eq!(opened.unauthenticated_plaintext(), b"plaintext");
    }
    // one line end, and nothing else
    for end in ["\n\n", "\r\n\r\n", "\r", " ", "\n ", "\t"] {
        let mut contents = [&text[..], end.as_bytes()].concat();
        let parsed = Payload::parse_file(&mut contents, DEFAULT_MAX_PLAINTEXT).map(|_| ());
        assert!(matches!(parsed, Err(PayloadError::Base64 { field: "box", .. })), "{end:?}: {parsed:?}");
    }
    // and none at all in a payload string
    let mut contents = [&text[..], b"\n"].concat();
    assert!(Payload::parse(&mut contents, DEFAULT_MAX_PLAINTEXT).is_err());
}

#[test]
fn a_file_verifies_as_signed_without_its_line_end_and_as_it_stands() {
    let text = sealed(b"plaintext");
    let signer = signer();
    for (end, signed) in [
        ("\n", &text[..]),
        ("\r\n", &text),
        ("\n", &[&text[..], b"\n"].concat()),
        ("\r\n", &[&text[..], b"\r\n"].concat()),
    ] {
        let signature = signer.sign(signed, PROVIDER.random).unwrap().to_base64();
        let mut contents = [&text[..], end.as_bytes()].concat();
        let payload = Payload::parse_file(&mut contents, DEFAULT_MAX_PLAINTEXT).unwrap();
        let verified = payload.verify(&signature, &[trusted(&*signer)]).unwrap();
        assert_eq!(verified.open(&PROVIDER, &identities()).unwrap().plaintext(), b"plaintext");
    }
    // a line end that was signed and is another one
    let signature = signer.sign(&[&text[..], b"\r\n"].concat(), PROVIDER.random).unwrap().to_base64();
    let mut contents = [&text[..], b"\n"].concat();
    let payload = Payload::parse_file(&mut contents, DEFAULT_MAX_PLAINTEXT).unwrap();
    assert_eq!(payload.verify(&signature, &[trusted(&*signer)]).unwrap_err(), VerifyError::BadSignature);
}

#[test]
fn what_was_opened_is_wiped_when_it_is_dropped() {
    let plaintext = [0x5a; 1000];
    let mut text = sealed(&plaintext);
    let payload = Payload::parse(&mut text, DEFAULT_MAX_PLAINTEXT).unwrap();
    let opened = payload.open_unauthenticated(&PROVIDER, &identities()).unwrap();
    assert_eq!(opened.unauthenticated_plaintext(), plaintext);
    drop(opened);
    assert!(!text.windows(8).any(|bytes| bytes == [0x5a; 8]), "the plaintext is still in the buffer");
}

#[test]
fn what_the_caller_takes_back_is_not_wiped() {
    let mut text = sealed(&[0x5a; 1000]);
    let payload = Payload::parse(&mut text, DEFAULT_MAX_PLAINTEXT).unwrap();
    let opened = payload.open_unauthenticated(&PROVIDER, &identities()).unwrap();
    assert_eq!(opened.into_unauthenticated_plaintext(), [0x5a; 1000]);
}

#[test]
fn nothing_shows_the_plaintext_in_its_debug_form() {
    let mut text = sealed(b"secret words");
    let payload = Payload::parse(&mut text, DEFAULT_MAX_PLAINTEXT).unwrap();
    assert!(format!("{payload:?}").starts_with("Payload("));
    let opened = payload.open_unauthenticated(&PROVIDER, &identities()).unwrap();
    assert_eq!(format!("{opened:?}"), "UnauthenticatedPlaintext(12 bytes)");
}
