//! The P-256 channel as a source: the gateway listens, and the receipt is the acknowledgement.
//!
//! There is no queue to hand a message back to, and no reject queue: whoever sent a message still has it, waits for its
//! receipt, and is told why it was refused. `accepted` means confirmed downstream, as everywhere.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex as BlockingMutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use studioml_envelope_channel::noise::LocalKey;
use studioml_envelope_channel::{Origin, Pins, Receipt, Server, ServerOptions};
use studioml_envelope_core::{Fingerprint, P256PrivateKey, Provider};
use studioml_envelope_keys::{disk, read_private};
use tokio::net::TcpListener;
use tokio::sync::{Mutex, mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::config::ChannelConfig;
use crate::decision::{Published, Reason};
use crate::queue::{Claim, Deliveries, Delivery, QueueName, Source, SourceError};

/// Messages of one queue that wait to be taken. Their senders wait with them.
const WAITING: usize = 64;
/// How long a sender waits for a receipt: longer than messages are held when the destination is down.
const PATIENCE: Duration = Duration::from_secs(90);
/// Bytes that messages on their way in may take together.
const MAX_BUFFERED: usize = 256 << 20;
const MAX_CONNECTIONS: usize = 1024;

/// The listener, and the queues that its peers send to.
#[derive(Clone)]
pub(crate) struct Listener(Arc<Shared>);

struct Shared {
    queues: HashMap<QueueName, Arc<Mutex<mpsc::Receiver<Submitted>>>>,
    /// A listener is always connected.
    connected: watch::Sender<bool>,
    server: JoinHandle<()>,
}

/// A message whose sender waits.
struct Submitted {
    message: Vec<u8>,
    receipt: oneshot::Sender<Receipt>,
}

impl Listener {
    /// Loads the key, binds the port and begins to serve. Needs a tokio runtime around it.
    ///
    /// # Errors
    /// [`io::Error`] of the port, or with what is wrong with the key or the peers.
    pub(crate) fn start(config: &ChannelConfig, provider: &Provider) -> io::Result<Self> {
        let key = load_key(config, provider)?;
        let listener = std::net::TcpListener::bind(&config.listen)?;
        listener.set_nonblocking(true)?;
        let listener = TcpListener::from_std(listener)?;
        let address = listener.local_addr()?;

        let mut senders: HashMap<QueueName, mpsc::Sender<Submitted>> = HashMap::new();
        let mut queues = HashMap::new();
        let mut queue_of: HashMap<Fingerprint, QueueName> = HashMap::new();
        for peer in &config.peers {
            let queue = QueueName::new(&peer.queue).ok_or_else(|| invalid("peers: not a queue"))?;
            let fingerprint = peer.fingerprint.parse().map_err(|_| invalid("peers: not a fingerprint"))?;
            senders.entry(queue.clone()).or_insert_with(|| {
                let (sender, receiver) = mpsc::channel(WAITING);
                queues.insert(queue.clone(), Arc::new(Mutex::new(receiver)));
                sender
            });
            queue_of.insert(fingerprint, queue);
        }
        let peers = Arc::new(Pins::new(queue_of.keys().copied()));
        let options =
            ServerOptions { max_connections: MAX_CONNECTIONS, max_buffered: MAX_BUFFERED, ..ServerOptions::default() };
        let server = Server::noise(provider, key, peers).with_options(options);
        let server = server.with_observer(|event| tracing::debug!("channel: {event}"));
        let routes = Arc::new((queue_of, senders));
        let handler = move |origin: Origin, message: Vec<u8>| {
            let routes = Arc::clone(&routes);
            async move { submit(&routes.0, &routes.1, &origin, message).await }
        };
        tracing::info!(address = %address, "listening for channels");
        let serve = async move {
            server.serve(listener, handler, std::future::pending()).await;
        };
        let (connected, _) = watch::channel(true);
        Ok(Self(Arc::new(Shared { queues, connected, server: tokio::spawn(serve) })))
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// The gateway's own key.
pub(crate) fn load_key(config: &ChannelConfig, provider: &Provider) -> io::Result<LocalKey> {
    let named = |error: &dyn std::fmt::Display| invalid(&format!("key: {error}"));
    // a mounted secret, which Kubernetes makes readable for a group
    let contents = disk::read_private(&config.key, disk::Access::Anyone).map_err(|error| named(&error))?;
    let passphrase = config.passphrase_file.as_deref().map(disk::read_passphrase).transpose();
    let passphrase = passphrase.map_err(|error| invalid(&format!("passphrase_file: {error}")))?;
    let file = read_private(contents.expose_secret(), passphrase.as_ref(), provider).map_err(|error| named(&error))?;
    let key = P256PrivateKey::try_from(file.into_key()).map_err(|error| named(&error))?;
    LocalKey::load(provider, &key).map_err(|error| named(&error))
}

/// Hands a message to its queue's route, and waits for what becomes of it.
async fn submit(
    queue_of: &HashMap<Fingerprint, QueueName>,
    senders: &HashMap<QueueName, mpsc::Sender<Submitted>>,
    origin: &Origin,
    message: Vec<u8>,
) -> Receipt {
    const LATER: &str = "the gateway cannot take it now: try again";
    let fingerprints = origin.peer.key().map(|key| key.fingerprints().as_slice()).unwrap_or_default();
    let queue = fingerprints.iter().find_map(|fingerprint| queue_of.get(fingerprint));
    let Some(sender) = queue.and_then(|queue| senders.get(queue)) else {
        return Receipt::refused("no queue is configured for this peer");
    };
    let (receipt, answer) = oneshot::channel();
    let answered = timeout(PATIENCE, async {
        sender.send(Submitted { message, receipt }).await.ok()?;
        answer.await.ok()
    });
    answered.await.ok().flatten().unwrap_or_else(|| Receipt::refused(LATER))
}

#[async_trait]
impl Source for Listener {
    async fn queues(&self) -> Result<Vec<QueueName>, SourceError> {
        Ok(self.0.queues.keys().cloned().collect())
    }

    async fn open(&self, queue: &QueueName, _window: usize) -> Result<Box<dyn Deliveries>, SourceError> {
        let messages = self.0.queues.get(queue).ok_or(SourceError::NoQueue)?;
        Ok(Box::new(Messages(Arc::clone(messages))))
    }

    fn connected(&self) -> watch::Receiver<bool> {
        self.0.connected.subscribe()
    }
}

struct Messages(Arc<Mutex<mpsc::Receiver<Submitted>>>);

#[async_trait]
impl Deliveries for Messages {
    async fn next(&mut self, room: usize) -> Result<Vec<Delivery>, SourceError> {
        let mut messages = self.0.lock().await;
        let mut taken = Vec::new();
        messages.recv_many(&mut taken, room).await;
        if taken.is_empty() {
            return Err(SourceError::Unavailable("the listener has ended".to_owned()));
        }
        let delivery = |submitted: Submitted| Delivery {
            claim: Arc::new(SenderClaim {
                message: submitted.message,
                receipt: BlockingMutex::new(Some(submitted.receipt)),
            }),
            redelivered: false,
            file_name: None,
        };
        Ok(taken.into_iter().map(delivery).collect())
    }
}

/// A message whose sender waits for its receipt. Dropped without one, the sender is told to try again.
struct SenderClaim {
    message: Vec<u8>,
    receipt: BlockingMutex<Option<oneshot::Sender<Receipt>>>,
}

impl SenderClaim {
    /// Answers, if that has not been done. Whether the sender was there to hear it.
    fn answer(&self, receipt: Receipt) -> bool {
        let waiting = self.receipt.lock().unwrap_or_else(PoisonError::into_inner).take();
        waiting.is_some_and(|waiting| waiting.send(receipt).is_ok())
    }

    fn is_answered(&self) -> bool {
        self.receipt.lock().unwrap_or_else(PoisonError::into_inner).is_none()
    }
}

#[async_trait]
impl Claim for SenderClaim {
    fn len(&self) -> u64 {
        self.message.len() as u64
    }

    fn read(&self, limit: usize) -> io::Result<Vec<u8>> {
        let end = self.message.len().min(limit.saturating_add(1));
        Ok(self.message.get(..end).unwrap_or_default().to_vec())
    }

    fn is_live(&self) -> bool {
        // who has hung up sends it again: it is worked on nevertheless, and known then
        !self.is_answered()
    }

    async fn acknowledge(&self) -> bool {
        self.is_answered() || self.answer(Receipt::Accepted)
    }

    async fn release(&self) {
        self.answer(Receipt::refused("the gateway cannot take it now: try again"));
    }

    async fn reject(&self, reason: &Reason) -> Published {
        self.answer(Receipt::refused(&reason.to_string()));
        Published::Confirmed
    }
}

fn invalid(problem: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, problem)
}
