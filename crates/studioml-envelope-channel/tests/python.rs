//! The seed's own Python at the other end, both ways, over TCP.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod support;

use std::{
    io::{BufRead as _, BufReader},
    path::PathBuf,
    process::{Child, ChildStdout, Command, Stdio},
    sync::{Arc, Mutex},
    time::Duration,
};

use studioml_envelope_channel::{Connector, Deadlines, Origin, Peer, Receipt, Server, ServerOptions};
use tokio::{net::TcpListener, sync::oneshot, time::timeout};

/// Nothing here takes this long, on a slow and busy machine either.
const LONG: Duration = Duration::from_secs(180);

fn patient() -> Deadlines {
    Deadlines { handshake: LONG, message: LONG, idle: Some(LONG), write: LONG, ..Deadlines::default() }
}

/// A running `seed_peer.py`, ended with the test.
struct Python {
    child: Child,
    lines: std::io::Lines<BufReader<ChildStdout>>,
}

impl Python {
    fn start(arguments: &[&str]) -> Self {
        let python = std::env::var_os("STUDIOML_PYTHON")
            .map_or_else(|| PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("../python/bin/python"), PathBuf::from);
        let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/python/seed_peer.py");
        let mut child = Command::new(&python)
            .arg(script)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}\nset it up with: cargo xtask test", python.display()));
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    fn line(&mut self) -> String {
        self.lines.next().expect("the Python peer has ended").unwrap()
    }

    /// Everything else that it prints, once it has ended well.
    fn finish(mut self) -> Vec<String> {
        let lines = self.lines.by_ref().map(Result::unwrap).collect();
        assert!(self.child.wait().unwrap().success(), "{lines:?}");
        lines
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn our_client_with_the_seeds_server() {
    for provider in support::providers() {
        for speaks_first in [false, true] {
            let arguments: &[&str] = if speaks_first { &["server", "--speak-first"] } else { &["server"] };
            let mut python = Python::start(arguments);
            let port: u16 = python.line().parse().unwrap();
            let connector = Connector::seed_unauthenticated(&provider).with_deadlines(patient());
            let mut client = connector.connect(("127.0.0.1", port)).await.unwrap();
            assert_eq!(**client.peer(), Peer::Unauthenticated);
            assert_eq!(client.submit(b"{}").await.unwrap(), Receipt::Accepted);
            assert_eq!(client.submit(b"bad").await.unwrap(), Receipt::refused("the server does not like it"));
            assert_eq!(client.submit(&vec![7; 3_000_000]).await.unwrap(), Receipt::Accepted);
            client.close().await.unwrap();
            let lines = tokio::task::spawn_blocking(|| python.finish()).await.unwrap();
            assert_eq!(lines, ["2", "3", "3000000", "closed in order"]);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_seeds_client_with_our_server() {
    for provider in support::providers() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port().to_string();
        let received = Arc::new(Mutex::new(Vec::new()));
        let into = Arc::clone(&received);
        let (stop, stopped) = oneshot::channel::<()>();
        let handler = move |origin: Origin, message: Vec<u8>| {
            assert_eq!(*origin.peer, Peer::Unauthenticated);
            let refused = message == b"bad";
            into.lock().unwrap().push(message);
            async move { if refused { Receipt::refused("no") } else { Receipt::Accepted } }
        };
        let options = ServerOptions { deadlines: patient(), ..ServerOptions::default() };
        let server = Server::seed_unauthenticated(&provider).with_options(options);
        let serving = tokio::spawn(server.serve(listener, handler, async {
            let _ = stopped.await;
        }));
        for options in [&[][..], &["--split"], &["--no-line-feed"], &["--split", "--no-line-feed"]] {
            let arguments = [&["client", &port][..], options, &["one", "bad", "three"]].concat();
            let python = Python::start(&arguments);
            let lines = tokio::task::spawn_blocking(|| python.finish()).await.unwrap();
            let accepted = r#"{"status":"accepted"}"#;
            let refused = r#"{"status":"refused","reason":"no"}"#;
            assert_eq!(lines, [accepted, refused, accepted, "closed in order"], "{options:?}");
        }
        assert_eq!(received.lock().unwrap().len(), 12);
        stop.send(()).unwrap();
        let report = timeout(LONG, serving).await.unwrap().unwrap();
        assert_eq!((report.established, report.closed, report.failed), (4, 4, 0));
    }
}
