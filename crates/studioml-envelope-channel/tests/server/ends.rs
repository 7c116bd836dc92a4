//! How a server ends: what has begun is answered, what takes too long is cut, and every connection is counted once.

use std::{
    pin::Pin,
    sync::atomic::{AtomicU64, AtomicUsize, Ordering},
    task::{Context, Poll, Waker},
};

use super::*;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A stream that lets so many bytes out and keeps the rest until it may let out more.
struct Gate {
    stream: TcpStream,
    allowance: Arc<AtomicUsize>,
    waiting: Arc<Mutex<Option<Waker>>>,
}

impl AsyncRead for Gate {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, into)
    }
}

impl AsyncWrite for Gate {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        let allowed = self.allowance.load(Ordering::Relaxed).min(bytes.len());
        if allowed == 0 {
            *self.waiting.lock().unwrap() = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let written = std::task::ready!(Pin::new(&mut self.stream).poll_write(cx, &bytes[..allowed]))?;
        self.allowance.fetch_sub(written, Ordering::Relaxed);
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// On one thread, so that the server has looked at what arrived before it learns that it ends.
#[tokio::test]
async fn a_server_that_ends_takes_the_rest_of_a_message() {
    let provider = support::aws_lc_rs();
    for first_bytes in [1, 20, 100] {
        for (server, connector) in modes(&provider) {
            let go_on = Arc::new(Notify::new());
            let may_go_on = Arc::clone(&go_on);
            let handler = move |_: Origin, message: Vec<u8>| {
                let go_on = Arc::clone(&may_go_on);
                async move {
                    if message == b"first" {
                        go_on.notified().await;
                    }
                    Receipt::Accepted
                }
            };
            let server = Running::start(server, options(), handler).await;
            let (allowance, waiting) = (Arc::new(AtomicUsize::new(usize::MAX)), Arc::default());
            let stream = TcpStream::connect(server.address).await.unwrap();
            let gate = Gate { stream, allowance: Arc::clone(&allowance), waiting: Arc::clone(&waiting) };
            let mut client = connector.over(gate).await.unwrap().into_channel();
            client.send(b"first").await.unwrap();
            allowance.store(first_bytes, Ordering::Relaxed);
            let second = [7; 500];
            let mut sending = Box::pin(client.send(&second));
            assert!(timeout(Duration::ZERO, &mut sending).await.is_err(), "it waits behind the gate");
            go_on.notify_one();
            server.wait_until(|report| report.messages_accepted == 1).await;

            let counters = Arc::clone(&server.counters);
            let stopping = tokio::spawn(server.stop());
            for _ in 0..10 {
                tokio::task::yield_now().await;
            }
            assert_eq!(counters.report().closed, 0);
            allowance.store(usize::MAX, Ordering::Relaxed);
            if let Some(waiting) = waiting.lock().unwrap().take() {
                waiting.wake();
            }
            sending.await.unwrap();
            for _ in 0..2 {
                assert_eq!(client.receive().await.unwrap().unwrap(), Receipt::Accepted.to_json(), "{first_bytes}");
            }
            assert_eq!(client.receive().await.unwrap(), None, "then the close");
            client.close().await.unwrap();
            let report = stopping.await.unwrap();
            assert_eq!((report.closed, report.cut, report.messages_accepted), (1, 0, 2), "{report:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_ends_answers_what_has_begun() {
    let provider = support::aws_lc_rs();
    for (server, connector) in modes(&provider) {
        let (entered, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (has_entered, may_go_on) = (Arc::clone(&entered), Arc::clone(&go_on));
        let handler = move |_: Origin, message: Vec<u8>| {
            let (entered, go_on) = (Arc::clone(&entered), Arc::clone(&go_on));
            async move {
                if message == b"slow" {
                    entered.notify_one();
                    go_on.notified().await;
                }
                Receipt::Accepted
            }
        };
        let server = Running::start(server, options(), handler).await;
        let idle = connector.connect(server.address).await.unwrap();
        let mut busy = connector.connect(server.address).await.unwrap();
        let silent = TcpStream::connect(server.address).await.unwrap();
        let (address, counters) = (server.address, Arc::clone(&server.counters));
        server.wait_until(|report| report.accepted == 3 && report.established == 2).await;
        let submitting = tokio::spawn(async move {
            let receipt = busy.submit(b"slow").await.unwrap();
            (receipt, busy)
        });
        has_entered.notified().await;
        let stopping = tokio::spawn(server.stop());

        // the idle channel is closed in order, the silent handshake is given up, nobody new gets in
        assert_eq!(idle.into_channel().receive().await.unwrap(), None);
        ended_without_an_answer(silent).await;
        timeout(LONG, async { while TcpStream::connect(address).await.is_ok() {} }).await.unwrap();
        assert_eq!(counters.report().messages_accepted, 0);
        may_go_on.notify_one();
        let (receipt, mut busy) = submitting.await.unwrap();
        assert_eq!(receipt, Receipt::Accepted);
        assert!(busy.submit(b"late").await.is_err(), "the server closed after the message it had begun");
        let report = stopping.await.unwrap();
        assert_eq!((report.closed, report.cut, report.messages_accepted), (2, 0, 1), "{report:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_has_an_end() {
    let provider = support::aws_lc_rs();
    for (server, connector) in modes(&provider) {
        let options = ServerOptions { drain: Duration::from_millis(100), ..options() };
        let entered = Arc::new(Notify::new());
        let has_entered = Arc::clone(&entered);
        let handler = move |_: Origin, _: Vec<u8>| {
            entered.notify_one();
            std::future::pending::<Receipt>()
        };
        let server = Running::start(server, options, handler).await;
        let mut client = connector.connect(server.address).await.unwrap();
        let submitting = tokio::spawn(async move { client.submit(b"{}").await });
        has_entered.notified().await;
        let report = server.stop().await;
        assert_eq!((report.cut, report.closed), (1, 0));
        assert!(submitting.await.unwrap().is_err(), "no receipt, no promise");
    }
}

/// On one thread, so that all connections end between two looks of the server.
#[tokio::test]
async fn every_connection_ends_in_one_counter_when_many_end_as_the_drain_time_does() {
    const CLIENTS: u64 = 300;
    let provider = support::aws_lc_rs();
    for (server, connector) in modes(&provider) {
        let options = ServerOptions { drain: Duration::from_millis(20), ..options() };
        let go_on = Arc::new(tokio::sync::Semaphore::new(0));
        let may_go_on = Arc::clone(&go_on);
        let entered = Arc::new(AtomicU64::new(0));
        let have_entered = Arc::clone(&entered);
        let handler = move |_: Origin, _: Vec<u8>| {
            let go_on = Arc::clone(&may_go_on);
            entered.fetch_add(1, Ordering::Relaxed);
            async move {
                let _ = go_on.acquire().await;
                Receipt::Accepted
            }
        };
        let server = Running::start(server, options, handler).await;
        for _ in 0..CLIENTS {
            let mut channel = connector.connect(server.address).await.unwrap().into_channel();
            channel.send(b"{}").await.unwrap(); // and the client goes without waiting for the answer
        }
        server.wait_until(|_| have_entered.load(Ordering::Relaxed) == CLIENTS).await;
        let stopping = tokio::spawn(server.stop());
        tokio::task::yield_now().await;
        tokio::task::yield_now().await;
        std::thread::sleep(Duration::from_millis(40)); // the drain time passes while nothing runs
        go_on.close();
        let report = stopping.await.unwrap();
        let ends = [report.handshakes_failed, report.closed, report.failed, report.cut, report.panicked];
        assert_eq!(ends.iter().sum::<u64>(), CLIENTS, "{report:?}");
    }
}
