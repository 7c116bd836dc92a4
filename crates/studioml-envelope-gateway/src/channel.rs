//! The P-256 channel as a source: the gateway listens, and the receipt is the acknowledgement.
//!
//! There is no queue to hand a message back to, and no reject queue: whoever sent a message still has it, waits for its
//! receipt, and is told why it was refused. `accepted` means confirmed downstream, as everywhere.

use std::collections::HashMap;
use std::io;
use std::path::Path;
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
use crate::queue::{Claim, Deliveries, Delivery, QueueName, Queues, Source, SourceError};

/// Messages of one queue that wait to be taken. Their senders wait with them.
const WAITING: usize = 64;
/// How long a message waits to be taken. It is withdrawn then, so that its sender can be told to try again.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long those get who are sending when the gateway ends: nothing that comes then is taken any more.
const DRAIN: Duration = Duration::from_secs(2);
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
    server: BlockingMutex<Option<Serving>>,
}

/// The server as it runs: what tells it to end, and its task.
struct Serving {
    end: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

/// A message whose sender waits.
struct Submitted {
    message: Vec<u8>,
    /// Hears that the message was taken, unless it was withdrawn.
    taken: oneshot::Sender<()>,
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
        let options = ServerOptions {
            max_connections: MAX_CONNECTIONS,
            max_buffered: MAX_BUFFERED,
            drain: DRAIN,
            ..ServerOptions::default()
        };
        let server = Server::noise(provider, key, peers).with_options(options);
        let server = server.with_observer(|event| tracing::debug!("channel: {event}"));
        let routes = Arc::new((queue_of, senders));
        let handler = move |origin: Origin, message: Vec<u8>| {
            let routes = Arc::clone(&routes);
            async move { submit(&routes.0, &routes.1, &origin, message).await }
        };
        tracing::info!(address = %address, "listening for channels");
        let (end, ended) = oneshot::channel();
        let serve = async move {
            let end = async {
                let _ = ended.await; // the listener was dropped: an end too
            };
            server.serve(listener, handler, end).await;
        };
        let server = BlockingMutex::new(Some(Serving { end, task: tokio::spawn(serve) }));
        let (connected, _) = watch::channel(true);
        Ok(Self(Arc::new(Shared { queues, connected, server })))
    }

    /// Ends in order, after the routes: whoever waits for a receipt hears what became of its message, whoever sends still is told
    /// to try again, and idle channels are closed.
    pub(crate) async fn end(&self) {
        let serving = self.0.server.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(Serving { end, task }) = serving else { return };
        for messages in self.0.queues.values() {
            let mut messages = messages.lock().await;
            messages.close();
            while messages.try_recv().is_ok() {} // dropped: their senders are told
        }
        let _ = end.send(());
        let _ = task.await; // it has ended, be it by a panic
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        let serving = self.server.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(Serving { task, .. }) = serving {
            task.abort();
        }
    }
}

/// The gateway's own key.
pub(crate) fn load_key(config: &ChannelConfig, provider: &Provider) -> io::Result<LocalKey> {
    let named = |error: &dyn std::fmt::Display| invalid(&format!("key: {error}"));
    // Kubernetes makes the files of a mounted secret readable for a group
    let access = if is_mounted(&config.key) { disk::Access::Anyone } else { disk::Access::OwnerOnly };
    let contents = disk::read_private(&config.key, access).map_err(|error| named(&error))?;
    let passphrase = config.passphrase_file.as_deref().map(disk::read_passphrase).transpose();
    let passphrase = passphrase.map_err(|error| invalid(&format!("passphrase_file: {error}")))?;
    let file = read_private(contents.expose_secret(), passphrase.as_ref(), provider).map_err(|error| named(&error))?;
    let key = P256PrivateKey::try_from(file.into_key()).map_err(|error| named(&error))?;
    LocalKey::load(provider, &key).map_err(|error| named(&error))
}

/// Whether a file lies in a mount of Kubernetes: beside it is the link `..data` to the version that counts.
fn is_mounted(path: &Path) -> bool {
    path.parent().is_some_and(|directory| directory.join("..data").is_symlink())
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
    let ((taken, mut was_taken), (receipt, answer)) = (oneshot::channel(), oneshot::channel());
    let handed_over = timeout(PATIENCE, async {
        sender.send(Submitted { message, taken, receipt }).await.ok()?;
        (&mut was_taken).await.ok()
    });
    if handed_over.await.ok().flatten().is_none() {
        was_taken.close();
        // unless it was taken at the last moment
        if was_taken.try_recv().is_err() {
            return Receipt::refused(LATER);
        }
    }
    // no limit here: its route brings it to an end, and nobody is told `refused` for what may still be published
    answer.await.unwrap_or_else(|_| Receipt::refused(LATER))
}

#[async_trait]
impl Source for Listener {
    async fn queues(&self) -> Result<Queues, SourceError> {
        Ok(self.0.queues.keys().cloned().collect::<Vec<_>>().into())
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
        loop {
            let mut waiting = Vec::new();
            messages.recv_many(&mut waiting, room).await;
            if waiting.is_empty() {
                return Err(SourceError::Unavailable("the listener has ended".to_owned()));
            }
            let taken: Vec<Delivery> = waiting.into_iter().filter_map(Submitted::take).collect();
            if !taken.is_empty() {
                return Ok(taken);
            }
        }
    }
}

impl Submitted {
    /// `None` if it was withdrawn: its sender has been told to try again, or has gone.
    fn take(self) -> Option<Delivery> {
        self.taken.send(()).ok()?;
        let receipt = BlockingMutex::new(Some(self.receipt));
        let claim = Arc::new(SenderClaim { message: self.message, receipt });
        Some(Delivery { claim, redelivered: false, file_name: None })
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
        // who hangs up now sends it again: it is worked on nevertheless, and known then
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

#[cfg(test)]
mod tests {
    use studioml_envelope::provider;
    use studioml_envelope_channel::{Peer, PeerKey};

    use super::*;

    /// A queue, the way into it, and somebody whose messages belong there.
    fn queue() -> (Messages, HashMap<Fingerprint, QueueName>, HashMap<QueueName, mpsc::Sender<Submitted>>, Origin) {
        let provider = provider::default();
        let key = provider.agree_static.generate(provider.random).unwrap();
        let peer = PeerKey::new(*key.public_key(), provider.digest);
        let queue = QueueName::new("rmq_q").unwrap();
        let (sender, receiver) = mpsc::channel(WAITING);
        let queue_of = HashMap::from([(*peer.fingerprint(), queue.clone())]);
        let origin = Origin { peer: Arc::new(Peer::Authenticated(peer)), address: ([127, 0, 0, 1], 1).into() };
        (Messages(Arc::new(Mutex::new(receiver))), queue_of, HashMap::from([(queue, sender)]), origin)
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_refused_for_nobody_took_it_is_not_taken_later() {
        let (mut messages, queue_of, senders, origin) = queue();
        let receipt = submit(&queue_of, &senders, &origin, b"first".to_vec()).await;
        assert!(!receipt.is_accepted());
        let (receipt, taken) = tokio::join!(submit(&queue_of, &senders, &origin, b"second".to_vec()), async {
            let taken = messages.next(10).await.unwrap();
            assert_eq!(taken[0].claim.read(10).unwrap(), b"second");
            taken[0].claim.acknowledge().await;
            taken.len()
        });
        assert_eq!((receipt, taken), (Receipt::Accepted, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_is_told_refused_for_what_may_still_be_published() {
        let (mut messages, queue_of, senders, origin) = queue();
        let (receipt, ()) = tokio::join!(submit(&queue_of, &senders, &origin, b"message".to_vec()), async {
            let taken = messages.next(10).await.unwrap();
            // held for a minute, and its last try takes another
            tokio::time::sleep(Duration::from_secs(130)).await;
            assert!(taken[0].claim.acknowledge().await);
        });
        assert_eq!(receipt, Receipt::Accepted);
    }

    #[test]
    fn a_key_that_others_can_read_is_refused_but_in_a_mount() {
        use std::os::unix::fs::PermissionsExt as _;
        let provider = provider::default();
        let key = provider.agree_static.generate(provider.random).unwrap();
        let key = studioml_envelope_core::PrivateKey::P256(key);
        let format = studioml_envelope_keys::PrivateFormat::Pkcs8;
        let pem = studioml_envelope_keys::encode_private(&key, format, None, "", &provider).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        std::fs::write(&path, pem.expose_secret()).unwrap();
        let config =
            ChannelConfig { listen: String::new(), key: path.clone(), passphrase_file: None, peers: Vec::new() };
        let set_mode = |mode| std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        set_mode(0o600);
        assert!(load_key(&config, &provider).is_ok());
        set_mode(0o440);
        let refusal = load_key(&config, &provider).err().unwrap().to_string();
        assert!(refusal.contains("others can read"), "{refusal}");
        std::os::unix::fs::symlink("..version", directory.path().join("..data")).unwrap();
        assert!(load_key(&config, &provider).is_ok());
    }
}
