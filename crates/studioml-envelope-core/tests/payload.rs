//! The payload string (docs/spec.md §1): its structure, its limits, its order of work and what is left of a buffer afterwards.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test stops where something is not as expected")]

mod parties;

use parties::{PROVIDER, identities, recipient, sealed, shaped, signer, trusted};
use studioml_envelope_core::{
    DEFAULT_MAX_PLAINTEXT, Implementation, Nonce, OpenError, Part, Payload, PayloadError, Provider, SealError,
    SecretBox, SessionKey, Tag, Unauthentic, VerifyError, seal, seal_into, sealed_len,
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
fn a_plaintext_that_is_too_large_is_refused() {
    let mut text = sealed(&[1; 100]);
    for (maximum, found) in [(100, None), (99, Some(100)), (0, Some(100))] {
        let expected = found.map_or(Ok(()), |found| Err(PayloadError::TooLarge { found, maximum }));
        assert_eq!(Payload::parse(&mut text, maximum).map(|_| ()), expected);
    }
    let too_large = SealError::TooLarge { found: 100, maximum: 99 };
    assert_eq!(seal(&PROVIDER, &*recipient(), &[1; 100], 99).unwrap_err(), too_large);
}

#[test]
fn a_buffer_is_sealed_into_again_without_a_new_allocation() {
    let mut out = Vec::new();
    seal_into(&PROVIDER, &*recipient(), &[1; 5000], 5000, &mut out).unwrap();
    let place = out.as_ptr();
    seal_into(&PROVIDER, &*recipient(), b"plaintext!", 5000, &mut out).unwrap();
    assert_eq!(out.as_ptr(), place);
    assert_eq!(Some(out.len()), sealed_len(recipient().wrapped_len(), 10));
    let payload = Payload::parse(&mut out, 10).unwrap();
    let opened = payload.open_unauthenticated(&PROVIDER, &identities()).unwrap();
    assert_eq!(opened.unauthenticated_plaintext(), b"plaintext!");
    drop(opened);

    let refused = seal_into(&PROVIDER, &*recipient(), &[1; 11], 10, &mut out);
    assert_eq!((refused, out.len()), (Err(SealError::TooLarge { found: 11, maximum: 10 }), 0));
}

/// A SecretBox that hands out more or less than it was given.
struct Miscounting(&'static [usize]);

impl Part for Miscounting {
    fn implementation(&self) -> Implementation {
        PROVIDER.secret_box.implementation()
    }
}

impl SecretBox for Miscounting {
    fn seal_in_place(&self, key: &SessionKey, nonce: &Nonce, text: &mut [u8]) -> Tag {
        PROVIDER.secret_box.seal_in_place(key, nonce, text)
    }

    fn seal_chunks(&self, _: &SessionKey, _: &Nonce, _: &[u8], sink: &mut dyn FnMut(&[u8])) -> Tag {
        for length in self.0 {
            sink(&vec![7; *length]);
        }
        [0; 16]
    }

    fn open_in_place(&self, key: &SessionKey, nonce: &Nonce, tag: &Tag, text: &mut [u8]) -> Result<(), Unauthentic> {
        PROVIDER.secret_box.open_in_place(key, nonce, tag, text)
    }
}

#[test]
fn a_part_that_hands_out_another_number_of_bytes_than_it_was_given_seals_nothing() {
    static PARTS: [Miscounting; 6] = [
        Miscounting(&[]),
        Miscounting(&[99]),
        Miscounting(&[50, 49]),
        Miscounting(&[1, 1, 95]),
        Miscounting(&[97]),
        Miscounting(&[0, 98]),
    ];
    for part in &PARTS {
        let provider = Provider { secret_box: part, ..PROVIDER };
        assert_eq!(seal(&provider, &*recipient(), &[1; 100], 100), Err(SealError::OutputLength), "{:?}", part.0);
    }
    static MORE: [Miscounting; 2] = [Miscounting(&[101]), Miscounting(&[100, 1])];
    for part in &MORE {
        let provider = Provider { secret_box: part, ..PROVIDER };
        let mut out = Vec::new();
        assert_eq!(seal_into(&provider, &*recipient(), &[1; 100], 100, &mut out), Err(SealError::OutputLength));
        assert!(out.is_empty() && out.capacity() < 2000, "{:?}", part.0);
    }
}

/// What is opened at once gets the verdicts of what is parsed first and then opened.
#[test]
fn a_report_is_refused_for_the_same_reason_in_one_step_or_two() {
    let sealed = String::from_utf8(sealed(&[1; 30_000])).unwrap();
    let (key, boxed) = sealed.split_once(',').unwrap();
    let with_comma_at = |place: usize| format!("{key},{},{}", &boxed[..place], &boxed[place + 1..]);
    let texts = [
        String::new(),
        "studioml.v2,AAAA,BBBB".to_owned(),
        sealed.clone(),
        format!("{sealed},"),
        format!("{sealed},AAAA"),
        format!("{key},,{boxed}"),
        format!("{},{boxed}", &key[4..]),
        format!("{},{boxed},", &key[4..]),
        format!("!{},{boxed}", &key[1..]),
        format!("!{},{boxed},AAA", &key[1..]),
        format!("{key},{}!{}", &boxed[..9000], &boxed[9001..]),
        format!("{key},{}!{},{}", &boxed[..9000], &boxed[9001..20_000], &boxed[20_001..]),
        format!("{key},{}===={}", &boxed[..9000], &boxed[9004..]),
        format!("{key},{}===={},{}", &boxed[..9000], &boxed[9004..20_000], &boxed[20_001..]),
        with_comma_at(0),
        with_comma_at(4095),
        with_comma_at(4096),
        with_comma_at(boxed.len() - 1),
    ];
    for text in texts {
        let one_step = Payload::open_report(&mut text.clone().into_bytes(), 1 << 20, &PROVIDER, &identities()).err();
        let mut buffer = text.clone().into_bytes();
        let parsed = Payload::parse(&mut buffer, 1 << 20).map_err(OpenError::from);
        let two_steps = parsed.and_then(|payload| payload.open_unauthenticated(&PROVIDER, &identities())).err();
        assert_eq!(one_step, two_steps, "{}…", &text[..text.len().min(40)]);
    }
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

/// Padding ends a field. The decoder takes it at the end of each of its pieces, where a lax reader would go on behind it.
#[test]
fn padding_at_the_end_of_a_piece_is_refused_where_it_stands() {
    let good = sealed(&vec![0; 100_000]);
    for (group, offset) in [("AAA=", 16_383), ("AA==", 16_383), ("AAA=", 32_767)] {
        let mut text = good.clone();
        text[685 + offset - 3..685 + offset + 1].copy_from_slice(group.as_bytes());
        let payload = Payload::parse(&mut text, DEFAULT_MAX_PLAINTEXT).unwrap();
        let opened = payload.open_unauthenticated(&PROVIDER, &identities()).map(|_| ());
        let expected = PayloadError::Base64 { field: "box", offset };
        assert_eq!(opened, Err(OpenError::Payload(expected)), "{group} at {offset}");
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
