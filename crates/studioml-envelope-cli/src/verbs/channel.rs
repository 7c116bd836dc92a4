//! `channel`: submitting messages directly, without a broker.

use std::{
    fmt::Display,
    path::{Path, PathBuf},
    sync::Arc,
};

use serde_json::json;
use studioml_envelope::{Digest, Fingerprint, Message, MessageError, P256PrivateKey, Provider};
use studioml_envelope_channel::{
    AllowList, AllowListError, ChannelError, Connector, DEFAULT_MAX_MESSAGE, HandshakeError, Origin, Pins, Receipt,
    Server, ServerEvent, noise::LocalKey,
};
use studioml_envelope_gateway::QueueWriter;
use tokio::net::TcpListener;

use crate::{
    args::{Algorithm, Channel, ChannelMode, Global, SigningPair},
    failure::{Failure, Outcome},
    io::{Limit, name_of, print_json, print_line, read_input, say, warn},
    load,
    log::Log,
    verbs::keygen,
};

/// How often the allow-list file is looked at.
const ALLOW_LIST_INTERVAL: std::time::Duration = std::time::Duration::from_secs(2);

/// Runs a `channel` verb.
pub fn run(global: &Global, channel: Channel, provider: &Provider) -> Outcome {
    match channel {
        Channel::Keygen { name, comment, force } => {
            keygen::signing(global, &SigningPair { name, algorithm: Algorithm::P256, comment, force }, provider)
        }
        Channel::Serve { listen, key, allow, to, mode } => {
            check_address("--listen", &listen)?;
            let server = match mode.wanted()? {
                ChannelMode::Noise => {
                    let (Some(key), Some(allow)) = (key, allow) else {
                        return Err(Failure::usage("--key and --allow are needed: the noise mode proves both ends"));
                    };
                    let allow = open_allow_list(&allow)?;
                    let key = local_key(&key, global, provider)?;
                    Serving { server: Server::noise(provider, key, allow.clone()), allow: Some(allow) }
                }
                ChannelMode::Seed => {
                    refuse_in_mode_seed(&[("--key", key.is_some()), ("--allow", allow.is_some())])?;
                    Serving { server: Server::seed_unauthenticated(provider), allow: None }
                }
            };
            let outlet = Outlet { json: global.json, digest: provider.digest, to };
            run_to_end(serve(server, &listen, outlet))
        }
        Channel::Send { connect, key, peer, inputs, mode } => {
            check_address("--connect", &connect)?;
            let connector = match mode.wanted()? {
                ChannelMode::Noise => {
                    let (Some(key), Some(peer)) = (key, peer) else {
                        return Err(Failure::usage("--key and --peer are needed: the noise mode proves both ends"));
                    };
                    let peer: Fingerprint = peer.parse().map_err(|error| Failure::usage(format!("--peer: {error}")))?;
                    Connector::noise(provider, local_key(&key, global, provider)?, Arc::new(Pins::new([peer])))
                }
                ChannelMode::Seed => {
                    refuse_in_mode_seed(&[("--key", key.is_some()), ("--peer", peer.is_some())])?;
                    Connector::seed_unauthenticated(provider)
                }
            };
            let inputs = if inputs.is_empty() { vec![PathBuf::from("-")] } else { inputs };
            run_to_end(send(global.json, &connector, &connect, &inputs))
        }
    }
}

/// What proves who somebody is has no place in the seed's exchange. Whoever gives a list of clients believes that it keeps
/// others out.
fn refuse_in_mode_seed(given: &[(&str, bool)]) -> Outcome {
    match given.iter().find(|(_, is_given)| *is_given) {
        Some((flag, _)) => {
            Err(Failure::usage(format!("{flag} has no effect in the seed's exchange, which proves nobody's identity"))
                .hint(format!("leave {flag} out, or --mode seed")))
        }
        None => Ok(()),
    }
}

/// Runs a verb to its end, and not to that of what a disk or a name server that hangs has not answered yet.
fn run_to_end(verb: impl Future<Output = Outcome>) -> Outcome {
    let runtime = tokio::runtime::Runtime::new().map_err(|error| Failure::io(format!("starting: {error}")))?;
    let outcome = runtime.block_on(verb);
    runtime.shutdown_background();
    outcome
}

/// Whether it is HOST:PORT, as far as that can be told without asking a name server.
fn check_address(flag: &str, address: &str) -> Outcome {
    match address.rsplit_once(':').map(|(_host, port)| port.parse::<u16>()) {
        Some(Ok(_)) => Ok(()),
        _ => Err(Failure::usage(format!("{flag}: {address} is not HOST:PORT"))),
    }
}

fn local_key(path: &Path, global: &Global, provider: &Provider) -> Outcome<LocalKey> {
    let name = name_of(Some(path));
    let unusable = |error| Failure::unusable(format!("{name}: {error}"));
    let key = P256PrivateKey::try_from(load::private_key(path, global, provider)?.into_key()).map_err(unusable)?;
    LocalKey::load(provider, &key).map_err(unusable)
}

fn open_allow_list(path: &Path) -> Outcome<Arc<AllowList>> {
    let list = AllowList::open(path).map_err(|error| {
        let cause = format!("{}: {error}", path.display());
        match &error {
            AllowListError::Io(error) => Failure::input(cause, error),
            _ => Failure::unusable(cause),
        }
    })?;
    if list.is_empty() {
        warn(format!("{}: no fingerprint in it, so nobody is let in", path.display()));
    }
    Ok(Arc::new(list))
}

/// A server and the allow-list that has to be watched beside it.
struct Serving {
    server: Server,
    allow: Option<Arc<AllowList>>,
}

/// Where accepted messages go, and how they are told of.
struct Outlet {
    json: bool,
    digest: &'static dyn Digest,
    to: Option<PathBuf>,
}

/// Serves until SIGTERM or Ctrl-C, then lets connections finish what they are at.
async fn serve(serving: Serving, listen: &str, outlet: Outlet) -> Outcome {
    let json = outlet.json;
    let listener = TcpListener::bind(listen).await.map_err(|error| Failure::io(format!("{listen}: {error}")))?;
    let address = listener.local_addr().map_err(|error| Failure::io(format!("{listen}: {error}")))?;
    let queue = match &outlet.to {
        Some(path) => {
            let opened = QueueWriter::open(path);
            Some(Arc::new(opened.map_err(|error| Failure::io(format!("{}: {error}", path.display())))?))
        }
        None => None,
    };
    allow_many_connections();
    let stopped = stopped()?; // who has read the address may send the signal
    match json {
        true => print_json(&json!({ "listening": address.to_string() }))?,
        false => print_line(&format!("listening on {address}"))?,
    }

    let logs = Arc::new(Logs::start(json)?);
    if let Some(allow) = serving.allow {
        let logs = Arc::clone(&logs);
        let report = move |list: &AllowList, outcome: Result<(), &_>| match outcome {
            Ok(()) => logs.reloaded(list.len()),
            Err(error) => logs.warn(format!("{}: {error}", list.path().display())),
        };
        tokio::spawn(allow.watch(ALLOW_LIST_INTERVAL, report));
    }
    let logs_of_messages = Arc::clone(&logs);
    let handler = move |origin: Origin, message: Vec<u8>| {
        let (queue, logs) = (queue.clone(), Arc::clone(&logs_of_messages));
        async move {
            let bytes = message.len();
            let (digest, warnings) = (outlet.digest, Arc::clone(&logs));
            let taken = tokio::task::spawn_blocking(move || take(&message, queue.as_deref(), digest, &warnings)).await;
            let receipt = taken.unwrap_or_else(|_| Receipt::refused("the server is stopping"));
            logs.message(&origin, bytes, &receipt);
            receipt
        }
    };
    let logs_of_events = Arc::clone(&logs);
    let server = serving.server.with_observer(move |event| logs_of_events.event(event));
    let report = server.serve(listener, handler, stopped).await;
    logs.end(report.messages_accepted, report.messages_refused)
}

/// What becomes of a message: it has to be an envelope, and it has to be in the queue before it is accepted.
fn take(message: &[u8], queue: Option<&QueueWriter>, digest: &dyn Digest, logs: &Logs) -> Receipt {
    let mut parsed = message.to_vec(); // parsing may unescape the payload in place; the queue gets the message as it came
    let name = match Message::parse(&mut parsed, usize::MAX) {
        Ok(envelope) => file_name(&digest.sha256(envelope.payload().as_bytes())),
        Err(MessageError::NotAnEnvelope) => return Receipt::refused("not a message envelope"),
        Err(error) => return Receipt::refused(&error.to_string()),
    };
    match queue.map(|queue| queue.write(&name, message)) {
        None | Some(Ok(())) => Receipt::Accepted,
        Some(Err(error)) => {
            logs.warn(format!("the queue does not take a message: {error}"));
            Receipt::refused("the queue cannot take the message now")
        }
    }
}

/// The name of a message's file: its identity, the SHA-256 of its payload.
fn file_name(identity: &[u8; 32]) -> String {
    identity.iter().map(|byte| format!("{byte:02x}")).chain([".json".to_owned()]).collect()
}

/// What a server says on standard output and standard error, which may be closed or unread without stopping it.
struct Logs {
    json: bool,
    results: Log,
    warnings: Log,
}

impl Logs {
    fn start(json: bool) -> Outcome<Self> {
        let results = Log::start(move |lines| match json {
            true => print_json(&json!({ "left_out": lines })),
            false => print_line(&format!("{lines} lines were left out, which nobody read in time")),
        })?;
        let warnings = Log::start(|lines| {
            warn(format!("{lines} lines were left out, which nobody read in time"));
            Ok(())
        })?;
        Ok(Self { json, results, warnings })
    }

    fn line(&self, json: serde_json::Value, text: String) {
        match self.json {
            true => self.results.say(move || print_json(&json)),
            false => self.results.say(move || print_line(&text)),
        }
    }

    fn warn(&self, message: impl Display) {
        let message = message.to_string();
        self.warnings.say(move || {
            warn(message);
            Ok(())
        });
    }

    /// One line a message: who, how much, what was answered. Never what is in it.
    fn message(&self, origin: &Origin, bytes: usize, receipt: &Receipt) {
        let (peer, address) = (origin.peer.to_string(), origin.address.to_string());
        let text = match receipt {
            Receipt::Accepted => format!("{peer} {address} {bytes} bytes accepted"),
            Receipt::Refused { reason } => format!("{peer} {address} {bytes} bytes refused: {reason}"),
        };
        self.line(json!({ "peer": peer, "address": address, "bytes": bytes, "receipt": receipt }), text);
    }

    fn event(&self, event: &ServerEvent<'_>) {
        match event {
            ServerEvent::Established { .. } | ServerEvent::Ended { error: None, .. } => {}
            event => self.warn(event),
        }
    }

    fn reloaded(&self, fingerprints: usize) {
        self.warnings.say(move || {
            say(format!("studioml-envelope: allow-list reloaded: {fingerprints} fingerprints"));
            Ok(())
        });
    }

    /// The last line, once all others are written or nobody reads them.
    fn end(&self, accepted: u64, refused: u64) -> Outcome {
        self.line(
            json!({ "stopped": { "accepted": accepted, "refused": refused } }),
            format!("stopped: {accepted} messages accepted, {refused} refused"),
        );
        let _ = self.warnings.end();
        self.results.end()
    }
}

/// Resolves on SIGTERM or Ctrl-C. Both are listened for from the call on, not from the first wait.
fn stopped() -> Outcome<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let listen = |kind| signal(kind).map_err(|error| Failure::io(format!("starting: {error}")));
    let (mut terminate, mut interrupt) = (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

/// Shells start programs with 1024 descriptors and let them ask for more, which a server with so many clients has to.
fn allow_many_connections() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // where even that is refused the server goes on with fewer
    let _ = setrlimit(Resource::Nofile, limit);
}

/// Sends each message and prints its receipt. Succeeds only if every one was accepted.
async fn send(json: bool, connector: &Connector, address: &str, inputs: &[PathBuf]) -> Outcome {
    let messages = inputs.iter().map(|path| read_message(path)).collect::<Outcome<Vec<_>>>()?;
    let mut client = connector.connect(address).await.map_err(|error| not_connected(address, &error))?;
    let mut refused = 0_usize;
    for (number, (name, message)) in messages.iter().enumerate() {
        let receipt = client.submit(message).await.map_err(|error| {
            let failure = Failure::io(format!("{address}: {name}: {error}"));
            // a server says nothing to whom it does not know, so that its client learns of it here
            let unknown = number == 0 && client.peer().key().is_some();
            if unknown { failure.hint("the server may not have this key on its list of clients") } else { failure }
        })?;
        match (json, &receipt) {
            (true, receipt) => print_json(&json!({ "message": name, "receipt": receipt }))?,
            (false, Receipt::Accepted) => print_line(&format!("{name}: accepted"))?,
            (false, Receipt::Refused { reason }) => print_line(&format!("{name}: refused: {reason}"))?,
        }
        refused += usize::from(!receipt.is_accepted());
    }
    if let Err(error) = client.close().await {
        warn(format!("{address}: {error}")); // the receipts stand
    }
    if refused > 0 {
        return Err(Failure::refused(format!("{refused} of {} messages were refused", messages.len())));
    }
    Ok(())
}

fn not_connected(address: &str, error: &ChannelError) -> Failure {
    match error {
        ChannelError::Handshake(HandshakeError::PeerNotAllowed { fingerprint }) => {
            Failure::io(format!("{address}: the server is {fingerprint}, not the --peer given"))
        }
        error => Failure::io(format!("{address}: {error}")),
    }
}

/// A message under the name that it is told of by. What no server would get to see is refused before one is connected to.
fn read_message(path: &Path) -> Outcome<(String, Vec<u8>)> {
    let (name, message) = (name_of(Some(path)), read_input(Some(path), Limit::channel(DEFAULT_MAX_MESSAGE))?);
    if message.is_empty() {
        return Err(Failure::unusable(format!("{name}: there is nothing in it")));
    }
    Ok((name, message))
}
