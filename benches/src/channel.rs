//! What the benches of the channel share: both ends of a handshake in memory, and a server on the loopback network.
//!
//! Client and server are tasks of one thread, so that a rate is what one core does for both.

use std::net::SocketAddr;
use std::sync::Arc;

use studioml_envelope::Provider;
use studioml_envelope_channel::{
    Connector, Established, Handshake, Origin, PeerKey, PeerPolicy, Progress, Receipt, RecordOptions, Server,
    ServerCounters, ServerOptions, ServerReport, noise, noise::LocalKey, seed,
};
use tokio::net::{TcpListener, TcpSocket};
use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

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

    /// Lets it drain.
    pub async fn stop(self) -> ServerReport {
        drop(self.stop);
        self.task.await.expect("a server does not panic")
    }
}
