//! A listener that serves many clients and stays up: caps, deadlines, and an orderly end.
//!
//! The attacker connects: often, slowly, silently, from many places. Each connection costs one place for one deadline, and a
//! place is small. Handshakes that stand still make room for new ones when all places are taken.

mod admission;
mod connection;
mod report;

use std::{
    future::Future,
    io,
    net::SocketAddr,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use studioml_envelope_core::Provider;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
    time::{sleep, timeout},
};

use crate::{
    Deadlines, Handshake, Peer, PeerPolicy, Receipt, RecordOptions,
    budget::Budget,
    noise::{self, LocalKey},
    seed, tcp,
};
use admission::{Addresses, Handshakes};

pub use report::{Refusal, ServerCounters, ServerEvent, ServerReport};

/// How much a server takes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerOptions {
    /// Connections at once; one more is refused.
    pub max_connections: usize,
    /// Connections at once from one IPv4 address or one IPv6 /64 network; one more is refused.
    pub max_per_address: usize,
    /// Handshakes in progress at once. When there are that many the listener takes no new connection until one ends, or until
    /// the oldest has lasted longer than `crowded_handshake`, which is then given up.
    pub max_handshakes: usize,
    /// How long a handshake may last once all places are taken.
    pub crowded_handshake: Duration,
    /// Bytes that the messages in progress on all connections may take together, beyond 32 KiB of each. A connection that asks
    /// for more is ended.
    pub max_buffered: usize,
    /// How long connections in the middle of a message get once the server ends.
    pub drain: Duration,
    /// How long the other end may take.
    pub deadlines: Deadlines,
    /// What one message may be.
    pub records: RecordOptions,
}

impl Default for ServerOptions {
    /// 16,384 connections, 1,024 per address, 512 handshakes; 1 s for a handshake once all places are taken, 1 GiB for
    /// messages in progress, 20 s to drain.
    fn default() -> Self {
        Self {
            max_connections: 16_384,
            max_per_address: 1_024,
            max_handshakes: 512,
            crowded_handshake: Duration::from_secs(1),
            max_buffered: 1 << 30,
            drain: Duration::from_secs(20),
            deadlines: Deadlines::default(),
            records: RecordOptions::default(),
        }
    }
}

/// Where a message came from.
#[derive(Clone, Debug)]
pub struct Origin {
    /// Who sent it.
    pub peer: Arc<Peer>,
    /// From where.
    pub address: SocketAddr,
}

/// What a server does with each message. Any `Fn(Origin, Vec<u8>) -> impl Future<Output = Receipt>` is one.
pub trait Handler: Send + Sync + 'static {
    /// Takes a message and answers for it. The messages of one connection come one after another; connections do not wait
    /// for each other.
    fn handle(&self, origin: Origin, message: Vec<u8>) -> impl Future<Output = Receipt> + Send;
}

impl<F, R> Handler for F
where
    F: Fn(Origin, Vec<u8>) -> R + Send + Sync + 'static,
    R: Future<Output = Receipt> + Send,
{
    fn handle(&self, origin: Origin, message: Vec<u8>) -> impl Future<Output = Receipt> + Send {
        self(origin, message)
    }
}

type Observer = Arc<dyn Fn(&ServerEvent<'_>) + Send + Sync>;

/// A server in one of the two modes.
#[derive(Clone)]
pub struct Server {
    provider: Provider,
    mode: Mode,
    options: ServerOptions,
    observer: Observer,
    counters: Arc<ServerCounters>,
}

#[derive(Clone)]
enum Mode {
    Noise { key: LocalKey, peers: Arc<dyn PeerPolicy> },
    SeedUnauthenticated,
}

impl Server {
    /// Mode `noise`: this end proves `key`, clients have to be among `peers`. They are asked again for every message, so that
    /// whoever is taken off the list is heard no more.
    #[must_use]
    pub fn noise(provider: &Provider, key: LocalKey, peers: Arc<dyn PeerPolicy>) -> Self {
        Self::new(provider, Mode::Noise { key, peers })
    }

    /// Mode `seed`: **anybody can submit, and anybody in the middle can read and change what is sent.**
    #[must_use]
    pub fn seed_unauthenticated(provider: &Provider) -> Self {
        Self::new(provider, Mode::SeedUnauthenticated)
    }

    fn new(provider: &Provider, mode: Mode) -> Self {
        Self {
            provider: *provider,
            mode,
            options: ServerOptions::default(),
            observer: Arc::new(|_| ()),
            counters: Arc::default(),
        }
    }

    /// Other limits than the default.
    #[must_use]
    pub fn with_options(mut self, options: ServerOptions) -> Self {
        self.options = options;
        self
    }

    /// Calls `observer` for every connection that is refused, fails, stands or ends. It must not block.
    /// It hears of an event before [`Server::counters`] counts it. Should it panic, the server goes on: it would else take no
    /// more connections because a line of a log could not be written.
    #[must_use]
    pub fn with_observer(mut self, observer: impl Fn(&ServerEvent<'_>) + Send + Sync + 'static) -> Self {
        self.observer = Arc::new(observer);
        self
    }

    /// The counters, to be read while the server runs.
    #[must_use]
    pub fn counters(&self) -> Arc<ServerCounters> {
        Arc::clone(&self.counters)
    }

    /// Serves until `shutdown` is ready, then drains: the listener is closed, handshakes are given up, idle connections get the
    /// orderly close, a message that has begun is still taken and answered. What is left after the drain time is cut.
    pub async fn serve<H: Handler>(
        self,
        listener: TcpListener,
        handler: H,
        shutdown: impl Future<Output = ()>,
    ) -> ServerReport {
        tcp::prepare(&listener);
        let options = self.options;
        let counters = self.counters();
        let budget = Budget::new(options.max_buffered);
        let service = Arc::new(connection::Service { server: self, handler, budget });
        let handshakes = Arc::new(Handshakes::new(options.max_handshakes, options.crowded_handshake));
        let addresses = Arc::new(Addresses::new(options.max_per_address));
        let (draining, drain) = watch::channel(false);
        let mut connections = JoinSet::new();
        let mut shutdown = pin!(shutdown);
        loop {
            let (stream, address) = tokio::select! {
                biased;
                () = &mut shutdown => break,
                Some(ended) = connections.join_next(), if !connections.is_empty() => {
                    counters.count_end(&ended);
                    continue;
                }
                accepted = service.server.accept(&listener, &handshakes) => accepted,
            };
            let Some(place) = addresses.take(address.ip()) else {
                service.server.refuse(address, Refusal::AddressFull);
                continue;
            };
            if connections.len() >= options.max_connections {
                service.server.refuse(address, Refusal::Full);
                continue;
            }
            let slot = handshakes.begin();
            let service = Arc::clone(&service);
            let drain = drain.clone();
            // boxed: the runtime moves what it is given several times before it has its place
            connections.spawn(Box::pin(async move {
                let _place = place;
                service.serve(stream, address, slot, drain).await;
            }));
        }
        drop(listener);
        handshakes.give_up_all();
        let _ = draining.send(true);
        let _ = timeout(options.drain, count_ended(&mut connections, &counters)).await;
        // one that has ended meanwhile is not cut by this
        connections.abort_all();
        count_ended(&mut connections, &counters).await;
        counters.report()
    }

    /// Waits for a place among the handshakes, then for a connection. Cancel safe.
    async fn accept(&self, listener: &TcpListener, handshakes: &Handshakes) -> (TcpStream, SocketAddr) {
        loop {
            handshakes.make_room().await;
            match listener.accept().await {
                Ok((stream, address)) => {
                    self.counters.accepted.fetch_add(1, Ordering::Relaxed);
                    return (stream, address);
                }
                Err(error) => {
                    // out of descriptors, mostly: going on at once would spin until a connection ends
                    self.observe(&ServerEvent::AcceptFailed { error: &error });
                    if !is_of_one_connection(&error) {
                        sleep(Duration::from_millis(50)).await;
                    }
                }
            }
        }
    }

    fn refuse(&self, address: SocketAddr, refusal: Refusal) {
        self.observe(&ServerEvent::Refused { address, refusal });
        self.counters.refused.fetch_add(1, Ordering::Release);
    }

    fn handshake(&self) -> Handshake {
        let records = self.options.records;
        match &self.mode {
            Mode::Noise { key, peers } => {
                noise::Handshake::responder(&self.provider, key.clone(), Arc::clone(peers), records).into()
            }
            Mode::SeedUnauthenticated => seed::Handshake::unauthenticated_server(&self.provider, records).into(),
        }
    }

    /// Whether a peer that was let in still is.
    fn permits(&self, peer: &Peer) -> bool {
        match (&self.mode, peer) {
            (Mode::Noise { peers, .. }, Peer::Authenticated(key)) => peers.permits(key),
            (Mode::Noise { .. }, Peer::Unauthenticated) => false,
            (Mode::SeedUnauthenticated, _) => true,
        }
    }

    fn observe(&self, event: &ServerEvent<'_>) {
        let _ = catch_unwind(AssertUnwindSafe(|| (self.observer)(event))); // the hook has told
    }
}

impl core::fmt::Debug for Server {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Server").field("options", &self.options).finish_non_exhaustive()
    }
}

/// Errors that `accept` passes on from a connection that failed before it was taken.
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

/// Waits until all connections have ended.
async fn count_ended(connections: &mut JoinSet<()>, counters: &ServerCounters) {
    while let Some(ended) = connections.join_next().await {
        counters.count_end(&ended);
    }
}
