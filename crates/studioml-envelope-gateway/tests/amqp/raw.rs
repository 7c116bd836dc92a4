//! As much of AMQP 0-9-1 as it takes to publish a message with properties that no client library writes.

use std::io::{Read, Write};
use std::net::TcpStream;

use crate::support::rabbit::Vhost;

/// Property flags of the specification: which property follows.
pub const HEADERS: u16 = 1 << 13;
pub const MESSAGE_ID: u16 = 1 << 7;

const METHOD: u8 = 1;
const HEADER: u8 = 2;
const BODY: u8 = 3;
const FRAME_END: u8 = 0xce;

/// Publishes a message to a queue by its name, and returns when the broker has it.
pub fn publish(vhost: &Vhost, queue: &str, flags: u16, properties: &[u8], body: &[u8]) {
    let address = vhost.url.split('@').nth(1).unwrap().split('/').next().unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(b"AMQP\x00\x00\x09\x01").unwrap();
    expect(&mut stream, [10, 10]);
    let start_ok = [&[0; 4][..], &short(b"PLAIN"), &long(b"\0guest\0guest"), &short(b"en_US")].concat();
    send(&mut stream, METHOD, 0, &method([10, 11], &start_ok));
    expect(&mut stream, [10, 30]);
    let frame_max: u32 = 131_072;
    send(&mut stream, METHOD, 0, &method([10, 31], &[&[0, 9][..], &frame_max.to_be_bytes(), &[0; 2]].concat()));
    send(&mut stream, METHOD, 0, &method([10, 40], &[&short(vhost.name.as_bytes())[..], &[0; 2]].concat()));
    expect(&mut stream, [10, 41]);
    send(&mut stream, METHOD, 1, &method([20, 10], &[0]));
    expect(&mut stream, [20, 11]);

    let destination = [&[0; 2][..], &short(b""), &short(queue.as_bytes()), &[0]].concat();
    send(&mut stream, METHOD, 1, &method([60, 40], &destination));
    let length = body.len() as u64;
    let header = [&[0, 60, 0, 0][..], &length.to_be_bytes(), &flags.to_be_bytes(), properties].concat();
    send(&mut stream, HEADER, 1, &header);
    send(&mut stream, BODY, 1, body);
    // what is answered after it is answered when it is in the queue
    send(&mut stream, METHOD, 1, &method([20, 40], &[0; 7]));
    expect(&mut stream, [20, 41]);
}

/// A short string.
pub fn short(text: &[u8]) -> Vec<u8> {
    [&[u8::try_from(text.len()).unwrap()], text].concat()
}

/// A long string, and whatever else begins with its length.
pub fn long(text: &[u8]) -> Vec<u8> {
    [&u32::try_from(text.len()).unwrap().to_be_bytes()[..], text].concat()
}

fn method(id: [u16; 2], arguments: &[u8]) -> Vec<u8> {
    [&id[0].to_be_bytes()[..], &id[1].to_be_bytes(), arguments].concat()
}

fn send(stream: &mut TcpStream, kind: u8, channel: u16, payload: &[u8]) {
    let frame = [&[kind][..], &channel.to_be_bytes(), &long(payload), &[FRAME_END]].concat();
    stream.write_all(&frame).unwrap();
}

/// Reads one frame, which has to be this method.
fn expect(stream: &mut TcpStream, id: [u16; 2]) {
    let mut head = [0; 7];
    stream.read_exact(&mut head).unwrap();
    let length = u32::from_be_bytes(head[3..].try_into().unwrap());
    let mut payload = vec![0; length as usize + 1];
    stream.read_exact(&mut payload).unwrap();
    assert!(payload.starts_with(&method(id, &[])), "{id:?}: {payload:?}");
}
