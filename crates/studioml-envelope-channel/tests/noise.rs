//! Mode `noise` without I/O: both roles against `snow`, the traps that `snow` 0.10 sets, and what a hostile peer may do.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod support;

use std::{num::NonZeroU64, sync::Arc};

use proptest::prelude::{any, prop};
use studioml_envelope_channel::{
    Established, Handshake, HandshakeError, Pins, Progress, Received, RecordError, RecordOptions, Rekey,
    noise::{self, LocalKey, MAX_PART, PROLOGUE, PROTOCOL_NAME},
};
use studioml_envelope_core::{Fingerprint, KeyError, P256PrivateKey, P256PublicKey, Provider, PublicKey};
use support::{Anybody, establish, fingerprint, flights, generate, noise_pair, providers, read_all, run};

/// `snow` with its own P-256, hash and cipher: nothing of ours is below it.
struct Snow(snow::HandshakeState);

impl Snow {
    fn new(key: &P256PrivateKey, initiator: bool) -> Self {
        let builder = snow::Builder::new(PROTOCOL_NAME.parse().unwrap())
            .prologue(PROLOGUE)
            .unwrap()
            .local_private_key(key.scalar().expose_secret())
            .unwrap();
        Self(if initiator { builder.build_initiator() } else { builder.build_responder() }.unwrap())
    }

    fn write(&mut self) -> Vec<u8> {
        let mut message = vec![0; 1000];
        let length = self.0.write_message(&[], &mut message).unwrap();
        framed(&message[..length])
    }

    fn read(&mut self, framed: &[u8]) {
        assert_eq!(self.0.read_message(unframed(framed), &mut [0; 1000]).unwrap(), 0, "payloads are empty");
    }
}

fn framed(message: &[u8]) -> Vec<u8> {
    [&u16::try_from(message.len()).unwrap().to_be_bytes()[..], message].concat()
}

fn unframed(framed: &[u8]) -> &[u8] {
    let (length, message) = framed.split_at(2);
    assert_eq!(usize::from(u16::from_be_bytes(length.try_into().unwrap())), message.len());
    message
}

/// A channel whose other end is `snow`.
struct Interop {
    ours: Established,
    snow: snow::TransportState,
    snow_saw: Vec<u8>,
    our_key: P256PublicKey,
    snow_key: P256PublicKey,
}

fn with_snow(provider: &Provider, we_initiate: bool, options: RecordOptions) -> Interop {
    let (our_private, snow_private) = (generate(provider), generate(provider));
    let ours = LocalKey::load(provider, &our_private).unwrap();
    let peers = Arc::new(Pins::new([fingerprint(provider, snow_private.public_key())]));
    let mut snow = Snow::new(&snow_private, !we_initiate);
    let mut out = Vec::new();
    let progress = if we_initiate {
        let mut handshake = noise::Handshake::initiator(provider, ours, peers, options);
        assert!(matches!(handshake.advance(&[], &mut out).unwrap(), Progress::Incomplete { consumed: 0 }));
        snow.read(&out);
        out.clear();
        let progress = handshake.advance(&snow.write(), &mut out).unwrap();
        snow.read(&out);
        progress
    } else {
        let mut handshake = noise::Handshake::responder(provider, ours, peers, options);
        let first = snow.write();
        let Progress::Incomplete { consumed } = handshake.advance(&first, &mut out).unwrap() else { panic!() };
        assert_eq!(consumed, first.len());
        snow.read(&out);
        handshake.advance(&snow.write(), &mut Vec::new()).unwrap()
    };
    let Progress::Complete { established, .. } = progress else { panic!("the handshake is complete") };
    // the first trap: taken before the change-over, where it is whole
    let snow_saw = snow.0.get_remote_static().unwrap().to_vec();
    Interop {
        ours: *established,
        snow: snow.0.into_transport_mode().unwrap(),
        snow_saw,
        our_key: *our_private.public_key(),
        snow_key: *snow_private.public_key(),
    }
}

impl Interop {
    fn snow_sends(&mut self, plaintext: &[u8]) -> Vec<u8> {
        let mut message = vec![0; plaintext.len() + 16];
        let length = self.snow.write_message(plaintext, &mut message).unwrap();
        framed(&message[..length])
    }

    fn snow_opens(&mut self, mut stream: &[u8]) -> Vec<Vec<u8>> {
        let mut plaintexts = Vec::new();
        while let Some((length, rest)) = stream.split_first_chunk::<2>() {
            let (message, rest) = rest.split_at(usize::from(u16::from_be_bytes(*length)));
            let mut plaintext = vec![0; message.len()];
            let length = self.snow.read_message(message, &mut plaintext).unwrap();
            plaintext.truncate(length);
            plaintexts.push(plaintext);
            stream = rest;
        }
        plaintexts
    }
}

#[test]
fn snow_at_the_other_end_in_both_roles() {
    for provider in providers() {
        for we_initiate in [true, false] {
            let mut channel = with_snow(&provider, we_initiate, RecordOptions::default());
            assert_eq!(channel.ours.peer.key().unwrap().public_key(), &channel.snow_key);
            assert_eq!(channel.snow_saw, channel.our_key.as_bytes());

            let mut stream = Vec::new();
            let large = vec![7; MAX_PART + 1];
            channel.ours.writer.write_message(b"hello", &mut stream).unwrap();
            channel.ours.writer.write_message(&[], &mut stream).unwrap();
            channel.ours.writer.write_message(&large, &mut stream).unwrap();
            channel.ours.writer.write_close(&mut stream).unwrap();
            let heard = channel.snow_opens(&stream);
            let expected = [b"\x01hello".to_vec(), vec![1], [&[0][..], &large[1..]].concat(), vec![1, 7], vec![2]];
            assert_eq!(heard, expected);

            let mut stream = [
                channel.snow_sends(b"\x01hello"),
                channel.snow_sends(b"\x00one "),
                channel.snow_sends(b"\x00and "),
                channel.snow_sends(b"\x01two"),
                channel.snow_sends(b"\x01"),
                channel.snow_sends(b"\x02"),
            ]
            .concat();
            let heard = read_all(&mut channel.ours.reader, &mut stream).unwrap();
            assert_eq!(heard, (vec![b"hello".to_vec(), b"one and two".to_vec(), vec![]], true));
        }
    }
}

#[test]
fn both_ends_and_snow_rekey_at_the_same_message() {
    let provider = support::aws_lc_rs();
    let rekey = Rekey { messages: NonZeroU64::new(3).unwrap(), bytes: None };
    for we_initiate in [true, false] {
        let mut channel = with_snow(&provider, we_initiate, RecordOptions { rekey, ..RecordOptions::default() });
        for number in 0..20_u8 {
            let mut stream = Vec::new();
            channel.ours.writer.write_message(&[number], &mut stream).unwrap();
            assert_eq!(channel.snow_opens(&stream), [[1, number]]);
            let mut stream = channel.snow_sends(&[1, number, number]);
            let heard = read_all(&mut channel.ours.reader, &mut stream).unwrap();
            assert_eq!(heard, (vec![vec![number, number]], false));
            if number % 3 == 2 {
                channel.snow.rekey_outgoing();
                channel.snow.rekey_incoming();
            }
        }
    }
}

#[test]
fn the_default_rekeys_after_65536_messages() {
    let mut channel = with_snow(&support::aws_lc_rs(), true, RecordOptions::default());
    for number in 0..65_536_u32 {
        let mut stream = channel.snow_sends(&[1]);
        assert!(read_all(&mut channel.ours.reader, &mut stream).is_ok(), "{number}");
        stream.clear();
        channel.ours.writer.write_message(&[], &mut stream).unwrap();
        assert_eq!(channel.snow_opens(&stream), [[1]], "{number}");
    }
    // each end has changed its key in each direction: snow understands nothing until it does, too
    let mut stream = Vec::new();
    channel.ours.writer.write_message(b"new key", &mut stream).unwrap();
    assert!(channel.snow.read_message(unframed(&stream), &mut [0; 100]).is_err());
    channel.snow.rekey_incoming();
    assert_eq!(channel.snow_opens(&stream), [b"\x01new key"]);
    channel.snow.rekey_outgoing();
    let mut stream = channel.snow_sends(b"\x01new key");
    assert_eq!(read_all(&mut channel.ours.reader, &mut stream), Ok((vec![b"new key".to_vec()], false)));
}

#[test]
fn rekeying_by_bytes() {
    let provider = support::aws_lc_rs();
    let rekey = Rekey { messages: Rekey::DEFAULT_MESSAGES, bytes: NonZeroU64::new(1000) };
    let mut channel = with_snow(&provider, true, RecordOptions { rekey, ..RecordOptions::default() });
    // 1 marker, 300 bytes, 16 of tag: the fourth message reaches 1000
    for number in 0..12 {
        let mut stream = Vec::new();
        channel.ours.writer.write_message(&[7; 300], &mut stream).unwrap();
        assert_eq!(channel.snow_opens(&stream).len(), 1, "{number}");
        if number % 4 == 3 {
            channel.snow.rekey_incoming();
        }
    }
}

#[test]
fn ends_that_disagree_about_rekeying_part() {
    let provider = support::aws_lc_rs();
    let key = || support::local_key(&provider);
    let rekey = Rekey { messages: NonZeroU64::new(2).unwrap(), bytes: None };
    let sooner = RecordOptions { rekey, ..RecordOptions::default() };
    let initiator = noise::Handshake::initiator(&provider, key(), Arc::new(Anybody), sooner);
    let responder = noise::Handshake::responder(&provider, key(), Arc::new(Anybody), RecordOptions::default());
    let (mut client, mut server) = establish((initiator.into(), responder.into()));
    let mut stream = Vec::new();
    for _ in 0..3 {
        client.writer.write_message(b"x", &mut stream).unwrap();
    }
    assert_eq!(read_all(&mut server.reader, &mut stream), Err(RecordError::Unauthentic));
}

#[test]
fn snow_cuts_a_p256_key_to_32_bytes_after_the_change_over() {
    // why a `snow` peer's key is taken from the handshake state: if this changes, the specification's warning can go
    let channel = with_snow(&support::aws_lc_rs(), true, RecordOptions::default());
    assert_eq!(channel.snow.get_remote_static().unwrap(), &channel.our_key.as_bytes()[..32]);
}

#[test]
fn snow_panics_on_a_scalar_out_of_range_and_we_draw_again() {
    struct Ones;
    impl snow::types::Random for Ones {
        fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), snow::Error> {
            out.fill(0xff);
            Ok(())
        }
    }
    use snow::resolvers::CryptoResolver as _;
    let mut dh = snow::resolvers::DefaultResolver.resolve_dh(&snow::params::DHChoice::P256).unwrap();
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| dh.generate(&mut Ones)));
    assert!(panicked.is_err(), "snow draws again: the specification's warning can go");

    // RustCrypto draws from the slot; aws-lc-rs makes key pairs with a generator of its own
    let script = vec![vec![0xff; 32], vec![0; 32], vec![7; 32]];
    let random = Box::leak(Box::new(support::ScriptedRandom(std::sync::Mutex::new(script))));
    let provider = Provider { random, ..studioml_envelope_rustcrypto::PROVIDER };
    let handshake =
        noise::Handshake::initiator(&provider, fixed_key(&provider), Arc::new(Anybody), RecordOptions::default());
    let mut first = Vec::new();
    Handshake::from(handshake).advance(&[], &mut first).unwrap();
    let seventh = provider.agree_static.public_key_of(&studioml_envelope_core::SecretBytes::new(vec![7; 32]));
    assert_eq!(unframed(&first), seventh.unwrap().as_bytes());
}

fn fixed_key(provider: &Provider) -> LocalKey {
    let scalar = studioml_envelope_core::SecretBytes::new(vec![9; 32]);
    let public = provider.agree_static.public_key_of(&scalar).unwrap();
    LocalKey::load(provider, &P256PrivateKey::new(scalar, public).unwrap()).unwrap()
}

#[test]
fn a_peer_is_pinned_by_any_form_of_fingerprint() {
    let provider = support::aws_lc_rs();
    let (client, server) = (support::local_key(&provider), support::local_key(&provider));
    let pair = |pins: Pins| -> (Handshake, Handshake) {
        (
            noise::Handshake::initiator(&provider, client.clone(), Arc::new(pins), RecordOptions::default()).into(),
            noise::Handshake::responder(&provider, server.clone(), Arc::new(Anybody), RecordOptions::default()).into(),
        )
    };
    let forms = Fingerprint::all_of(&PublicKey::P256(*server.public_key()), provider.digest);
    for form in forms {
        let (client, _) = establish(pair(Pins::new([form])));
        assert_eq!(client.peer.key().unwrap().fingerprints(), &forms);
    }
    let stranger = fingerprint(&provider, client.public_key());
    for pins in [Pins::default(), Pins::new([stranger])] {
        let (client, server) = pair(pins);
        let mut sent = Vec::new();
        let outcome = run(client, server, |_, bytes| sent.push(bytes.clone()));
        let refusal = HandshakeError::PeerNotAllowed { fingerprint: forms[0] };
        assert_eq!(outcome.client.unwrap().unwrap_err(), refusal);
        assert!(outcome.server.is_none(), "the client named itself to a stranger");
        assert_eq!(sent.len(), 2);
    }
}

#[test]
fn a_client_off_the_list_gets_nowhere() {
    let provider = support::aws_lc_rs();
    let (client, server) = (support::local_key(&provider), support::local_key(&provider));
    let outcome = run(
        noise::Handshake::initiator(
            &provider,
            client.clone(),
            support::pinned(&provider, &server),
            RecordOptions::default(),
        )
        .into(),
        noise::Handshake::responder(&provider, server, Arc::new(Pins::default()), RecordOptions::default()).into(),
        |_, _| {},
    );
    let refusal = HandshakeError::PeerNotAllowed { fingerprint: fingerprint(&provider, client.public_key()) };
    assert_eq!(outcome.server.unwrap().unwrap_err(), refusal);
}

#[test]
fn every_changed_bit_of_the_handshake_is_noticed() {
    let provider = support::aws_lc_rs();
    let lengths: Vec<usize> = flights(noise_pair(&provider, RecordOptions::default())).iter().map(Vec::len).collect();
    assert_eq!(lengths, [2 + 65, 2 + 162, 2 + 97]);
    for (flight, length) in lengths.into_iter().enumerate() {
        for at in 0..length {
            let bit = at % 8;
            let (client, server) = noise_pair(&provider, RecordOptions::default());
            let outcome = run(client, server, |now, bytes| {
                if now == flight {
                    bytes[at] ^= 1 << bit;
                }
            });
            // message 1 and 2 keep the client out, message 3 the server; nobody is let in by a changed one
            let noticed_by = if flight == 2 { &outcome.server } else { &outcome.client };
            assert!(!matches!(noticed_by, Some(Ok(_))), "flight {flight}, byte {at}");
            assert!(!matches!(outcome.server, Some(Ok(_))), "flight {flight}, byte {at}");
        }
    }
}

#[test]
fn every_prefix_of_the_handshake_waits_and_answers_nothing() {
    let provider = support::aws_lc_rs();
    let sent = flights(noise_pair(&provider, RecordOptions::default()));
    for length in 0..sent[0].len() {
        let (_, mut server) = noise_pair(&provider, RecordOptions::default());
        let mut output = Vec::new();
        let progress = server.advance(&sent[0][..length], &mut output);
        assert!(matches!(progress, Ok(Progress::Incomplete { consumed: 0 })), "{length}");
        assert!(output.is_empty());
    }
}

#[test]
fn a_message_of_the_wrong_length_is_refused_by_its_first_two_bytes() {
    let provider = support::aws_lc_rs();
    for length in [0_u16, 64, 66, 97, 162, 65_535] {
        let (_, mut server) = noise_pair(&provider, RecordOptions::default());
        let refusal = server.advance(&length.to_be_bytes(), &mut Vec::new()).unwrap_err();
        assert_eq!(refusal, HandshakeError::Length { expected: 65, found: usize::from(length) });
        assert_eq!(server.advance(&[], &mut Vec::new()).unwrap_err(), HandshakeError::Over);
    }
}

#[test]
fn bad_ephemeral_points_are_refused_before_use() {
    for provider in providers() {
        let good = *support::local_key(&provider).public_key().as_bytes();
        let changed = |at: usize, mask: u8| {
            let mut point = good;
            point[at] ^= mask;
            point
        };
        let mut zero = [0; 65];
        zero[0] = 4;
        for (name, point, refusal) in [
            ("y off the curve", changed(64, 1), KeyError::PointNotOnCurve),
            ("(0, 0)", zero, KeyError::PointNotOnCurve),
            ("ones", [&[4][..], &[0xff; 64]].concat().try_into().unwrap(), KeyError::PointNotOnCurve),
            ("compressed prefix", changed(0, 4 ^ 2), KeyError::PointEncoding),
            ("hybrid prefix", changed(0, 4 ^ 6), KeyError::PointEncoding),
            ("identity", [0; 65], KeyError::PointEncoding),
        ] {
            let (_, mut server) = noise_pair(&provider, RecordOptions::default());
            let mut output = Vec::new();
            assert_eq!(server.advance(&framed(&point), &mut output).unwrap_err(), refusal.clone().into(), "{name}");
            assert!(output.is_empty(), "{name}");

            let (mut client, _) = noise_pair(&provider, RecordOptions::default());
            client.advance(&[], &mut output).unwrap();
            let message_2 = framed(&[&point[..], &[0; 97]].concat());
            assert_eq!(client.advance(&message_2, &mut output).unwrap_err(), refusal.into(), "{name}");
        }
    }
}

#[test]
fn transport_messages_keep_their_order_and_direction() {
    let provider = support::aws_lc_rs();
    let fresh = || establish(noise_pair(&provider, RecordOptions::default()));
    let record = |end: &mut Established, message: &[u8]| {
        let mut out = Vec::new();
        end.writer.write_message(message, &mut out).unwrap();
        out
    };
    let (mut client, mut server) = fresh();
    let (_dropped, mut second) = (record(&mut client, b"one"), record(&mut client, b"two"));
    assert_eq!(server.reader.read(&mut second), Err(RecordError::Unauthentic), "dropped or reordered");
    assert_eq!(server.reader.read(&mut second), Err(RecordError::Closed), "nothing is read after a failure");

    let (mut client, mut server) = fresh();
    let first = record(&mut client, b"one");
    assert!(server.reader.read(&mut first.clone()).is_ok());
    assert_eq!(server.reader.read(&mut first.clone()), Err(RecordError::Unauthentic), "replayed");

    let (mut client, _) = fresh();
    let mut own = record(&mut client, b"one");
    assert_eq!(client.reader.read(&mut own), Err(RecordError::Unauthentic), "reflected");

    let (mut client, _) = fresh();
    let (_, mut other_server) = fresh();
    let mut foreign = record(&mut client, b"one");
    assert_eq!(other_server.reader.read(&mut foreign), Err(RecordError::Unauthentic), "of another connection");

    let (mut client, mut server) = fresh();
    let whole = record(&mut client, b"one");
    for length in 0..whole.len() {
        let mut cut = whole[..length].to_vec();
        let cut = server.reader.read(&mut cut);
        assert!(matches!(cut, Ok(Received::Incomplete { consumed: 0, missing }) if missing <= whole.len() - length));
    }
    assert!(matches!(server.reader.read(&mut whole.clone()), Ok(Received::Message { .. })));

    for at in 0..whole.len() {
        let (mut client, mut server) = fresh();
        let mut record = record(&mut client, b"one");
        record[at] ^= 1;
        let verdict = server.reader.read(&mut record);
        assert!(
            matches!(
                verdict,
                Err(RecordError::Unauthentic | RecordError::Length { .. }) | Ok(Received::Incomplete { .. })
            ),
            "byte {at}: {verdict:?}"
        );
    }
}

#[test]
fn markers_that_say_nothing_sensible_are_refused() {
    let provider = support::aws_lc_rs();
    for plaintexts in [
        vec![&b"\x03"[..]],              // no such marker
        vec![&b"\xff data"[..]],         // no such marker
        vec![&b"\x02data"[..]],          // a close with data
        vec![&b"\x00half"[..], b"\x02"], // a close in the middle of a message
    ] {
        let mut channel = with_snow(&provider, true, RecordOptions::default());
        let mut stream: Vec<u8> = plaintexts.iter().flat_map(|plaintext| channel.snow_sends(plaintext)).collect();
        assert_eq!(read_all(&mut channel.ours.reader, &mut stream), Err(RecordError::Marker), "{plaintexts:?}");
    }
    let mut channel = with_snow(&provider, true, RecordOptions::default());
    let mut without_marker = channel.snow_sends(b"");
    let refusal = RecordError::Length { found: 16, minimum: 17, maximum: 65_535 };
    assert_eq!(read_all(&mut channel.ours.reader, &mut without_marker), Err(refusal));
}

#[test]
fn sizes_at_their_limits() {
    let provider = support::aws_lc_rs();
    let options = RecordOptions { max_message: 100_000, ..RecordOptions::default() };
    for size in [0, 1, MAX_PART - 1, MAX_PART, MAX_PART + 1, 100_000] {
        let (mut client, mut server) = establish(noise_pair(&provider, options));
        let message: Vec<u8> = (0..size).map(|at| (at % 251) as u8).collect();
        let mut stream = Vec::new();
        client.writer.write_message(&message, &mut stream).unwrap();
        assert_eq!(stream.len(), size + size.div_ceil(MAX_PART).max(1) * (2 + 1 + 16));
        assert_eq!(read_all(&mut server.reader, &mut stream), Ok((vec![message], false)));
    }
    let (mut client, _) = establish(noise_pair(&provider, options));
    let mut stream = Vec::new();
    let too_large = Err(RecordError::TooLarge { maximum: 100_000 });
    assert_eq!(client.writer.write_message(&[0; 100_001], &mut stream), too_large);
    assert!(stream.is_empty());

    // a peer that keeps to no limit: in one part, and in many
    let small = RecordOptions { max_message: 10, ..RecordOptions::default() };
    let mut channel = with_snow(&provider, true, small);
    let mut stream = channel.snow_sends(b"\x01eleven bytes");
    assert_eq!(read_all(&mut channel.ours.reader, &mut stream), Err(RecordError::TooLarge { maximum: 10 }));
    let mut channel = with_snow(&provider, true, small);
    let mut stream: Vec<u8> = (0..11).flat_map(|_| channel.snow_sends(b"\x00a")).collect();
    assert_eq!(read_all(&mut channel.ours.reader, &mut stream), Err(RecordError::TooLarge { maximum: 10 }));
}

#[test]
fn a_message_in_parts_is_known_to_be_unfinished() {
    let provider = support::aws_lc_rs();
    let mut channel = with_snow(&provider, false, RecordOptions::default());
    let mut stream = channel.snow_sends(b"\x00half");
    assert!(!channel.ours.reader.is_mid_message());
    assert_eq!(read_all(&mut channel.ours.reader, &mut stream), Ok((vec![], false)));
    assert!(channel.ours.reader.is_mid_message(), "an end of the stream here is truncation");
}

#[test]
fn nothing_shows_a_secret() {
    let provider = support::aws_lc_rs();
    let private = generate(&provider);
    let local = LocalKey::load(&provider, &private).unwrap();
    let (client, server) = noise_pair(&provider, RecordOptions::default());
    let shown = format!("{local:?} {client:?} {server:?}");
    let scalar: Vec<String> = private.scalar().expose_secret().iter().map(|byte| format!("{byte:02x}")).collect();
    assert!(!shown.contains(&scalar.join(", ")));
    let (client, _) = establish((client, server));
    assert_eq!(format!("{:?}", client.writer), "RecordWriter(Noise(noise::Writer { closed: false, .. }))");
    assert_eq!(format!("{:?}", client.reader), "RecordReader(Noise(noise::Reader { over: false, .. }))");
}

proptest::proptest! {
    #[test]
    fn messages_survive_any_sizes(
        sizes in prop::collection::vec(0_usize..150_000, 0..6),
        byte in any::<u8>(),
    ) {
        let (mut client, mut server) = establish(noise_pair(&support::aws_lc_rs(), RecordOptions::default()));
        let messages: Vec<Vec<u8>> = sizes.iter().map(|size| vec![byte; *size]).collect();
        let mut stream = Vec::new();
        for message in &messages {
            server.writer.write_message(message, &mut stream).unwrap();
        }
        proptest::prop_assert_eq!(read_all(&mut client.reader, &mut stream), Ok((messages, false)));
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..400), length in 0_usize..4) {
        let prefix: &[u8] = [&[][..], &[0, 65], &[0, 162], &[0, 97]][length];
        let mut input = [prefix, &bytes].concat();
        let (mut client, mut server) = noise_pair(&support::aws_lc_rs(), RecordOptions::default());
        client.advance(&[], &mut Vec::new()).unwrap();
        let _ = client.advance(&input, &mut Vec::new());
        let _ = server.advance(&input, &mut Vec::new());
        let (_, mut server) = establish(noise_pair(&support::aws_lc_rs(), RecordOptions::default()));
        let _ = server.reader.read(&mut input);
    }
}
