//! A server that stays up: many clients, silent ones, hostile ones, a list of peers that changes, an orderly end.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod ends;
mod peers;
#[path = "../support/mod.rs"]
mod support;

use std::{
    collections::HashSet,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex},
    time::Duration,
};

use studioml_envelope_channel::{
    AllowList, Channel, ChannelError, Client, Connector, Deadlines, HandshakeError, Origin, PeerPolicy, Pins, Receipt,
    RecordOptions, Server, ServerCounters, ServerEvent, ServerOptions, ServerReport, SubmitError, noise::LocalKey,
};
use studioml_envelope_core::Provider;
use support::{Anybody, local_key, pinned};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpSocket, TcpStream},
    sync::{Notify, oneshot},
    task::{JoinHandle, JoinSet},
    time::timeout,
};

/// Nothing here takes this long, on a slow and busy machine either; a test that waits longer has failed.
const LONG: Duration = Duration::from_secs(180);

/// For both ends where a deadline is not what is tested.
fn patient() -> Deadlines {
    Deadlines { handshake: LONG, message: LONG, idle: Some(LONG), write: LONG, ..Deadlines::default() }
}

/// The default, but that nobody is hurried.
fn options() -> ServerOptions {
    ServerOptions { crowded_handshake: LONG, drain: LONG, deadlines: patient(), ..ServerOptions::default() }
}

/// A server on a port of its own.
struct Running {
    address: SocketAddr,
    counters: Arc<ServerCounters>,
    events: Arc<Mutex<Vec<String>>>,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<ServerReport>,
}

impl Running {
    async fn start<H: studioml_envelope_channel::Handler>(server: Server, options: ServerOptions, handler: H) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        let listener: TcpListener = socket.listen(4096).unwrap();
        let address = listener.local_addr().unwrap();
        let counters = server.counters();
        let events = Arc::new(Mutex::new(Vec::new()));
        let into = Arc::clone(&events);
        let server = server.with_options(options).with_observer(move |event| into.lock().unwrap().push(line(event)));
        let (stop, stopped) = oneshot::channel();
        let serving = tokio::spawn(server.serve(listener, handler, async {
            let _ = stopped.await;
        }));
        Self { address, counters, events, stop, serving }
    }

    async fn stop(self) -> ServerReport {
        self.stop.send(()).unwrap();
        timeout(LONG, self.serving).await.expect("the server drains").unwrap()
    }

    async fn wait_until(&self, condition: impl Fn(ServerReport) -> bool) {
        timeout(LONG, async {
            while !condition(self.counters.report()) {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        })
        .await
        .unwrap_or_else(|_| panic!("{:?}", self.counters.report()));
    }

    fn events(&self) -> Vec<String> {
        self.events.lock().unwrap().clone()
    }
}

/// The line of a log, without the address and the peer in it.
fn line(event: &ServerEvent<'_>) -> String {
    let line = event.to_string();
    let line = line.split_once(": ").map_or(line.as_str(), |(_address, rest)| rest);
    match event {
        ServerEvent::Established { peer, .. } | ServerEvent::Ended { peer, .. } => {
            line.replace(&format!(": {peer}"), "")
        }
        _ => line.to_owned(),
    }
}

/// Both modes of a server that lets the given client in, and the client's way to it.
fn modes(provider: &Provider) -> [(Server, Connector); 2] {
    let (client, server) = (local_key(provider), local_key(provider));
    [
        (Server::seed_unauthenticated(provider), Connector::seed_unauthenticated(provider)),
        (
            Server::noise(provider, server.clone(), pinned(provider, &client)),
            Connector::noise(provider, client, pinned(provider, &server)),
        ),
    ]
    .map(|(server, connector)| (server, connector.with_deadlines(patient())))
}

async fn accept_all(_: Origin, _: Vec<u8>) -> Receipt {
    Receipt::Accepted
}

/// Connects from an address of the loopback network, so that a test is several hosts.
async fn from_host(host: u8, to: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((Ipv4Addr::new(127, 0, 0, host), 0).into()).unwrap();
    socket.connect(to).await.unwrap()
}

/// The bytes that a client of the mode sends first, and that the server would accept.
fn first_flight(provider: &Provider, connector_is_seed: bool) -> Vec<u8> {
    let pair = if connector_is_seed {
        support::seed_pair(provider, RecordOptions::default())
    } else {
        support::noise_pair(provider, RecordOptions::default())
    };
    support::flights(pair).remove(0)
}

/// Waits until the server has ended the connection, without a word.
async fn ended_without_an_answer(mut stream: TcpStream) {
    let mut answer = Vec::new();
    let _ = timeout(LONG, stream.read_to_end(&mut answer)).await.expect("the server lets go");
    assert!(answer.is_empty(), "{} bytes", answer.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_clients_at_once() {
    let provider = support::aws_lc_rs();
    for (server, connector) in modes(&provider) {
        let received = Arc::new(Mutex::new(HashSet::new()));
        let into = Arc::clone(&received);
        let handler = move |_: Origin, message: Vec<u8>| {
            assert!(into.lock().unwrap().insert(message), "every message comes once");
            async { Receipt::Accepted }
        };
        let server = Running::start(server, options(), handler).await;
        let all_here = Arc::new(tokio::sync::Barrier::new(1000));
        let mut clients = JoinSet::new();
        for number in 0..1000_u32 {
            let (connector, address, all_here) = (connector.clone(), server.address, Arc::clone(&all_here));
            clients.spawn(async move {
                let mut client = connector.connect(address).await.unwrap();
                all_here.wait().await; // a thousand channels stand at the same time
                for part in 0..3_u32 {
                    let message = format!("client {number} message {part} {}", "x".repeat(number as usize * 10));
                    assert_eq!(client.submit(message.as_bytes()).await.unwrap(), Receipt::Accepted);
                }
                client.close().await.unwrap();
            });
        }
        timeout(LONG, clients.join_all()).await.unwrap();
        let report = server.stop().await;
        assert_eq!(received.lock().unwrap().len(), 3000);
        let expected = ServerReport {
            accepted: 1000,
            established: 1000,
            messages_accepted: 3000,
            closed: 1000,
            ..ServerReport::default()
        };
        assert_eq!(report, expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_honest_clients_beside_two_hundred_silent_ones() {
    let provider = support::aws_lc_rs();
    for (server, connector) in modes(&provider) {
        // far fewer places than silent clients, whose deadline is longer than the test
        let options = ServerOptions {
            max_handshakes: 64,
            crowded_handshake: Duration::from_secs(1),
            deadlines: Deadlines { handshake: LONG * 10, ..patient() },
            ..options()
        };
        let server = Running::start(server, options, accept_all).await;
        let mut silent = Vec::new();
        for _ in 0..200 {
            silent.push(from_host(66, server.address).await);
        }
        let mut honest = JoinSet::new();
        for _ in 0..50 {
            let (connector, address) = (connector.clone(), server.address);
            honest.spawn(async move {
                let mut client = connector.connect(address).await.unwrap();
                assert_eq!(client.submit(b"{}").await.unwrap(), Receipt::Accepted);
                client.close().await.unwrap();
            });
        }
        timeout(LONG, honest.join_all()).await.unwrap();
        assert_eq!(server.counters.report().messages_accepted, 50);
        let report = server.stop().await;
        assert_eq!((report.accepted, report.established), (250, 50));
        assert_eq!(report.handshakes_failed, 200);
        drop(silent);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_client_costs_one_place_for_one_deadline() {
    let provider = support::aws_lc_rs();
    for (server, _) in modes(&provider) {
        let deadlines = Deadlines { handshake: Duration::from_millis(200), ..patient() };
        let options = ServerOptions { deadlines, ..options() };
        let server = Running::start(server, options, accept_all).await;
        let began = std::time::Instant::now();
        ended_without_an_answer(from_host(66, server.address).await).await;
        assert!(began.elapsed() >= Duration::from_millis(200));
        server.wait_until(|report| report.handshakes_failed == 1).await;
        assert_eq!(server.events(), ["deadline: the handshake took longer than 0.2 s"]);
        server.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_client_is_closed_in_order() {
    let provider = support::aws_lc_rs();
    for (server, connector) in modes(&provider) {
        // it waits for the client's close, however late that is
        let deadlines = Deadlines { idle: Some(Duration::from_millis(50)), linger: LONG, ..patient() };
        let options = ServerOptions { deadlines, ..options() };
        let server = Running::start(server, options, accept_all).await;
        let idle = connector.connect(server.address).await.unwrap();
        let mut channel = idle.into_channel();
        assert_eq!(channel.receive().await.unwrap(), None, "a close, and no truncation");
        channel.close().await.unwrap();
        server.wait_until(|report| report.closed == 1).await;
        assert_eq!(server.events(), ["connected", "closed"]);
        server.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_prefix_of_a_handshake_then_a_close() {
    let provider = support::aws_lc_rs();
    for (is_seed, (server, connector)) in [true, false].into_iter().zip(modes(&provider)) {
        let first = first_flight(&provider, is_seed);
        // the seed's line feed is not the handshake's: without it the exchange is whole
        let whole = first.len() - usize::from(is_seed);
        let server = Running::start(server, options(), accept_all).await;
        for length in 0..whole {
            let mut stream = TcpStream::connect(server.address).await.unwrap();
            stream.write_all(&first[..length]).await.unwrap();
            stream.shutdown().await.unwrap();
            ended_without_an_answer(stream).await;
        }
        server.wait_until(|report| report.handshakes_failed == whole as u64).await;
        assert!(server.events().iter().all(|event| event == "the connection ended during the handshake"));
        let mut honest = connector.connect(server.address).await.unwrap();
        assert!(honest.submit(b"{}").await.unwrap().is_accepted());
        server.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_changed_byte_of_a_handshake_disturbs_nobody_else() {
    let provider = support::aws_lc_rs();
    for (is_seed, (server, connector)) in [true, false].into_iter().zip(modes(&provider)) {
        let server = Running::start(server, options(), accept_all).await;
        let mut bystander = connector.connect(server.address).await.unwrap();
        let length = first_flight(&provider, is_seed).len();
        for at in 0..length {
            let mut changed = first_flight(&provider, is_seed);
            changed[at] ^= 1 << (at % 8);
            let mut stream = TcpStream::connect(server.address).await.unwrap();
            stream.write_all(&changed).await.unwrap();
            stream.shutdown().await.unwrap();
            let mut answer = Vec::new();
            let _ = timeout(LONG, stream.read_to_end(&mut answer)).await.expect("the server lets go");
            assert!(bystander.submit(b"{}").await.unwrap().is_accepted(), "byte {at}");
        }
        bystander.close().await.unwrap();
        server.wait_until(|report| report.handshakes_failed + report.failed == length as u64).await;
        let report = server.stop().await;
        // in mode seed only the line feed behind the key is past the handshake
        assert_eq!(report.established, 1 + u64::from(is_seed), "{report:?}");
        assert_eq!(report.messages_accepted, length as u64);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn junk_of_every_kind_gets_no_answer() {
    let provider = support::aws_lc_rs();
    for (server, connector) in modes(&provider) {
        let server = Running::start(server, options(), accept_all).await;
        let junk: [&[u8]; 6] = [
            b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
            b"SSH-2.0-OpenSSH_9.9\r\n",
            &[0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc, 0x03, 0x03],
            &[0; 4096],
            &[0xff; 100_000],
            b"-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----\n",
        ];
        for bytes in junk {
            let mut stream = TcpStream::connect(server.address).await.unwrap();
            let _ = stream.write_all(bytes).await; // the server may have let go before the last of it
            let mut answer = Vec::new();
            let _ = timeout(LONG, stream.read_to_end(&mut answer)).await.expect("the server lets go");
            assert!(answer.is_empty());
        }
        server.wait_until(|report| report.handshakes_failed == 6).await;
        assert!(connector.connect(server.address).await.is_ok());
        server.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_records_end_their_own_channel_only() {
    let provider = support::aws_lc_rs();
    for (server, connector) in modes(&provider) {
        let server = Running::start(server, options(), accept_all).await;
        let mut bystander = connector.connect(server.address).await.unwrap();
        for hostile in [&[0xff; 40][..], &[0; 64], &[0, 0, 0, 28, 1, 2, 3], b"\n\n\n\n\n\n"] {
            // whatever stands after the handshake, written past the record layer
            let channel = connector.connect(server.address).await.unwrap().into_channel();
            let mut raw = TcpStream::from_std(raw_stream(channel.stream())).unwrap();
            drop(channel);
            raw.write_all(hostile).await.unwrap();
            raw.shutdown().await.unwrap();
            ended_without_an_answer(raw).await;
            assert!(bystander.submit(b"{}").await.unwrap().is_accepted());
        }
        server.wait_until(|report| report.failed == 4).await;
        assert!(bystander.submit(b"{}").await.unwrap().is_accepted());
        server.stop().await;
    }
}

/// A second descriptor of the same socket.
fn raw_stream(stream: &TcpStream) -> std::net::TcpStream {
    use std::os::fd::AsFd as _;
    stream.as_fd().try_clone_to_owned().unwrap().into()
}

#[tokio::test(flavor = "multi_thread")]
async fn large_messages_that_never_end_share_what_there_is_for_them() {
    let provider = support::aws_lc_rs();
    for (server, connector) in modes(&provider) {
        let options = ServerOptions { max_buffered: 4 << 20, ..options() };
        let server = Running::start(server, options, accept_all).await;
        let mut bystander = connector.connect(server.address).await.unwrap();
        // each of 20 would need four times what all of them get
        let mut hoarding = JoinSet::new();
        for _ in 0..20 {
            let mut channel = connector.connect(server.address).await.unwrap().into_channel();
            hoarding.spawn(async move {
                let _ = channel.send(&vec![7; 16 << 20]).await; // the kernel may take the rest of it before the cut is known
            });
        }
        // twice in memory, as received and as a message, and still within what each connection has free
        assert!(bystander.submit(&[7; 10_000]).await.unwrap().is_accepted());
        hoarding.join_all().await;
        server.wait_until(|report| report.failed == 20).await;
        let no_room = "ended: the messages in progress take all the memory there is for them";
        assert_eq!(server.events().iter().filter(|event| *event == no_room).count(), 20, "{:?}", server.events());
        assert!(bystander.submit(&vec![7; 1 << 20]).await.unwrap().is_accepted(), "what was held came back");
        server.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_address_cannot_take_all_places() {
    let provider = support::aws_lc_rs();
    for (server, connector) in modes(&provider) {
        let options = ServerOptions { max_per_address: 3, max_connections: 5, ..options() };
        let server = Running::start(server, options, accept_all).await;
        let mut greedy = Vec::new();
        for _ in 0..3 {
            greedy.push(connector.over(from_host(7, server.address).await).await.unwrap());
        }
        ended_without_an_answer(from_host(7, server.address).await).await;
        let mut others = Vec::new();
        for host in [8, 9] {
            others.push(connector.over(from_host(host, server.address).await).await.unwrap());
        }
        ended_without_an_answer(from_host(10, server.address).await).await;
        server.wait_until(|report| report.refused == 2).await;
        let events = server.events();
        assert!(events.contains(&"refused: the address has all the connections it gets".to_owned()), "{events:?}");
        assert!(events.contains(&"refused: the server has all the connections it takes".to_owned()), "{events:?}");

        // a place that is given back is free again, soon after the channel has ended
        greedy.pop().unwrap().close().await.unwrap();
        let next = timeout(LONG, async {
            loop {
                if let Ok(next) = connector.over(from_host(7, server.address).await).await {
                    return next;
                }
            }
        });
        assert!(next.await.unwrap().submit(b"{}").await.unwrap().is_accepted());
        server.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_are_answered_in_order_with_the_handlers_words() {
    let provider = support::aws_lc_rs();
    for (server, connector) in modes(&provider) {
        let handler = |origin: Origin, message: Vec<u8>| async move {
            assert!(origin.address.ip().is_loopback());
            let text = String::from_utf8(message).unwrap();
            if text.ends_with('3') { Receipt::refused(&format!("not {text}")) } else { Receipt::Accepted }
        };
        let server = Running::start(server, options(), handler).await;
        let mut client = connector.connect(server.address).await.unwrap();
        for number in 0..20 {
            let receipt = client.submit(number.to_string().as_bytes()).await.unwrap();
            let refused = number % 10 == 3;
            assert_eq!(receipt, if refused { Receipt::refused(&format!("not {number}")) } else { Receipt::Accepted });
        }
        client.close().await.unwrap();
        let report = server.stop().await;
        assert_eq!((report.messages_accepted, report.messages_refused, report.closed), (18, 2, 1));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handler_that_panics_takes_its_own_connection_with_it() {
    let provider = support::aws_lc_rs();
    for (server, connector) in modes(&provider) {
        let handler = |_: Origin, message: Vec<u8>| async move {
            assert!(message != b"panic", "as it was told");
            Receipt::Accepted
        };
        let server = Running::start(server, options(), handler).await;
        let mut bystander = connector.connect(server.address).await.unwrap();
        let mut client = connector.connect(server.address).await.unwrap();
        assert!(client.submit(b"panic").await.is_err());
        assert!(bystander.submit(b"{}").await.unwrap().is_accepted());
        let report = server.stop().await;
        assert_eq!((report.panicked, report.closed), (1, 1));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_observer_that_panics_stops_neither_the_server_nor_a_connection() {
    let provider = support::aws_lc_rs();
    for (server, connector) in modes(&provider) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = server.with_options(ServerOptions { max_per_address: 1, ..options() });
        let server = server.with_observer(|event| panic!("a log that cannot be written: {event}"));
        let (stop, stopped) = oneshot::channel::<()>();
        let serving = tokio::spawn(server.serve(listener, accept_all, async {
            let _ = stopped.await;
        }));
        let mut client = connector.connect(address).await.unwrap();
        for _ in 0..2 {
            ended_without_an_answer(TcpStream::connect(address).await.unwrap()).await;
        }
        assert!(client.submit(b"{}").await.unwrap().is_accepted());
        stop.send(()).unwrap();
        client.close().await.unwrap();
        let report = timeout(LONG, serving).await.unwrap().unwrap();
        assert_eq!((report.refused, report.closed, report.panicked), (2, 1, 0), "{report:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receipt_that_nobody_waited_for_is_not_the_next_messages() {
    let provider = support::aws_lc_rs();
    for (server, connector) in modes(&provider) {
        let (entered, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (has_entered, may_go_on) = (Arc::clone(&entered), Arc::clone(&go_on));
        let handler = move |_: Origin, _: Vec<u8>| {
            let (entered, go_on) = (Arc::clone(&entered), Arc::clone(&go_on));
            async move {
                entered.notify_one();
                go_on.notified().await;
                Receipt::Accepted
            }
        };
        let server = Running::start(server, options(), handler).await;
        let mut client = connector.connect(server.address).await.unwrap();
        tokio::select! {
            receipt = client.submit(b"first") => panic!("{receipt:?}"),
            () = has_entered.notified() => {} // and the future is dropped
        }
        may_go_on.notify_one();
        assert!(matches!(client.submit(b"second").await, Err(SubmitError::Interrupted)));
        client.close().await.unwrap();
        assert_eq!(server.stop().await.messages_accepted, 1);
    }
}
