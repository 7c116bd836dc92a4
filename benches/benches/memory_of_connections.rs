//! What connections cost while they are held: resident memory of a server and of its clients, each in a process of its own,
//! for each mode.
//!
//! No criterion program, for there is no time to measure:
//! `cargo bench -p studioml-envelope-benches --bench memory_of_connections -- 10000`.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a measurement that fails has no result")]

use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::SocketAddr,
    process::{Command, Stdio},
};

use rustix::process::{Resource, getrlimit, setrlimit};
use studioml_envelope::{Provider, provider};
use studioml_envelope_benches::channel::{Keys, Mode, Serving, one_thread};
use studioml_envelope_channel::{Peer, Receipt};

/// As many as the issue of the channel asks for.
const CONNECTIONS: u64 = 10_000;
/// Bytes of the message that each connection has sent before it idles: an envelope around a small Request.
const MESSAGE: usize = 6000;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    allow_descriptors();
    match words.as_slice() {
        [] => measure(CONNECTIONS),
        ["idle", name, connections] => one_thread().block_on(idle(mode(name), connections.parse().unwrap())),
        ["hold", name, address, connections] => {
            one_thread().block_on(hold(mode(name), address.parse().unwrap(), connections.parse().unwrap()));
        }
        [connections] => measure(connections.parse().unwrap_or_else(|_| panic!("{connections} is no number"))),
        _ => panic!("usage: memory_of_connections [CONNECTIONS]"),
    }
}

/// Shells allow a process 1024 descriptors unless it asks for more.
fn allow_descriptors() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).unwrap();
}

fn provider() -> Provider {
    provider::default()
}

fn mode(name: &str) -> Mode {
    Mode::ALL.into_iter().find(|known| known.name() == name).unwrap()
}

fn this_program() -> Command {
    Command::new(std::env::current_exe().unwrap())
}

/// A process for each mode: memory that the first gave back would be there for the second already.
fn measure(connections: u64) {
    for mode in Mode::ALL {
        assert!(this_program().args(["idle", mode.name(), &connections.to_string()]).status().unwrap().success());
    }
}

async fn idle(mode: Mode, connections: u64) {
    let server = Serving::start(&Keys::generate(&provider()), &provider(), mode);
    let before = resident("self");
    let mut clients = this_program()
        .args(["hold", mode.name(), &server.address.to_string(), &connections.to_string()])
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
    let report = server.counters.report();
    assert_eq!((report.established, report.messages_accepted, report.failed), (connections, connections, 0));

    let (servers, of_clients) = (resident("self"), resident(&clients.id().to_string()));
    let each = servers.saturating_sub(before) as f64 / connections as f64 / 1e3;
    println!("{connections} idle connections in mode {}, each after one message", mode.name());
    println!("  server: {:.1} MB resident, {:.1} MB before: {each:.2} kB each", megabytes(servers), megabytes(before));
    println!("  client: {:.1} MB; both together {:.1} MB", megabytes(of_clients), megabytes(servers + of_clients));
    drop(clients.stdin.take());
    clients.wait().unwrap();
    server.stop().await;
}

/// Holds connections until standard input ends.
async fn hold(mode: Mode, address: SocketAddr, connections: usize) {
    let connector = Keys::generate(&provider()).connector(&provider(), mode);
    let mut held = Vec::with_capacity(connections);
    for _ in 0..connections {
        let mut client = connector.connect(address).await.unwrap();
        assert_eq!(client.submit(&[b'x'; MESSAGE]).await.unwrap(), Receipt::Accepted);
        assert_eq!(**client.peer() == Peer::Unauthenticated, mode == Mode::Seed);
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

fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}
