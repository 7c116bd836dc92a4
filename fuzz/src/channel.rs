//! The channel (docs/spec.md §8) with somebody in the middle: handshakes and records of both modes, between any two providers,
//! changed, cut and repeated on the way.

use std::sync::{Arc, LazyLock};

use arbitrary::{Arbitrary, Unstructured};
use studioml_envelope_channel::{
    Established, Handshake, HandshakeError, MAX_HANDSHAKE_INPUT, Peer, Pins, Progress, Received, RecordError,
    RecordOptions, RecordReader, RecordWriter, Rekey, noise, seed,
};
use studioml_envelope_core::{Fingerprint, FingerprintForm, P256PublicKey, Provider, PublicKey};

use crate::keys::p256;
use crate::memory;
use crate::providers::{ALL, is_short};

const CLIENT: [u8; 32] = [0x11; 32];
const SERVER: [u8; 32] = [0x22; 32];

/// Message sizes here are those of a few records; the limit has to be met now and then.
const MAX_MESSAGE: usize = 150_000;

#[derive(Arbitrary, Debug)]
struct Setting {
    noise: bool,
    client: u8,
    server: u8,
    rekey_messages: u8,
    rekey_bytes: Option<u16>,
    /// The server does not know the client.
    stranger: bool,
}

impl Setting {
    fn options(&self) -> RecordOptions {
        let messages = u64::from(self.rekey_messages % 4) + 1;
        let rekey = Rekey {
            messages: messages.try_into().expect("at least 1"),
            bytes: self.rekey_bytes.and_then(|bytes| u64::from(bytes).try_into().ok()),
        };
        RecordOptions { max_message: MAX_MESSAGE, rekey }
    }

    fn ends(&self) -> (Handshake, Handshake) {
        let provider = |index: u8| &ALL[usize::from(index) % ALL.len()];
        self.ends_by(provider(self.client), provider(self.server))
    }

    /// The same, with everybody's agreements made by the first provider, which is quick: for what comes after them.
    fn ends_at_once(&self) -> (Handshake, Handshake) {
        let provider = |index: u8| {
            let Provider { agree, agree_static, .. } = ALL[0];
            Provider { agree, agree_static, ..ALL[usize::from(index) % ALL.len()] }
        };
        self.ends_by(&provider(self.client), &provider(self.server))
    }

    fn ends_by(&self, client: &Provider, server: &Provider) -> (Handshake, Handshake) {
        if !self.noise {
            let client = seed::Handshake::unauthenticated_client(client, self.options());
            return (client.into(), seed::Handshake::unauthenticated_server(server, self.options()).into());
        }
        let known = if self.stranger { SERVER } else { CLIENT };
        let (to_server, to_client) = (Arc::new(pins(SERVER)), Arc::new(pins(known)));
        let initiator = noise::Handshake::initiator(client, local(client, CLIENT), to_server, self.options());
        let responder = noise::Handshake::responder(server, local(server, SERVER), to_client, self.options());
        (initiator.into(), responder.into())
    }
}

fn local(provider: &Provider, scalar: [u8; 32]) -> noise::LocalKey {
    noise::LocalKey::load(provider, &p256(scalar).expect("a scalar in range")).expect("a consistent key")
}

static PUBLIC: LazyLock<[P256PublicKey; 2]> =
    LazyLock::new(|| [CLIENT, SERVER].map(|scalar| *p256(scalar).expect("a scalar in range").public_key()));

fn public(scalar: [u8; 32]) -> P256PublicKey {
    PUBLIC[usize::from(scalar == SERVER)]
}

fn pins(scalar: [u8; 32]) -> Pins {
    let key = PublicKey::P256(public(scalar));
    Pins::new([Fingerprint::of(&key, FingerprintForm::SshSha256, ALL[0].digest)])
}

/// One end of a handshake and what it has not consumed.
struct End {
    handshake: Handshake,
    input: Vec<u8>,
    established: Option<Established>,
    failure: Option<HandshakeError>,
}

impl End {
    fn new(handshake: Handshake) -> Self {
        Self { handshake, input: Vec::new(), established: None, failure: None }
    }

    /// Takes bytes off the wire, as a caller with a buffer of the stated size does; gives what is to be sent.
    fn take(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut output = Vec::new();
        self.input.extend_from_slice(bytes);
        while self.established.is_none() && self.failure.is_none() {
            let seen = self.input.len().min(MAX_HANDSHAKE_INPUT);
            let before = output.len();
            match self.handshake.advance(&self.input[..seen], &mut output) {
                Ok(Progress::Incomplete { consumed }) => {
                    assert!(consumed <= seen);
                    assert!(consumed > 0 || seen < MAX_HANDSHAKE_INPUT, "waits for more than it looks at");
                    self.input.drain(..consumed);
                    if consumed == 0 {
                        break;
                    }
                }
                Ok(Progress::Complete { consumed, established }) => {
                    assert!(consumed <= seen);
                    self.input.drain(..consumed);
                    self.established = Some(*established);
                }
                Err(error) => {
                    is_short(&error);
                    assert_eq!(output.len(), before, "who refuses says nothing");
                    assert_eq!(self.handshake.advance(b"", &mut output).err(), Some(HandshakeError::Over));
                    self.failure = Some(error);
                }
            }
        }
        output
    }
}

#[derive(Arbitrary, Debug)]
struct HandshakeInput {
    setting: Setting,
    changes: Vec<Change>,
    chunk: u8,
}

/// A change to the nth byte that goes over the wire, in either direction.
#[derive(Arbitrary, Debug)]
struct Change {
    at: u16,
    how: How,
}

#[derive(Arbitrary, Debug)]
enum How {
    Flip(u8),
    Insert(u8),
    Drop,
}

/// A handshake between two honest ends, over a wire that may change it.
pub fn handshake(data: &[u8]) {
    let Ok(input) = HandshakeInput::arbitrary_take_rest(Unstructured::new(data)) else { return };
    let (client, server) = input.setting.ends();
    let (mut client, mut server) = (End::new(client), End::new(server));
    let mut wire = Wire { changes: &input.changes, position: 0, changed: false };

    let mut to_server = client.take(b"");
    assert!(server.take(b"").is_empty(), "a server does not speak first");
    for _ in 0..3 {
        let to_client = deliver(&mut server, &wire.pass(&to_server), input.chunk);
        to_server = deliver(&mut client, &wire.pass(&to_client), input.chunk);
    }

    for (end, other) in [(&client, SERVER), (&server, CLIENT)] {
        match end.established.as_ref().map(|established| &*established.peer) {
            Some(Peer::Authenticated(key)) => assert_eq!(*key.public_key(), public(other), "somebody else"),
            Some(Peer::Unauthenticated) => assert!(!input.setting.noise),
            None => {}
        }
    }
    let both = client.established.is_some() && server.established.is_some();
    if !wire.changed {
        let stranger = input.setting.noise && input.setting.stranger;
        assert_eq!(both, !stranger, "{:?} {:?}", client.failure, server.failure);
        assert!(!stranger || matches!(server.failure, Some(HandshakeError::PeerNotAllowed { .. })));
    } else if input.setting.noise && both {
        panic!("a handshake that was changed on the way completed at both ends");
    }
    if let (Some(client), Some(server)) = (client.established, server.established) {
        let mut record = Vec::new();
        let (mut writer, mut reader) = (client.writer, server.reader);
        writer.write_message(b"first", &mut record).expect("a small message");
        let read = reader.read(&mut record);
        // the seed's exchange has nothing to notice a change by but that the keys differ
        assert!(wire.changed || matches!(read, Ok(Received::Message { .. })), "{read:?}");
    }
}

struct Wire<'c> {
    changes: &'c [Change],
    position: usize,
    changed: bool,
}

impl Wire<'_> {
    fn pass(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(bytes.len());
        for byte in bytes {
            let change = self.changes.iter().find(|change| usize::from(change.at) == self.position);
            self.position += 1;
            let before = out.len();
            match change.map(|change| &change.how) {
                None => out.push(*byte),
                Some(How::Flip(bits)) => out.push(byte ^ bits),
                Some(How::Insert(more)) => out.extend([*more, *byte]),
                Some(How::Drop) => {}
            }
            self.changed |= out[before..] != [*byte];
        }
        out
    }
}

fn deliver(end: &mut End, bytes: &[u8], chunk: u8) -> Vec<u8> {
    bytes.chunks(usize::from(chunk) + 1).flat_map(|bytes| end.take(bytes)).collect()
}

/// The first byte chooses the end, the rest is what comes to it from a peer that need not be honest.
pub fn handshake_bytes(data: &[u8]) {
    let Some((setting, bytes)) = data.split_first() else { return };
    let setting = Setting {
        noise: setting & 1 == 1,
        client: setting >> 2,
        server: setting >> 2,
        rekey_messages: 0,
        rekey_bytes: None,
        stranger: false,
    };
    let run = |whole: bool| {
        let (client, server) = setting.ends();
        let mut end = End::new(if data[0] & 2 == 0 { client } else { server });
        memory::at_most(64 * 1024 + 2 * bytes.len(), || {
            end.take(b"");
            let chunk = if whole { bytes.len().max(1) } else { 1 };
            bytes.chunks(chunk).for_each(|bytes| drop(end.take(bytes)));
        });
        assert!(!(setting.noise && end.established.is_some()), "somebody without a key got in");
        (end.failure, end.established.is_some(), end.input.len())
    };
    assert_eq!(run(true), run(false), "what arrives at once and byte by byte");
}

#[derive(Arbitrary, Debug)]
struct RecordsInput<'a> {
    setting: Setting,
    messages: Vec<Sent>,
    close: bool,
    changes: Vec<RecordChange>,
    chunk: u16,
    text: &'a [u8],
}

/// A message: so many bytes of the text, repeated.
#[derive(Arbitrary, Debug)]
struct Sent {
    length: u16,
    times: u8,
}

#[derive(Arbitrary, Debug)]
enum RecordChange {
    Flip {
        at: u16,
        bits: u8,
    },
    Cut {
        at: u16,
    },
    Remove {
        at: u16,
        count: u16,
    },
    Repeat {
        from: u16,
        count: u16,
    },
    /// A record of the other direction.
    Reflect {
        at: u16,
    },
}

/// Messages one after another, changed on the way: what arrives is a beginning of what was sent, and nothing else.
pub fn records(data: &[u8]) {
    let Ok(mut input) = RecordsInput::arbitrary_take_rest(Unstructured::new(data)) else { return };
    input.setting.stranger = false;
    let Some((mut writer, mut reader, mut back)) = established(&input.setting) else { return };

    let mut sent = Vec::new();
    let mut stream = Vec::new();
    for message in input.messages.iter().take(8) {
        let part = &input.text[..usize::from(message.length).min(input.text.len())];
        let message = part.repeat(usize::from(message.times) + 1);
        match writer.write_message(&message, &mut stream) {
            Ok(()) => sent.push(message),
            Err(RecordError::TooLarge { maximum }) => assert!(message.len() > maximum),
            Err(RecordError::EmptyMessage) => assert!(message.is_empty() && !input.setting.noise),
            Err(error) => panic!("a message of {} bytes: {error}", message.len()),
        }
    }
    if input.close {
        writer.write_close(&mut stream).expect("nothing was closed before");
        assert_eq!(writer.write_message(b"more", &mut stream), Err(RecordError::Closed));
    }
    let original = stream.clone();
    for change in input.changes.iter().take(4) {
        apply(change, &mut stream, &mut back);
    }

    let (received, end) = memory::at_most(4 * stream.len() + 4 * MAX_MESSAGE, || {
        receive(&mut reader, &stream, usize::from(input.chunk) + 1)
    });
    assert!(sent.starts_with(&received), "what arrived is not a beginning of what was sent");
    if stream == original {
        assert_eq!(received.len(), sent.len());
        assert_eq!(end, if input.close { Ending::Closed } else { Ending::Waiting });
    } else if !stream.starts_with(&original) {
        // what comes behind the close is not read
        assert_ne!((received.len(), &end), (sent.len(), &Ending::Closed), "a change went unnoticed before the close");
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Ending {
    Closed,
    Waiting,
    Failed,
}

fn receive(reader: &mut RecordReader, stream: &[u8], chunk: usize) -> (Vec<Vec<u8>>, Ending) {
    let mut buffer = Vec::new();
    let mut messages = Vec::new();
    for bytes in stream.chunks(chunk) {
        buffer.extend_from_slice(bytes);
        loop {
            let length = buffer.len();
            let consumed = match reader.read(&mut buffer) {
                Ok(Received::Incomplete { consumed, missing }) => {
                    assert!(missing > 0 && missing <= MAX_MESSAGE + 64);
                    buffer.drain(..consumed);
                    break;
                }
                Ok(Received::Part { consumed }) => consumed,
                Ok(Received::Message { consumed, message }) => {
                    assert!(message.len() <= MAX_MESSAGE);
                    messages.push(message.into_owned());
                    consumed
                }
                Ok(Received::Closed { .. }) => return (messages, Ending::Closed),
                Err(error) => {
                    is_short(&error);
                    assert_eq!(reader.read(&mut buffer), Err(RecordError::Closed));
                    return (messages, Ending::Failed);
                }
            };
            assert!((1..=length).contains(&consumed));
            buffer.drain(..consumed);
        }
    }
    (messages, Ending::Waiting)
}

fn apply(change: &RecordChange, stream: &mut Vec<u8>, back: &mut RecordWriter) {
    if stream.is_empty() {
        return;
    }
    let place = |at: u16, stream: &[u8]| usize::from(at) % stream.len();
    match change {
        RecordChange::Flip { at, bits } => {
            let at = place(*at, stream);
            stream[at] ^= bits;
        }
        RecordChange::Cut { at } => stream.truncate(place(*at, stream)),
        RecordChange::Remove { at, count } => {
            let at = place(*at, stream);
            let end = stream.len().min(at + usize::from(*count));
            stream.drain(at..end);
        }
        RecordChange::Repeat { from, count } => {
            let from = place(*from, stream);
            let end = stream.len().min(from + usize::from(*count));
            let again = stream[from..end].to_vec();
            stream.splice(end..end, again);
        }
        RecordChange::Reflect { at } => {
            let at = place(*at, stream);
            let mut record = Vec::new();
            back.write_message(b"from the other side", &mut record).expect("a small message");
            stream.splice(at..at, record);
        }
    }
}

/// A channel: the client's writer, the server's reader, and the server's writer.
fn established(setting: &Setting) -> Option<(RecordWriter, RecordReader, RecordWriter)> {
    let (client, server) = setting.ends_at_once();
    let (mut client, mut server) = (End::new(client), End::new(server));
    let mut to_server = client.take(b"");
    for _ in 0..2 {
        to_server = client.take(&server.take(&to_server));
    }
    server.take(&to_server);
    let (client, server) = (client.established?, server.established?);
    Some((client.writer, server.reader, server.writer))
}
