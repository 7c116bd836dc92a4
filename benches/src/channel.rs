//! What the benches of the channel share: both ends of a handshake in memory, and a server on the loopback network.
//!
//! Client and server are tasks of one thread, so that a rate is what one core does for both.

use std::hint::black_box;
use std::io::{Read as _, Write as _};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_lc_rs::agreement::{ECDH_P256, PrivateKey, UnparsedPublicKey, agree};
use studioml_envelope::Provider;
use studioml_envelope_channel::{
    Connector, Established, Handshake, Origin, PeerKey, PeerPolicy, Progress, Receipt, RecordOptions, Server,
    ServerCounters, ServerOptions, ServerReport, noise, noise::LocalKey, seed,
};
use tokio::net::{TcpListener, TcpSocket};
use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, JoinSet};

/// The two modes of a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// The seed's exchange, unauthenticated.
    Seed,
    /// Noise XX.
    Noise,
}

impl Mode {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Seed, Self::Noise];

    /// As operations name it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Seed => "seed",
            Self::Noise => "noise",
        }
    }

    /// How often a handshake of both ends agrees. Each end makes one key pair in either mode.
    #[must_use]
    pub const fn agreements(self) -> usize {
        match self {
            Self::Seed => 2,
            Self::Noise => 6, // ee, es, se at each end
        }
    }

    /// The bytes of each flight of a handshake, the client's first.
    #[must_use]
    pub const fn flights(self) -> &'static [usize] {
        match self {
            Self::Seed => &[178, 178],
            Self::Noise => &[67, 164, 99],
        }
    }
}

/// Lets everybody in: what is measured is not the list.
struct Anybody;

impl PeerPolicy for Anybody {
    fn permits(&self, _: &PeerKey) -> bool {
        true
    }
}

/// The long-term keys of a client and a server, loaded.
#[derive(Clone)]
pub struct Keys {
    client: LocalKey,
    server: LocalKey,
}

impl Keys {
    /// Fresh ones.
    #[must_use]
    pub fn generate(provider: &Provider) -> Self {
        let key = || {
            let key = provider.agree_static.generate(provider.random).expect("the system has random bytes");
            LocalKey::load(provider, &key).expect("it was made just now")
        };
        Self { client: key(), server: key() }
    }

    /// Both ends of a handshake that has not begun: client, server.
    #[must_use]
    pub fn handshakes(&self, provider: &Provider, mode: Mode) -> (Handshake, Handshake) {
        let (options, anybody) = (RecordOptions::default(), || Arc::new(Anybody));
        match mode {
            Mode::Seed => (
                seed::Handshake::unauthenticated_client(provider, options).into(),
                seed::Handshake::unauthenticated_server(provider, options).into(),
            ),
            Mode::Noise => (
                noise::Handshake::initiator(provider, self.client.clone(), anybody(), options).into(),
                noise::Handshake::responder(provider, self.server.clone(), anybody(), options).into(),
            ),
        }
    }

    /// How a client connects.
    #[must_use]
    pub fn connector(&self, provider: &Provider, mode: Mode) -> Connector {
        match mode {
            Mode::Seed => Connector::seed_unauthenticated(provider),
            Mode::Noise => Connector::noise(provider, self.client.clone(), Arc::new(Anybody)),
        }
    }

    fn server(&self, provider: &Provider, mode: Mode) -> Server {
        let server = match mode {
            Mode::Seed => Server::seed_unauthenticated(provider),
            Mode::Noise => Server::noise(provider, self.server.clone(), Arc::new(Anybody)),
        };
        // all clients are at one address here
        let many = 1 << 20;
        server.with_options(ServerOptions { max_per_address: many, max_connections: many, ..ServerOptions::default() })
    }
}

/// Runs a handshake in memory, without a stream.
#[must_use]
pub fn establish((mut client, mut server): (Handshake, Handshake)) -> (Established, Established) {
    fn advance(end: &mut Handshake, done: &mut Option<Established>, input: &[u8]) -> Vec<u8> {
        let mut output = Vec::new();
        if done.is_none()
            && let Progress::Complete { established, .. } =
                end.advance(input, &mut output).expect("both ends speak the same")
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
    of_client.zip(of_server).expect("the loop ends with both")
}

/// A handshake of aws-lc-rs without us, and without sockets: what the two ends generate and agree.
#[derive(Debug)]
pub struct BareHandshake {
    mode: Mode,
    kept: PrivateKey,
    peer: Vec<u8>,
}

impl BareHandshake {
    /// Of a mode.
    ///
    /// # Panics
    /// If the system has no random bytes.
    #[must_use]
    pub fn of(mode: Mode) -> Self {
        let generate = || PrivateKey::generate(&ECDH_P256).expect("the system has random bytes");
        let peer = generate().compute_public_key().expect("it was made just now").as_ref().to_vec();
        Self { mode, kept: generate(), peer }
    }

    /// Once.
    ///
    /// # Panics
    /// If the system has no random bytes.
    pub fn run(&self) {
        for _ in 0..2 {
            let key = PrivateKey::generate(&ECDH_P256).expect("the system has random bytes");
            black_box(key.compute_public_key().expect("it was made just now"));
        }
        for _ in 0..self.mode.agreements() {
            let peer = UnparsedPublicKey::new(&ECDH_P256, &self.peer);
            agree(&self.kept, peer, (), |x| Ok(black_box(x.len()))).expect("the point is on the curve");
        }
    }

    /// Once, and beside it the least that a connection costs: blocking sockets, both ends in this thread, which connect, send each
    /// other as many bytes as the handshake does, and close.
    ///
    /// # Panics
    /// If the system has no random bytes, or the listener does not listen on the loopback network.
    pub fn run_over_tcp(&self, listener: &std::net::TcpListener) {
        let address = listener.local_addr().expect("it is bound");
        let mut client = std::net::TcpStream::connect(address).expect("it listens");
        client.set_nodelay(true).expect("a socket");
        self.run();
        let mut flights = self.mode.flights().iter();
        let mut bytes = [0; 256];
        let mut pass_on = |from: &mut std::net::TcpStream, to: &mut std::net::TcpStream| {
            if let Some(flight) = flights.next().and_then(|length| bytes.get_mut(..*length)) {
                from.write_all(flight).expect("the other end reads");
                to.read_exact(flight).expect("the other end wrote");
            }
        };
        let (mut server, _) = listener.accept().expect("a connection waits");
        for _ in 0..2 {
            pass_on(&mut client, &mut server);
            pass_on(&mut server, &mut client);
        }
        drop(client);
        assert_eq!(server.read(&mut bytes).expect("the client has closed"), 0);
    }
}

/// A runtime of one thread.
#[must_use]
pub fn one_thread() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime of one thread")
}

/// A listener on a port of its own.
#[must_use]
pub fn listen() -> TcpListener {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a free port");
    socket.listen(4096).expect("the port is ours")
}

/// A server that accepts every message, as a task of the runtime that it was started in.
pub struct Serving {
    /// Where it listens.
    pub address: SocketAddr,
    /// What it has counted.
    pub counters: Arc<ServerCounters>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<ServerReport>,
}

impl Serving {
    /// Begins to serve.
    #[must_use]
    pub fn start(keys: &Keys, provider: &Provider, mode: Mode) -> Self {
        let listener = listen();
        let address = listener.local_addr().expect("it is bound");
        let server = keys.server(provider, mode);
        let counters = server.counters();
        let (stop, stopped) = oneshot::channel::<()>();
        let accept = |_: Origin, _: Vec<u8>| async { Receipt::Accepted };
        let task = tokio::spawn(server.serve(listener, accept, async { drop(stopped.await) }));
        Self { address, counters, stop, task }
    }

    /// How long `count` handshakes take that so many clients make `at_once`: connect, shake hands, drop, and again.
    ///
    /// # Panics
    /// If a handshake fails.
    pub async fn shake_hands(&self, connector: &Connector, count: u64, at_once: u64) -> Duration {
        let established = || self.counters.report().established;
        let expected = established().saturating_add(count);
        let connect = async |connector: &Connector, address, times| {
            for _ in 0..times {
                drop(connector.connect(address).await.expect("the server takes everybody"));
            }
        };
        let mut clients = JoinSet::new();
        let began = Instant::now();
        let each = count / at_once;
        for _ in 1..at_once {
            let (connector, address) = (connector.clone(), self.address);
            clients.spawn(async move { connect(&connector, address, each).await });
        }
        connect(connector, self.address, count - each * (at_once - 1)).await;
        clients.join_all().await;
        // the last message of a handshake is the client's
        while established() < expected {
            tokio::task::yield_now().await;
        }
        began.elapsed()
    }

    /// Lets it drain.
    pub async fn stop(self) -> ServerReport {
        drop(self.stop);
        self.task.await.expect("a server does not panic")
    }
}
