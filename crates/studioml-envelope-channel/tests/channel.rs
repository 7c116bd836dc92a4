//! The adapter over a stream: messages through it, ends told apart, deadlines, memory of an idle channel.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod support;

use std::time::Duration;

use studioml_envelope_channel::{
    Channel, ChannelError, Deadlines, Handshake, HandshakeError, RecordError, RecordOptions,
};
use studioml_envelope_core::Provider;
use support::{noise_pair, seed_pair};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex},
    time::Instant,
};

type Pair = fn(&Provider, RecordOptions) -> (Handshake, Handshake);
const MODES: [(&str, Pair); 2] = [("seed", seed_pair), ("noise", noise_pair)];

/// A pipe that holds this many bytes: small enough that everything has to wait for the other end.
const PIPE: usize = 100;

async fn connect(pair: Pair, pipe: usize) -> (Channel<DuplexStream>, Channel<DuplexStream>) {
    let (client, server) = pair(&support::aws_lc_rs(), RecordOptions::default());
    let (left, right) = duplex(pipe);
    let deadlines = Deadlines::default();
    let (left, right) =
        tokio::join!(Channel::establish(left, client, deadlines), Channel::establish(right, server, deadlines));
    (left.unwrap(), right.unwrap())
}

#[tokio::test]
async fn messages_of_every_size_and_the_close() {
    for (mode, pair) in MODES {
        let (mut client, mut server) = connect(pair, PIPE).await;
        let sizes = [1, 2, 4096, 65_517, 65_518, 65_519, 300_000];
        let sending = async {
            for size in sizes {
                client.send(&vec![7; size]).await.unwrap();
            }
            client.close().await.unwrap();
        };
        let receiving = async {
            for size in sizes {
                assert_eq!(server.receive().await.unwrap().unwrap(), vec![7; size], "{mode}");
            }
            assert_eq!(server.receive().await.unwrap(), None, "{mode}");
            assert_eq!(server.receive().await.unwrap(), None, "the end stays the end");
            server.close().await.unwrap();
        };
        tokio::join!(sending, receiving);
    }
}

#[tokio::test]
async fn a_cut_is_told_from_a_close() {
    for (mode, pair) in MODES {
        // at every byte of a message's records, and right before the close
        let (mut client, server) = connect(pair, 1 << 20).await;
        drop(server);
        client.send(b"hello").await.unwrap_err();

        for kept in 0..4 + 28 + 5 {
            let (client, server) = pair(&support::aws_lc_rs(), RecordOptions::default());
            let (left, mut middle_left) = duplex(1 << 16);
            let (mut middle_right, right) = duplex(1 << 16);
            let deadlines = Deadlines::default();
            let (done, mut finished) = tokio::sync::oneshot::channel::<()>();
            let relay = async {
                loop {
                    let (mut one, mut other) = ([0; 1024], [0; 1024]);
                    tokio::select! {
                        biased;
                        _ = &mut finished => return (middle_left, middle_right),
                        read = middle_left.read(&mut one) => middle_right.write_all(&one[..read.unwrap()]).await.unwrap(),
                        read = middle_right.read(&mut other) => middle_left.write_all(&other[..read.unwrap()]).await.unwrap(),
                    }
                }
            };
            let establish = async {
                let ends = tokio::join!(
                    Channel::establish(left, client, deadlines),
                    Channel::establish(right, server, deadlines)
                );
                done.send(()).unwrap();
                (ends.0.unwrap(), ends.1.unwrap())
            };
            let ((mut middle_left, mut middle_right), (mut client, mut server)) = tokio::join!(relay, establish);
            client.send(b"hello").await.unwrap();
            let mut record = vec![0; 1024];
            let length = middle_left.read(&mut record).await.unwrap();
            let kept = kept.min(length - 1);
            middle_right.write_all(&record[..kept]).await.unwrap();
            drop(middle_right);
            let end = server.receive().await.unwrap_err();
            assert!(matches!(end, ChannelError::Truncated), "{mode}, {kept} bytes: {end:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_handshake_has_a_deadline() {
    for (mode, pair) in MODES {
        for dripping in [false, true] {
            let (_, server) = pair(&support::aws_lc_rs(), RecordOptions::default());
            let (mut silent, right) = duplex(1 << 16);
            let deadlines = Deadlines { handshake: Duration::from_secs(5), ..Deadlines::default() };
            let began = Instant::now();
            let drip = async {
                let first: &[u8] =
                    if mode == "seed" { b"-----BEGIN PUBLIC KEY-----\nAAAAAAAA" } else { &[0, 65, 4, 4, 4, 4, 4, 4] };
                for byte in first.iter().take(if dripping { usize::MAX } else { 0 }) {
                    silent.write_all(&[*byte]).await.unwrap();
                    tokio::time::sleep(Duration::from_millis(900)).await;
                }
                std::future::pending::<()>().await;
            };
            let end = tokio::select! {
                end = Channel::establish(right, server, deadlines) => end.unwrap_err(),
                () = drip => unreachable!("it waits for ever"),
            };
            assert!(matches!(end, ChannelError::Deadline { waiting_for: "the handshake", .. }), "{mode}: {end:?}");
            assert_eq!(began.elapsed().as_secs(), 5, "{mode}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_has_a_deadline_that_dripping_does_not_move() {
    for (mode, pair) in MODES {
        let (client, server) = pair(&support::aws_lc_rs(), RecordOptions::default());
        let (mut left, right) = duplex(1 << 16);
        let deadlines = Deadlines { message: Duration::from_secs(20), ..Deadlines::default() };
        let (client, server) = tokio::join!(
            Channel::establish(&mut left, client, deadlines),
            Channel::establish(right, server, deadlines)
        );
        drop(client.unwrap());
        let mut server = server.unwrap();
        let began = Instant::now();
        let header: &[u8] =
            if mode == "seed" { &[0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0] } else { &[1, 0, 7, 7, 7, 7, 7, 7] };
        let drip = async {
            for byte in header {
                left.write_all(&[*byte]).await.unwrap();
                tokio::time::sleep(Duration::from_secs(3)).await;
            }
            std::future::pending::<()>().await;
        };
        let end = tokio::select! {
            end = server.receive() => end.unwrap_err(),
            () = drip => unreachable!("it waits for ever"),
        };
        assert!(matches!(end, ChannelError::Deadline { waiting_for: "the rest of a message", .. }), "{mode}: {end:?}");
        assert_eq!(began.elapsed().as_secs(), 20, "{mode}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_idle_channel_and_one_that_does_not_read_have_deadlines() {
    for (mode, pair) in MODES {
        let (mut client, mut server) = connect(pair, PIPE).await;
        let began = Instant::now();
        let end = server.receive().await.unwrap_err();
        assert!(matches!(end, ChannelError::Idle { .. }), "{mode}: {end:?}");
        assert_eq!(began.elapsed().as_secs(), 15 * 60);

        let began = Instant::now();
        let end = client.send(&[7; 1000]).await.unwrap_err();
        assert!(matches!(end, ChannelError::Deadline { waiting_for: "writing", .. }), "{mode}: {end:?}");
        assert_eq!(began.elapsed().as_secs(), 30);
        assert!(matches!(client.send(b"more").await, Err(ChannelError::Interrupted)), "{mode}");
        assert!(
            matches!(client.close().await, Err(ChannelError::Interrupted)),
            "{mode}: no orderly end after half a message"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn receiving_can_be_dropped_and_taken_up_again() {
    for (mode, pair) in MODES {
        let (mut client, mut server) = connect(pair, PIPE).await;
        let sending = async {
            client.send(&[7; 200_000]).await.unwrap();
            client.send(b"last").await.unwrap();
        };
        let receiving = async {
            let mut dropped = 0;
            let first = loop {
                // every future gets one poll
                tokio::select! {
                    biased;
                    message = server.receive() => break message.unwrap().unwrap(),
                    () = std::future::ready(()) => dropped += 1,
                }
                tokio::task::yield_now().await;
            };
            assert_eq!(first, vec![7; 200_000], "{mode}");
            assert!(dropped > 100, "{mode}: only {dropped} futures were dropped");
            assert_eq!(server.receive().await.unwrap().unwrap(), b"last");
        };
        tokio::join!(sending, receiving);
    }
}

#[tokio::test]
async fn a_message_that_cannot_be_sent_leaves_the_channel_as_it_was() {
    for (mode, pair) in MODES {
        let (mut client, mut server) = connect(pair, 1 << 16).await;
        let too_large = client.send(&vec![7; 16 * 1024 * 1024 + 1]).await.unwrap_err();
        assert!(matches!(too_large, ChannelError::Record(RecordError::TooLarge { .. })), "{mode}");
        if mode == "seed" {
            let empty = client.send(&[]).await.unwrap_err();
            assert!(matches!(empty, ChannelError::Record(RecordError::EmptyMessage)));
        }
        client.send(b"fits").await.unwrap();
        assert_eq!(server.receive().await.unwrap().unwrap(), b"fits");
    }
}

#[tokio::test]
async fn an_end_during_the_handshake_says_so() {
    for (mode, pair) in MODES {
        let (_, server) = pair(&support::aws_lc_rs(), RecordOptions::default());
        let (left, right) = duplex(1 << 16);
        drop(left);
        let end = Channel::establish(right, server, Deadlines::default()).await.unwrap_err();
        assert!(matches!(end, ChannelError::EndedInHandshake), "{mode}: {end:?}");
    }
    let (_, server) = noise_pair(&support::aws_lc_rs(), RecordOptions::default());
    let (mut left, right) = duplex(1 << 16);
    left.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    let end = Channel::establish(right, server, Deadlines::default()).await.unwrap_err();
    assert!(matches!(end, ChannelError::Handshake(HandshakeError::Length { expected: 65, .. })), "{end:?}");
}
