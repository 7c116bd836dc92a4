//! Puts load on a server over loopback and says what it took. Client and server share one thread; pin it to one core:
//!
//! ```text
//! cargo build --release -p studioml-envelope-channel --example load
//! taskset -c 2 target/release/examples/load handshakes
//! taskset -c 2 target/release/examples/load records
//! taskset -c 2 target/release/examples/load idle 10000
//! ```
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a measurement that fails has no result")]

use std::{
    hint::black_box,
    io::{BufRead as _, BufReader, Write as _},
    net::SocketAddr,
    process::{Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey},
    agreement::{ECDH_P256, PrivateKey, UnparsedPublicKey, agree},
};
use studioml_envelope_channel::{
    Channel, Connector, Deadlines, Established, Handshake, Origin, Peer, PeerKey, PeerPolicy, Progress, Receipt,
    Received, RecordOptions, Server, ServerOptions, noise, noise::LocalKey, seed,
};
use studioml_envelope_core::Provider;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpSocket, TcpStream},
};

/// How long each rate is measured.
const MEASURED: Duration = Duration::from_secs(3);
/// Rounds of all measurements, interleaved: what the machine does meanwhile hits all of them.
const ROUNDS: usize = 5;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["handshakes"] => handshakes().await,
        ["records"] => records().await,
        ["idle", connections] => idle(connections.parse().expect("a number of connections")).await,
        ["hold", mode, address, connections] => hold(mode, address, connections.parse().unwrap()).await,
        _ => panic!("handshakes | records | idle CONNECTIONS"),
    }
}

/// The slots of the channel by aws-lc-rs.
fn provider() -> Provider {
    use studioml_envelope_aws_lc_rs::{AEAD, AGREE, AGREE_STATIC, DIGEST, KDF, RANDOM};
    Provider {
        name: "aws-lc-rs",
        random: &RANDOM,
        digest: &DIGEST,
        agree: &AGREE,
        agree_static: &AGREE_STATIC,
        aead: &AEAD,
        kdf: &KDF,
        ..studioml_envelope_rustcrypto::PROVIDER
    }
}

/// Lets everybody in: what is measured is not the list.
struct Anybody;

impl PeerPolicy for Anybody {
    fn permits(&self, _: &PeerKey) -> bool {
        true
    }
}

fn key() -> LocalKey {
    let provider = provider();
    LocalKey::load(&provider, &provider.agree_static.generate(provider.random).unwrap()).unwrap()
}

fn server(mode: &str) -> Server {
    let options = ServerOptions { max_per_address: 100_000, max_connections: 100_000, ..ServerOptions::default() };
    match mode {
        "seed" => Server::seed_unauthenticated(&provider()),
        _ => Server::noise(&provider(), key(), Arc::new(Anybody)),
    }
    .with_options(options)
}

fn connector(mode: &str) -> Connector {
    match mode {
        "seed" => Connector::seed_unauthenticated(&provider()),
        _ => Connector::noise(&provider(), key(), Arc::new(Anybody)),
    }
}

fn handshake_pair(mode: &str, [client, server]: &[LocalKey; 2]) -> (Handshake, Handshake) {
    let (provider, options) = (provider(), RecordOptions::default());
    match mode {
        "seed" => (
            seed::Handshake::unauthenticated_client(&provider, options).into(),
            seed::Handshake::unauthenticated_server(&provider, options).into(),
        ),
        _ => (
            noise::Handshake::initiator(&provider, client.clone(), Arc::new(Anybody), options).into(),
            noise::Handshake::responder(&provider, server.clone(), Arc::new(Anybody), options).into(),
        ),
    }
}

/// Runs a handshake in memory.
fn established((mut client, mut server): (Handshake, Handshake)) -> (Established, Established) {
    fn advance(end: &mut Handshake, done: &mut Option<Established>, input: &[u8]) -> Vec<u8> {
        let mut output = Vec::new();
        if done.is_none()
            && let Progress::Complete { established, .. } = end.advance(input, &mut output).unwrap()
        {
            *done = Some(*established);
        }
        output
    }
    let (mut of_client, mut of_server) = (None, None);
    let mut flight = advance(&mut client, &mut of_client, &[]);
    while of_client.is_none() || of_server.is_none() {
        flight = advance(&mut server, &mut of_server, &flight);
        flight = advance(&mut client, &mut of_client, &flight);
    }
    of_client.zip(of_server).unwrap()
}

fn listen() -> (TcpListener, SocketAddr) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(4096).unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}

// ---------------------------------------------------------------------------------------------------------- handshakes

async fn handshakes() {
    let mut figures: [Vec<f64>; 7] = Default::default();
    for _ in 0..ROUNDS {
        let round = [
            python_handshakes().await,
            over_loopback("seed").await,
            handshakes_in_memory("seed"),
            bare_agreements(2, 2),
            over_loopback("noise").await,
            handshakes_in_memory("noise"),
            bare_agreements(2, 6),
        ];
        for (figures, figure) in figures.iter_mut().zip(round) {
            figures.push(figure);
        }
    }
    let [python, seed, seed_memory, seed_floor, noise, noise_memory, noise_floor] = figures.map(median);
    println!("handshakes per second, client and server on one core (median of {ROUNDS})");
    println!("  seed's Python over loopback            {python:>9.0}");
    println!("  mode seed over loopback                {seed:>9.0}   {:.2} x Python", seed / python);
    for (mode, loopback, memory, floor, agreements) in
        [("seed", seed, seed_memory, seed_floor, 2), ("noise", noise, noise_memory, noise_floor, 6)]
    {
        let of_floor = |rate: f64| 100.0 * rate / floor;
        println!("  bare 2 key generations, {agreements} agreements   {floor:>9.0}");
        println!("  mode {mode:<6} in memory                  {memory:>9.0}   {:.0} % of bare", of_floor(memory));
        println!("  mode {mode:<6} over loopback              {loopback:>9.0}   {:.0} % of bare", of_floor(loopback));
    }
}

/// Both state machines, no stream.
fn handshakes_in_memory(mode: &str) -> f64 {
    let keys = [key(), key()];
    let began = Instant::now();
    let mut count = 0_u64;
    while began.elapsed() < MEASURED {
        black_box(established(handshake_pair(mode, &keys)));
        count += 1;
    }
    count as f64 / began.elapsed().as_secs_f64()
}

/// Connect, handshake, drop; one after another.
async fn over_loopback(mode: &str) -> f64 {
    let (listener, address) = listen();
    let server = server(mode);
    let counters = server.counters();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let accept = |_: Origin, _: Vec<u8>| async { Receipt::Accepted };
    let serving = tokio::spawn(server.serve(listener, accept, async { drop(stopped.await) }));
    let connector = connector(mode);
    let began = Instant::now();
    let mut count = 0_u64;
    while began.elapsed() < MEASURED {
        drop(connector.connect(address).await.unwrap());
        count += 1;
    }
    while counters.report().established < count {
        tokio::task::yield_now().await;
    }
    let rate = count as f64 / began.elapsed().as_secs_f64();
    drop(stop);
    serving.await.unwrap();
    rate
}

/// The library without us: key pairs made, public keys taken out, agreements.
fn bare_agreements(generations: usize, agreements: usize) -> f64 {
    let peer = PrivateKey::generate(&ECDH_P256).unwrap();
    let peer = peer.compute_public_key().unwrap();
    let kept = PrivateKey::generate(&ECDH_P256).unwrap();
    let began = Instant::now();
    let mut count = 0_u64;
    while began.elapsed() < MEASURED {
        for _ in 0..generations {
            black_box(PrivateKey::generate(&ECDH_P256).unwrap().compute_public_key().unwrap());
        }
        for _ in 0..agreements {
            let peer = UnparsedPublicKey::new(&ECDH_P256, peer.as_ref());
            agree(&kept, peer, (), |x| Ok(black_box(x.len()))).unwrap();
        }
        count += 1;
    }
    count as f64 / began.elapsed().as_secs_f64()
}

/// The seed's client and server, each a process on the core of this one. What Python takes to start is not in it.
async fn python_handshakes() -> f64 {
    const COUNT: u32 = 3000;
    tokio::task::spawn_blocking(|| {
        let python = std::env::var_os("STUDIOML_PYTHON").unwrap_or_else(|| "target/python/bin/python".into());
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/python/seed_peer.py");
        let mut peer = Command::new(python)
            .args([script, "handshakes"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("target/python, or STUDIOML_PYTHON; cargo xtask test sets it up");
        let mut answers = BufReader::new(peer.stdout.take().unwrap()).lines().map(Result::unwrap);
        let _name = answers.next().unwrap();
        writeln!(peer.stdin.as_ref().unwrap(), "{COUNT}").unwrap();
        let nanoseconds: f64 = answers.next().unwrap().parse().unwrap();
        drop(peer.stdin.take());
        assert!(peer.wait().unwrap().success());
        f64::from(COUNT) / nanoseconds * 1e9
    })
    .await
    .unwrap()
}

// ------------------------------------------------------------------------------------------------------------- records

/// Short slices of time, many and interleaved: the figures are ratios, and what the machine does meanwhile hits all alike.
const SLICE: Duration = Duration::from_millis(60);
const SLICES: usize = 31;

async fn records() {
    for size in [1 << 10, 16 << 10, 1 << 20] {
        let mut figures: [Vec<f64>; 6] = Default::default();
        for _ in 0..SLICES {
            let round = [
                bare_gcm(size),
                in_memory("seed", size),
                in_memory("noise", size),
                bare_loopback(size).await,
                through_loopback("seed", size).await,
                through_loopback("noise", size).await,
            ];
            for (figures, figure) in figures.iter_mut().zip(round) {
                figures.push(figure);
            }
        }
        let of = |figures: &[f64], floor: &[f64]| {
            median(figures.iter().zip(floor).map(|(figure, floor)| 100.0 * figure / floor).collect())
        };
        let [bare, seed, noise, tcp, seed_tcp, noise_tcp] = &figures;
        // what is left when both have to be done on one core
        let both: Vec<f64> = bare.iter().zip(tcp).map(|(gcm, tcp)| 1.0 / (1.0 / gcm + 1.0 / tcp)).collect();
        println!("messages of {} KiB, GB/s sealed and opened on one core (median of {SLICES})", size >> 10);
        println!("  bare AES-256-GCM            {:>8.2}", median(bare.clone()));
        for (name, figures) in [("mode seed, in memory", seed), ("mode noise, in memory", noise)] {
            println!("  {name:<28}{:>8.2}   {:.0} % of bare", median(figures.clone()), of(figures, bare));
        }
        println!("  bare TCP over loopback      {:>8.2}", median(tcp.clone()));
        println!("  both, one after the other   {:>8.2}", median(both.clone()));
        for (name, figures) in [("mode seed over loopback", seed_tcp), ("mode noise over loopback", noise_tcp)] {
            println!("  {name:<28}{:>8.2}   {:.0} % of both", median(figures.clone()), of(figures, &both));
        }
    }
}

fn gigabytes_per_second(size: usize, mut once: impl FnMut()) -> f64 {
    let began = Instant::now();
    let mut count = 0_u64;
    while began.elapsed() < SLICE {
        for _ in 0..(1 << 20) / size {
            once();
        }
        count += ((1 << 20) / size) as u64;
    }
    count as f64 * size as f64 / began.elapsed().as_secs_f64() / 1e9
}

/// The library without us: sealed and opened in place, the same buffer again and again.
fn bare_gcm(size: usize) -> f64 {
    let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &[7; 32]).unwrap());
    let mut text = vec![7; size];
    gigabytes_per_second(size, || {
        let nonce = || Nonce::assume_unique_for_key([7; 12]);
        let tag = key.seal_in_place_separate_tag(nonce(), Aad::empty(), &mut text).unwrap();
        key.open_in_place_separate_tag(nonce(), Aad::empty(), black_box(tag.as_ref()), &mut text).unwrap();
    })
}

/// Both state machines, no stream: a message is written into a buffer, and read in place from it.
fn in_memory(mode: &str, size: usize) -> f64 {
    let (client, server) = established(handshake_pair(mode, &[key(), key()]));
    let (mut writer, mut reader) = (client.writer, server.reader);
    let message = vec![7; size];
    let mut stream = Vec::new();
    gigabytes_per_second(size, || {
        let mut rest = Some(black_box(message.as_slice()));
        while let Some(part) = rest {
            stream.clear();
            rest = writer.write_part(part, &mut stream).unwrap();
            match reader.read(&mut stream).unwrap() {
                Received::Message { message, .. } => assert_eq!(black_box(message).len(), size),
                Received::Part { .. } => {}
                Received::Incomplete { .. } | Received::Closed { .. } => panic!("whole records only"),
            }
        }
    })
}

/// The kernel without us: one direction through a socket.
async fn bare_loopback(size: usize) -> f64 {
    let (listener, address) = listen();
    let (client, server) = tokio::join!(TcpStream::connect(address), listener.accept());
    let (mut client, (mut server, _)) = (client.unwrap(), server.unwrap());
    let receiving = tokio::spawn(async move {
        let mut buffer = vec![0; 256 * 1024];
        let mut bytes = 0;
        loop {
            match server.read(&mut buffer).await.unwrap() {
                0 => return bytes,
                read => bytes += black_box(read),
            }
        }
    });
    let message = vec![7; size];
    let began = Instant::now();
    while began.elapsed() < SLICE {
        for chunk in message.chunks(64 * 1024) {
            client.write_all(chunk).await.unwrap();
        }
    }
    drop(client);
    receiving.await.unwrap() as f64 / began.elapsed().as_secs_f64() / 1e9
}

/// One direction through a socket.
async fn through_loopback(mode: &str, size: usize) -> f64 {
    let (listener, address) = listen();
    let (client, server) = handshake_pair(mode, &[key(), key()]);
    let connect = async {
        let stream = TcpStream::connect(address).await.unwrap();
        Channel::establish(stream, client, Deadlines::default()).await.unwrap()
    };
    let accept = async {
        let (stream, _) = listener.accept().await.unwrap();
        Channel::establish(stream, server, Deadlines::default()).await.unwrap()
    };
    let (mut client, mut server) = tokio::join!(connect, accept);
    let receiving = tokio::spawn(async move {
        let mut bytes = 0_u64;
        while let Some(message) = server.receive().await.unwrap() {
            bytes += black_box(message).len() as u64;
        }
        bytes
    });
    let message = vec![7; size];
    let began = Instant::now();
    while began.elapsed() < SLICE {
        client.send(&message).await.unwrap();
    }
    let closing = tokio::spawn(client.close());
    let bytes = receiving.await.unwrap();
    let rate = bytes as f64 / began.elapsed().as_secs_f64() / 1e9;
    closing.abort();
    rate
}

// ---------------------------------------------------------------------------------------------------------------- idle

async fn idle(connections: u64) {
    for mode in ["seed", "noise"] {
        let (listener, address) = listen();
        let server = server(mode);
        let counters = server.counters();
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let accept = |_: Origin, _: Vec<u8>| async { Receipt::Accepted };
        let serving = tokio::spawn(server.serve(listener, accept, async { drop(stopped.await) }));
        let before = resident("self");
        let mut clients = Command::new(std::env::current_exe().unwrap())
            .args(["hold", mode, &address.to_string(), &connections.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(clients.stdout.take().unwrap());
        let ready = tokio::task::spawn_blocking(move || {
            let mut line = String::new();
            output.read_line(&mut line).unwrap();
            line
        });
        assert_eq!(ready.await.unwrap().trim(), "ready");
        let report = counters.report();
        assert_eq!((report.established, report.messages_accepted, report.failed), (connections, connections, 0));
        let (server, client) = (resident("self"), resident(&clients.id().to_string()));
        println!("{connections} idle connections in mode {mode}, each after one message");
        println!(
            "  server: {:.1} MB resident, {:.1} MB before: {:.2} KB each",
            mb(server),
            mb(before),
            (server - before) as f64 / connections as f64 / 1e3
        );
        println!("  client: {:.1} MB resident; both together {:.1} MB", mb(client), mb(client + server));
        drop(clients.stdin.take());
        clients.wait().unwrap();
        drop(stop);
        serving.await.unwrap();
    }
}

/// Holds connections until standard input ends.
async fn hold(mode: &str, address: &str, connections: usize) {
    let address: SocketAddr = address.parse().unwrap();
    let connector = connector(mode);
    let mut held = Vec::with_capacity(connections);
    for _ in 0..connections {
        let mut client = connector.connect(address).await.unwrap();
        assert_eq!(client.submit(&[b'x'; 6000]).await.unwrap(), Receipt::Accepted);
        assert_eq!(**client.peer() == Peer::Unauthenticated, mode == "seed");
        held.push(client);
    }
    println!("ready");
    std::io::stdout().flush().unwrap();
    tokio::task::spawn_blocking(|| std::io::stdin().lines().count()).await.unwrap();
}

/// Resident memory of a process in bytes.
fn resident(process: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

fn mb(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}
