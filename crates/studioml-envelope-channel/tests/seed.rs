//! Mode `seed` without I/O: the vectors of the seed's Python, the stream handling, and what a hostile peer may send.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod support;

use proptest::prelude::{Strategy, any, prop};
use studioml_envelope_channel::{
    Handshake, HandshakeError, Progress, Received, RecordError, RecordOptions,
    seed::{self, MAX_PEM},
};
use studioml_envelope_core::{KeyError, P256PublicKey, PublicKey};
use support::{establish, expected, flights, key_file, providers, read_all, run, seed_pair, vectors};

fn vector(name: &str) -> Vec<u8> {
    std::fs::read(vectors().join("ecdh").join(name)).unwrap()
}

fn hex_of(value: &serde_json::Value) -> Vec<u8> {
    let text = value.as_str().unwrap();
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

fn server(provider: &studioml_envelope_core::Provider) -> Handshake {
    seed::Handshake::unauthenticated_server(provider, RecordOptions::default()).into()
}

/// What a server makes of these first bytes.
fn server_says(input: &[u8]) -> Result<Progress, HandshakeError> {
    server(&support::aws_lc_rs()).advance(input, &mut Vec::new())
}

#[test]
fn the_exchange_of_the_vectors_byte_for_byte() {
    let expected = &expected()["ecdh"];
    let key: [u8; 32] = hex_of(&expected["key_hex"]).try_into().unwrap();
    for provider in providers() {
        let scalar = |name| support::pkcs8_scalar(&vector(name));
        let client_provider = support::with_fixed_pair(provider, scalar("client-private.pkcs8.pem"));
        let server_provider = support::with_fixed_pair(provider, scalar("server-private.pkcs8.pem"));
        let (client, _) = seed_pair(&client_provider, RecordOptions::default());
        let (_, server) = seed_pair(&server_provider, RecordOptions::default());

        let mut sent = Vec::new();
        let (mut client, mut server) = run(client, server, |_, bytes| sent.push(bytes.clone())).unwrap();
        assert_eq!(sent, [vector("client-sends.pem"), vector("server-sends.pem")], "{}", provider.name);
        let lengths: Vec<u64> =
            expected["bytes_each_way"].as_array().unwrap().iter().map(|n| n.as_u64().unwrap()).collect();
        assert_eq!(sent.iter().map(|bytes| bytes.len() as u64).collect::<Vec<_>>(), lengths);

        // the record is what the key of the vectors says it is, built here from the specification's lines
        for (end, direction) in [(&mut client, 0), (&mut server, 1)] {
            let mut record = Vec::new();
            end.writer.write_message(b"hello from the seed", &mut record).unwrap();
            let nonce = [direction, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
            let mut text = b"hello from the seed".to_vec();
            let tag = provider.aead.load(&key).seal_in_place(&nonce, &[], &mut text);
            assert_eq!(record, [&[0, 0, 0, 28 + 19][..], &nonce, &text, &tag].concat());
        }
    }
}

#[test]
fn the_cipher_of_the_vectors() {
    let expected = &expected()["ecdh"];
    let (key, gcm) = (hex_of(&expected["key_hex"]), &expected["aes_gcm"]);
    for provider in providers() {
        let mut text = gcm["plaintext"].as_str().unwrap().as_bytes().to_vec();
        let nonce = hex_of(&gcm["nonce_hex"]).try_into().unwrap();
        let tag = provider.aead.load(key.as_slice().try_into().unwrap()).seal_in_place(&nonce, &[], &mut text);
        assert_eq!([&text[..], &tag].concat(), hex_of(&gcm["ciphertext_and_tag_hex"]));
    }
}

#[test]
fn every_connection_has_a_key_pair_of_its_own() {
    for provider in providers() {
        let first = flights(seed_pair(&provider, RecordOptions::default()));
        let second = flights(seed_pair(&provider, RecordOptions::default()));
        assert_ne!(first[0], second[0]);
        assert_ne!(first[1], second[1]);
    }
}

#[test]
fn a_pem_byte_by_byte_and_with_records_right_behind_it() {
    let provider = support::aws_lc_rs();
    for line_feed in [true, false] {
        let (mut client, mut server) = seed_pair(&provider, RecordOptions::default());
        let mut pem = Vec::new();
        client.advance(&[], &mut pem).unwrap();
        if !line_feed {
            assert_eq!(pem.pop(), Some(b'\n'));
        }
        // the END line is enough: a server that waited for a line feed would wait for ever
        let end = pem.len() - usize::from(line_feed);
        let mut answer = Vec::new();
        for length in 0..end {
            let progress = server.advance(&pem[..length], &mut answer).unwrap();
            assert!(matches!(progress, Progress::Incomplete { consumed: 0 }), "{length}");
            assert!(answer.is_empty());
        }
        let Progress::Complete { consumed, established: mut server } = server.advance(&pem, &mut answer).unwrap()
        else {
            panic!("the PEM is whole");
        };
        assert_eq!(consumed, end);
        let Progress::Complete { established: mut client, .. } = client.advance(&answer, &mut Vec::new()).unwrap()
        else {
            panic!("the answer is whole");
        };

        let mut rest = pem.split_off(consumed);
        client.writer.write_message(b"first", &mut rest).unwrap();
        client.writer.write_message(b"second", &mut rest).unwrap();
        client.writer.write_close(&mut rest).unwrap();
        assert_eq!(read_all(&mut server.reader, &mut rest), Ok((vec![b"first".to_vec(), b"second".to_vec()], true)));
    }
}

#[test]
fn one_line_feed_after_the_pem_and_no_more() {
    let (_, mut server) = establish(seed_pair(&support::aws_lc_rs(), RecordOptions::default()));
    // `run` left the client's own line feed to the reader
    assert_eq!(server.reader.read(&mut []), Ok(Received::Incomplete { consumed: 0, missing: 4 }));
    assert_eq!(server.reader.read(&mut b"\n".to_vec()), Ok(Received::Incomplete { consumed: 1, missing: 4 }));
    let mut second = b"\n\0\0\x30".to_vec();
    let second = server.reader.read(&mut second);
    assert!(matches!(second, Err(RecordError::Length { found: 0x0a00_0030, .. })), "{second:?}");
}

#[test]
fn records_keep_their_order_and_direction() {
    for provider in providers() {
        let fresh = || establish(seed_pair(&provider, RecordOptions::default()));
        let record = |end: &mut studioml_envelope_channel::Established, message: &[u8]| {
            let mut out = Vec::new();
            end.writer.write_message(message, &mut out).unwrap();
            out
        };

        let (mut client, mut server) = fresh();
        let (mut first, mut second) = (record(&mut client, b"one"), record(&mut client, b"two"));
        assert_eq!(server.reader.read(&mut second), Err(RecordError::OutOfOrder), "reordered");
        assert_eq!(server.reader.read(&mut first), Err(RecordError::Closed), "nothing is read after a failure");

        let (mut client, mut server) = fresh();
        let first = record(&mut client, b"one");
        assert!(server.reader.read(&mut first.clone()).is_ok());
        assert_eq!(server.reader.read(&mut first.clone()), Err(RecordError::OutOfOrder), "replayed");

        let (mut client, _) = fresh();
        let mut own = record(&mut client, b"one");
        assert_eq!(client.reader.read(&mut own), Err(RecordError::OutOfOrder), "reflected");

        // whoever also writes the other nonce fails at the tag
        let (mut client, mut server) = fresh();
        let mut dropped = record(&mut client, b"one");
        let mut second = record(&mut client, b"two");
        second[4..16].copy_from_slice(&dropped[4..16]);
        assert_eq!(server.reader.read(&mut second), Err(RecordError::Unauthentic), "renumbered");
        dropped.clear();

        let (mut client, mut server) = fresh();
        let whole = record(&mut client, b"one");
        for length in 0..whole.len() {
            let mut cut = whole[..length].to_vec();
            let cut = server.reader.read(&mut cut);
            assert!(
                matches!(cut, Ok(Received::Incomplete { consumed: 0, missing }) if missing >= 1 && missing <= whole.len() - length),
                "{cut:?}"
            );
        }
        assert!(matches!(server.reader.read(&mut whole.clone()), Ok(Received::Message { .. })));
    }
}

#[test]
fn every_changed_byte_of_a_record_is_noticed() {
    let provider = support::aws_lc_rs();
    let length = 4 + 28 + 5;
    for at in 0..length {
        for bit in 0..8 {
            let (mut client, mut server) = establish(seed_pair(&provider, RecordOptions::default()));
            let mut record = Vec::new();
            client.writer.write_message(b"hello", &mut record).unwrap();
            assert_eq!(record.len(), length);
            record[at] ^= 1 << bit;
            let verdict = server.reader.read(&mut record);
            // a longer length only makes the reader wait; the stream ends before it is served
            assert!(
                matches!(
                    verdict,
                    Err(RecordError::Length { .. } | RecordError::OutOfOrder | RecordError::Unauthentic)
                        | Ok(Received::Incomplete { .. })
                ),
                "byte {at}, bit {bit}: {verdict:?}"
            );
        }
    }
}

#[test]
fn sizes_at_their_limits() {
    let provider = support::aws_lc_rs();
    let options = RecordOptions { max_message: 1000, ..RecordOptions::default() };
    let (mut client, mut server) = establish(seed_pair(&provider, options));
    let mut out = Vec::new();
    assert_eq!(client.writer.write_message(&[], &mut out), Err(RecordError::EmptyMessage));
    assert_eq!(client.writer.write_message(&[7; 1001], &mut out), Err(RecordError::TooLarge { maximum: 1000 }));
    assert!(out.is_empty());
    client.writer.write_message(&[7; 1000], &mut out).unwrap();
    assert_eq!(read_all(&mut server.reader, &mut out), Ok((vec![vec![7; 1000]], false)));
    for (announced, fits) in [(27_u32, false), (28, true), (1028, true), (1029, false), (u32::MAX, false)] {
        let (_, mut server) = establish(seed_pair(&provider, options));
        let mut header = announced.to_be_bytes();
        let verdict = server.reader.read(&mut header);
        let refused = Err(RecordError::Length { found: announced as usize, minimum: 28, maximum: 1028 });
        if fits {
            assert_eq!(verdict, Ok(Received::Incomplete { consumed: 0, missing: announced as usize }));
        } else {
            assert_eq!(verdict, refused);
        }
    }

    // 16 MiB is the most of the format, whatever the options say
    let options = RecordOptions { max_message: usize::MAX, ..RecordOptions::default() };
    let (mut client, mut server) = establish(seed_pair(&provider, options));
    let maximum = 16 * 1024 * 1024;
    let mut out = Vec::new();
    assert_eq!(client.writer.write_message(&vec![7; maximum + 1], &mut out), Err(RecordError::TooLarge { maximum }));
    client.writer.write_message(&vec![7; maximum], &mut out).unwrap();
    assert_eq!(out[0], 1);
    assert_eq!(read_all(&mut server.reader, &mut out), Ok((vec![vec![7; maximum]], false)));
}

#[test]
fn nothing_follows_the_close() {
    let (mut client, mut server) = establish(seed_pair(&support::aws_lc_rs(), RecordOptions::default()));
    let mut out = Vec::new();
    client.writer.write_close(&mut out).unwrap();
    assert_eq!(client.writer.write_message(b"more", &mut out), Err(RecordError::Closed));
    assert_eq!(client.writer.write_close(&mut out), Err(RecordError::Closed));
    assert_eq!(read_all(&mut server.reader, &mut out), Ok((vec![], true)));
    assert_eq!(server.reader.read(&mut []), Err(RecordError::Closed));
}

#[test]
fn a_handshake_is_over_once() {
    let provider = support::aws_lc_rs();
    let pem = flights(seed_pair(&provider, RecordOptions::default())).remove(0);
    let mut server = server(&provider);
    assert!(matches!(server.advance(&pem, &mut Vec::new()), Ok(Progress::Complete { .. })));
    assert_eq!(server.advance(&pem, &mut Vec::new()).unwrap_err(), HandshakeError::Over);
}

fn pem_of(label: &str, der: &[u8]) -> Vec<u8> {
    pem_rfc7468::encode_string(label, pem_rfc7468::LineEnding::LF, der).unwrap().into_bytes()
}

/// The SPKI of a P-256 point in any encoding, right or wrong: `prefix || point` with DER's lengths.
fn spki(point: &[u8]) -> Vec<u8> {
    let algorithm = [
        0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d,
        0x03, 0x01, 0x07,
    ];
    let bits = [&[0x03, u8::try_from(point.len() + 1).unwrap(), 0][..], point].concat();
    [&[0x30, u8::try_from(algorithm.len() + bits.len()).unwrap()][..], &algorithm, &bits].concat()
}

#[test]
fn bad_points_are_refused_before_use() {
    let good = *support::local_key(&support::aws_lc_rs()).public_key();
    let point = good.as_bytes();
    let field_prime: [u8; 32] = [
        0xff, 0xff, 0xff, 0xff, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    ];
    let changed = |at: usize| {
        let mut point = *point;
        point[at] ^= 1;
        point.to_vec()
    };
    let encoding: HandshakeError = KeyError::PointEncoding.into();
    let off_curve: HandshakeError = KeyError::PointNotOnCurve.into();
    let cases: Vec<(&str, Vec<u8>, &HandshakeError)> = vec![
        ("y off the curve", changed(64), &off_curve),
        ("x off the curve", changed(32), &off_curve),
        ("(0, 0), which some take for the identity", [&[4][..], &[0; 64]].concat(), &off_curve),
        ("coordinates not below the prime", [&[4][..], &field_prime, &field_prime].concat(), &off_curve),
        ("coordinates of ones", [&[4][..], &[0xff; 64]].concat(), &off_curve),
        ("the identity", vec![0], &encoding),
        ("the identity, 65 bytes of it", vec![0; 65], &encoding),
        ("compressed", [&[2 + (point[64] & 1)][..], &point[1..33]].concat(), &encoding),
        ("hybrid", [&[6 + (point[64] & 1)][..], &point[1..]].concat(), &encoding),
        ("one byte short", point[..64].to_vec(), &encoding),
        ("one byte long", [&point[..], &[0]].concat(), &encoding),
        ("empty", vec![], &encoding),
    ];
    for provider in providers() {
        for (name, point, refusal) in &cases {
            let pem = pem_of("PUBLIC KEY", &spki(point));
            let mut output = Vec::new();
            let verdict = server(&provider).advance(&pem, &mut output).unwrap_err();
            assert_eq!(verdict, **refusal, "{} as server: {name}", provider.name);
            assert!(output.is_empty(), "a refused client gets no answer");

            let (mut client, _) = seed_pair(&provider, RecordOptions::default());
            client.advance(&[], &mut output).unwrap();
            assert_eq!(
                client.advance(&pem, &mut output).unwrap_err(),
                **refusal,
                "{} as client: {name}",
                provider.name
            );
        }
        let good = pem_of("PUBLIC KEY", &spki(point));
        assert!(matches!(server(&provider).advance(&good, &mut Vec::new()), Ok(Progress::Complete { .. })));
    }
}

#[test]
fn other_keys_are_refused_by_name() {
    let refusal = |file: &str| server_says(&key_file(file)).unwrap_err();
    assert_eq!(refusal("ec.spki-compressed.pem"), KeyError::PointEncoding.into());
    assert_eq!(refusal("ec.spki-explicit.pem"), KeyError::ExplicitCurveParameters.into());
    assert_eq!(refusal("ec-p384.spki.pem"), KeyError::UnsupportedCurve { curve: "P-384".to_owned() }.into());
    assert_eq!(refusal("ed25519.spki.pem"), KeyError::Kind { expected: "P-256", found: "Ed25519" }.into());
    assert_eq!(refusal("rsa.pub-spki.pem"), KeyError::Kind { expected: "P-256", found: "RSA" }.into());
    assert_eq!(refusal("rsa.pub-pkcs1.pem"), HandshakeError::Pem);
    assert_eq!(refusal("ec.pkcs8.pem"), HandshakeError::Pem, "a private key is not a public one");
    assert!(matches!(server_says(&key_file("ec.spki.pem")), Ok(Progress::Complete { .. })));
}

#[test]
fn what_the_seed_accepts_around_a_key_is_refused() {
    let good = *support::local_key(&support::aws_lc_rs()).public_key();
    let der = PublicKey::P256(good).to_spki_der();
    let trailing = pem_of("PUBLIC KEY", &[&der[..], &[0]].concat());
    assert_eq!(server_says(&trailing).unwrap_err(), KeyError::Encoding { structure: "SubjectPublicKeyInfo" }.into());
    let pem = String::from_utf8(pem_of("PUBLIC KEY", &der)).unwrap();
    for (name, text) in [
        ("text before it", format!("Subject: me\n{pem}")),
        ("white space before it", format!(" {pem}")),
        ("headers in it", pem.replacen("-----\n", "-----\nProc-Type: 4,CLEAR\n\n", 1)),
        ("a character that is not base64", pem.replacen("MFk", "MF!", 1)),
        ("spaces within", pem.replacen("MFk", "M Fk", 1)),
        ("nothing in it", "-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----\n".to_owned()),
    ] {
        let verdict = server_says(text.as_bytes()).unwrap_err();
        assert!(
            matches!(verdict, HandshakeError::Pem | HandshakeError::PeerKey(KeyError::Encoding { .. })),
            "{name}: {verdict:?}"
        );
    }
}

#[test]
fn a_pem_without_end_is_dropped_at_the_limit() {
    let endless = [b"-----BEGIN PUBLIC KEY-----\n".to_vec(), vec![b'A'; 2 * MAX_PEM]].concat();
    assert!(matches!(server_says(&endless[..MAX_PEM - 1]), Ok(Progress::Incomplete { consumed: 0 })));
    for length in [MAX_PEM, endless.len()] {
        assert_eq!(server_says(&endless[..length]).unwrap_err(), HandshakeError::PemTooLong { maximum: MAX_PEM });
    }
    // what cannot become a PEM is dropped at its first wrong byte
    assert_eq!(server_says(b"G").unwrap_err(), HandshakeError::Pem);
    assert_eq!(server_says(b"-----BEGIN R").unwrap_err(), HandshakeError::Pem);
}

#[test]
fn every_changed_bit_of_the_handshake_keeps_the_ends_apart() {
    let provider = support::aws_lc_rs();
    let length = flights(seed_pair(&provider, RecordOptions::default())).iter().map(Vec::len).max().unwrap();
    for flight in [0, 1] {
        for at in 0..length {
            for bit in 0..8 {
                let (client, server) = seed_pair(&provider, RecordOptions::default());
                let outcome = run(client, server, |now, bytes| {
                    if now == flight && at < bytes.len() {
                        bytes[at] ^= 1 << bit;
                    }
                });
                let (Some(Ok(client)), Some(Ok(server))) = (outcome.client, outcome.server) else {
                    continue; // refused, or waiting for an END line that never comes
                };
                // the line feed behind the key is not the handshake's any more: the reader meets it
                let (mut from, mut to) = if flight == 0 { (client, server) } else { (server, client) };
                let mut stream = if at == length - 1 { vec![b'\n' ^ (1 << bit)] } else { vec![] };
                from.writer.write_message(b"hello", &mut stream).unwrap();
                let heard = read_all(&mut to.reader, &mut stream);
                assert!(heard.is_err(), "flight {flight}, byte {at}, bit {bit}: {heard:?}");
            }
        }
    }
}

#[test]
fn without_randomness_no_handshake() {
    let silent = Box::leak(Box::new(support::ScriptedRandom(std::sync::Mutex::new(Vec::new()))));
    let provider = studioml_envelope_core::Provider { random: silent, ..studioml_envelope_rustcrypto::PROVIDER };
    let (mut client, _) = seed_pair(&provider, RecordOptions::default());
    assert_eq!(client.advance(&[], &mut Vec::new()).unwrap_err(), HandshakeError::Generation);
}

proptest::proptest! {
    #[test]
    fn messages_survive_any_cutting_of_the_stream(
        messages in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..300), 0..8),
        cuts in prop::collection::vec(1_usize..50, 1..200),
    ) {
        let (mut client, mut server) = establish(seed_pair(&support::aws_lc_rs(), RecordOptions::default()));
        let mut stream = Vec::new();
        for message in &messages {
            client.writer.write_message(message, &mut stream).unwrap();
        }
        client.writer.write_close(&mut stream).unwrap();
        let (mut buffer, mut heard, mut closed, mut at) = (Vec::new(), Vec::new(), false, 0);
        for cut in cuts.iter().cycle() {
            let end = stream.len().min(at + cut);
            buffer.extend_from_slice(&stream[at..end]);
            at = end;
            loop {
                let consumed = match server.reader.read(&mut buffer).unwrap() {
                    Received::Incomplete { .. } => break,
                    Received::Part { consumed } => consumed,
                    Received::Message { consumed, message } => { heard.push(message.into_owned()); consumed }
                    Received::Closed { consumed } => { closed = true; consumed }
                };
                buffer.drain(..consumed);
                if closed { break }
            }
            if at == stream.len() { break }
        }
        proptest::prop_assert_eq!(heard, messages);
        proptest::prop_assert!(closed);
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..2000), begin in any::<bool>()) {
        let mut input = if begin { b"-----BEGIN PUBLIC KEY-----\n".to_vec() } else { Vec::new() };
        input.extend_from_slice(&bytes);
        let _ = server_says(&input);
        let (_, mut server) = establish(seed_pair(&support::aws_lc_rs(), RecordOptions::default()));
        let _ = server.reader.read(&mut input);
    }

    #[test]
    fn no_point_is_let_through_that_is_not_on_the_curve(point in prop::collection::vec(any::<u8>(), 64).prop_map(|tail| [&[4][..], &tail].concat())) {
        let key = P256PublicKey::from_uncompressed(&point).unwrap();
        let pem = pem_of("PUBLIC KEY", &PublicKey::P256(key).to_spki_der());
        proptest::prop_assert_eq!(server_says(&pem).unwrap_err(), KeyError::PointNotOnCurve.into());
    }
}
