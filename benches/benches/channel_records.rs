//! Records of the channel, sealed and opened on one core: in memory, and over loopback TCP.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::panic,
    reason = "criterion's macros write the functions; a bench may stop at once"
)]

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use studioml_envelope::Provider;
use studioml_envelope_benches::{
    channel::{Keys, Mode, establish, listen, one_thread},
    floor_label, serving, sized,
};
use studioml_envelope_channel::{Channel, Deadlines, Received, RecordReader, RecordWriter};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpStream,
};

const SIZES: [usize; 3] = [1 << 10, 16 << 10, 1 << 20];
const TAG: usize = 16;

/// The library without us: in place, one key, one nonce.
struct Gcm(LessSafeKey);

impl Gcm {
    fn new() -> Self {
        Self(LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &[7; 32]).unwrap()))
    }

    fn seal(&self, text: &mut [u8]) -> [u8; TAG] {
        let nonce = Nonce::assume_unique_for_key([7; 12]);
        self.0.seal_in_place_separate_tag(nonce, Aad::empty(), text).unwrap().as_ref().try_into().unwrap()
    }

    fn open(&self, tag: &[u8], text: &mut [u8]) {
        let nonce = Nonce::assume_unique_for_key([7; 12]);
        self.0.open_in_place_separate_tag(nonce, Aad::empty(), tag, text).unwrap();
    }
}

fn in_memory(criterion: &mut Criterion) {
    for mode in Mode::ALL {
        let mut group = criterion.benchmark_group(format!("channel-record-{}", mode.name()));
        for size in SIZES {
            sized(&mut group, size);
            let message = vec![7; size];
            for served in serving(|provider| provider.aead.implementation()) {
                let keys = Keys::generate(&served.provider);
                let (client, server) = establish(keys.handshakes(&served.provider, mode));
                let (mut writer, mut reader, mut stream) = (client.writer, server.reader, Vec::new());
                group.bench_function(BenchmarkId::new(&served.label, size), |bench| {
                    bench.iter(|| pass_on(&mut writer, &mut reader, black_box(&message), &mut stream));
                });
            }
            group.bench_function(BenchmarkId::new(floor_label("aws-lc-rs"), size), |bench| {
                let (gcm, mut text) = (Gcm::new(), message.clone());
                bench.iter(|| {
                    let tag = gcm.seal(&mut text);
                    gcm.open(black_box(&tag), &mut text);
                });
            });
        }
        group.finish();
    }
}

/// A message is written into a buffer and read in place from it, record by record.
fn pass_on(writer: &mut RecordWriter, reader: &mut RecordReader, message: &[u8], stream: &mut Vec<u8>) {
    let mut rest = Some(message);
    while let Some(part) = rest {
        stream.clear();
        rest = writer.write_part(part, stream).unwrap();
        match reader.read(stream).unwrap() {
            Received::Message { message: received, .. } => assert_eq!(black_box(received).len(), message.len()),
            Received::Part { .. } => {}
            Received::Incomplete { .. } | Received::Closed { .. } => panic!("whole records only"),
        }
    }
}

/// One direction through a socket, both ends on one thread.
fn over_loopback(criterion: &mut Criterion) {
    for mode in Mode::ALL {
        let mut group = criterion.benchmark_group(format!("channel-record-{}-over-tcp", mode.name()));
        for size in SIZES {
            sized(&mut group, size);
            for served in serving(|provider| provider.aead.implementation()) {
                group.bench_function(BenchmarkId::new(&served.label, size), |bench| {
                    bench.iter_custom(|messages| send(&served.provider, mode, size, messages));
                });
            }
            group.bench_function(BenchmarkId::new("floor: TCP and aws-lc-rs bare", size), |bench| {
                bench.iter_custom(|messages| send_bare(size, messages));
            });
        }
        group.finish();
    }
}

fn send(provider: &Provider, mode: Mode, size: usize, messages: u64) -> Duration {
    one_thread().block_on(async {
        let (client, server) = Keys::generate(provider).handshakes(provider, mode);
        let (left, right) = connected().await;
        let (left, right) = tokio::join!(
            Channel::establish(left, client, Deadlines::default()),
            Channel::establish(right, server, Deadlines::default())
        );
        let (mut left, mut right) = (left.unwrap(), right.unwrap());
        let message = vec![7; size];
        let began = Instant::now();
        let receiving = tokio::spawn(async move {
            for _ in 0..messages {
                assert_eq!(black_box(right.receive().await.unwrap().unwrap()).len(), size);
            }
        });
        for _ in 0..messages {
            left.send(&message).await.unwrap();
        }
        receiving.await.unwrap();
        began.elapsed()
    })
}

/// The same work without us: sealed, written, read in large pieces, opened.
fn send_bare(size: usize, messages: u64) -> Duration {
    one_thread().block_on(async {
        let (mut left, right) = connected().await;
        let mut sent = vec![7; size + TAG];
        let mut received = vec![0; size + TAG];
        let began = Instant::now();
        let receiving = tokio::spawn(async move {
            let (gcm, mut right) = (Gcm::new(), BufReader::with_capacity(256 * 1024, right));
            for _ in 0..messages {
                right.read_exact(&mut received).await.unwrap();
                let (text, tag) = received.split_at_mut(size);
                gcm.open(tag, black_box(text));
            }
        });
        let gcm = Gcm::new();
        for _ in 0..messages {
            let (text, tag) = sent.split_at_mut(size);
            tag.copy_from_slice(&gcm.seal(text));
            for chunk in sent.chunks(128 * 1024) {
                left.write_all(chunk).await.unwrap();
            }
        }
        receiving.await.unwrap();
        began.elapsed()
    })
}

async fn connected() -> (TcpStream, TcpStream) {
    let listener = listen();
    let (left, right) = tokio::join!(TcpStream::connect(listener.local_addr().unwrap()), listener.accept());
    let (left, (right, _)) = (left.unwrap(), right.unwrap());
    left.set_nodelay(true).unwrap();
    (left, right)
}

criterion_group!(benches, in_memory, over_loopback);
criterion_main!(benches);
