//! A connection that is made again for ever.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use lapin::tcp::OwnedTLSConfig;
use lapin::uri::AMQPUri;
use lapin::{Channel, Connection, ConnectionProperties, DefaultConnectionBuilder, ErrorKind, Event};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, timeout};

use super::code_of;
use crate::decision::Backoff;
use crate::metrics::{Metrics, Side};
use crate::queue::SourceError;

/// How often a connection is looked at besides what it says itself.
const LOOK: Duration = Duration::from_millis(250);

/// A connection that is lost before this was not lost by chance if it happens again.
pub(super) const SOON: Duration = Duration::from_secs(10);
/// So many in a row, and something that comes over it breaks it: a message whose properties cannot be parsed, which the broker
/// delivers again and again.
const MOST_LOST_SOON: u32 = 3;
/// For how long what it carries is kept apart then: longer than it takes to find out which queue breaks its own.
pub(super) const APART: Duration = Duration::from_secs(120);
/// It was closed by either end, and not given up.
const CLOSED: &str = "closed";

/// A connection and its supervisor, which ends with it.
pub(super) struct Link {
    supervisor: Arc<Supervisor>,
    state: watch::Receiver<Option<Arc<Live>>>,
    usable: watch::Receiver<bool>,
    apart_until: watch::Receiver<Option<Instant>>,
    task: JoinHandle<()>,
}

/// A connection that lives, as far as is known.
pub(super) struct Live {
    connection: Connection,
    given_up: Notify,
    /// Whether a number of a channel was found spoilt.
    has_spoilt_numbers: AtomicBool,
    worn_out: Notify,
}

impl Live {
    fn new(connection: Connection) -> Self {
        Self {
            connection,
            given_up: Notify::new(),
            has_spoilt_numbers: AtomicBool::new(false),
            worn_out: Notify::new(),
        }
    }

    /// Opens a channel.
    ///
    /// The numbers of channels come round, after 2047 unless the broker says otherwise, and lapin 4.12 keeps the error with which
    /// the broker closed a channel: it fails the next one of that number with it. That would be an answer to a question of long
    /// ago, such as "no queue" for one that has come meanwhile. A broker never refuses to open a channel in this way, so the next
    /// number is tried. Each that failed stays taken; when none is left, the connection is made again.
    pub(super) async fn create_channel(&self) -> Result<Channel, lapin::Error> {
        loop {
            let created = self.connection.create_channel().await;
            match &created {
                Err(error) if code_of(error).is_some() && self.connection.status().connected() => {
                    self.has_spoilt_numbers.store(true, Ordering::Relaxed);
                }
                Err(error) if matches!(error.kind(), ErrorKind::ChannelsLimitReached) => {
                    // without any the broker serves too few channels for all the queues: another connection has no more
                    if self.has_spoilt_numbers.load(Ordering::Relaxed) {
                        self.worn_out.notify_one();
                    }
                    return created;
                }
                _ => return created,
            }
        }
    }

    /// The broker did not answer in time: the connection is not to be trusted any more, and made again.
    pub(super) fn give_up(&self) {
        self.given_up.notify_one();
    }

    /// Whether the broker has an alarm: nothing is written to it.
    pub(super) fn is_blocked(&self) -> bool {
        self.connection.status().blocked()
    }
}

impl Link {
    pub(super) fn start(
        side: Side,
        purpose: &'static str,
        uri: AMQPUri,
        tls: OwnedTLSConfig,
        patience: Duration,
        metrics: Arc<Metrics>,
    ) -> Self {
        let (publish_state, state) = watch::channel(None);
        let (publish_usable, usable) = watch::channel(false);
        let (publish_apart, apart_until) = watch::channel(None);
        let supervisor = Arc::new(Supervisor { side, purpose, uri, tls, patience, metrics });
        let task = tokio::spawn(Arc::clone(&supervisor).run(publish_state, publish_usable, publish_apart));
        Self { supervisor, state, usable, apart_until, task }
    }

    /// The connection.
    ///
    /// # Errors
    /// [`SourceError::Unavailable`] at once, if there is none.
    pub(super) fn live(&self) -> Result<Arc<Live>, SourceError> {
        let live = self.state.borrow().clone();
        live.ok_or_else(|| SourceError::Unavailable("not connected".to_owned()))
    }

    /// Whether the connection was lost soon, again and again: who shares it suffers from what another one gets over it.
    pub(super) fn is_to_be_shared(&self) -> bool {
        self.apart_until.borrow().is_none_or(|until| until < Instant::now())
    }

    /// One more connection, for a single use. Nobody makes it again.
    ///
    /// # Errors
    /// [`SourceError::Unavailable`].
    pub(super) async fn another(&self) -> Result<Arc<Live>, SourceError> {
        self.live()?; // a broker that is away is not asked by every queue
        let connection = self.supervisor.connect().await.map_err(SourceError::Unavailable)?;
        Ok(Arc::new(Live::new(connection)))
    }

    /// Whether it is connected and not blocked, as it changes.
    pub(super) fn usable(&self) -> watch::Receiver<bool> {
        self.usable.clone()
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Supervisor {
    side: Side,
    purpose: &'static str,
    uri: AMQPUri,
    tls: OwnedTLSConfig,
    patience: Duration,
    metrics: Arc<Metrics>,
}

impl Supervisor {
    async fn run(
        self: Arc<Self>,
        state: watch::Sender<Option<Arc<Live>>>,
        usable: watch::Sender<bool>,
        apart_until: watch::Sender<Option<Instant>>,
    ) {
        let mut random = fastrand::Rng::new();
        let (mut failures, mut lost_soon): (u32, u32) = (0, 0);
        let mut connected_before = false;
        loop {
            match self.connect().await {
                Ok(connection) => {
                    tracing::info!(side = ?self.side, purpose = self.purpose, "connected");
                    if std::mem::replace(&mut connected_before, true) {
                        self.metrics.reconnected(self.side);
                    }
                    let since = Instant::now();
                    let live = Arc::new(Live::new(connection));
                    state.send_replace(Some(Arc::clone(&live)));
                    usable.send_replace(true);
                    let reason = self.watch(&live, &usable).await;
                    usable.send_replace(false);
                    state.send_replace(None);
                    tracing::warn!(side = ?self.side, purpose = self.purpose, reason, "the connection is lost");
                    if since.elapsed() >= SOON {
                        (failures, lost_soon) = (0, 0);
                    } else if reason == CLOSED {
                        lost_soon = lost_soon.saturating_add(1);
                    }
                    if lost_soon >= MOST_LOST_SOON {
                        lost_soon = 0;
                        tracing::warn!(side = ?self.side, purpose = self.purpose, "lost again and again: not to be shared");
                        apart_until.send_replace(Some(Instant::now() + APART));
                    }
                    // the last to use it drops it, and with it the socket; a polite goodbye gets a moment
                    let goodbye = live.connection.close(200, "goodbye".into());
                    let _ = timeout(Duration::from_millis(200), goodbye).await; // it is lost: no matter
                }
                Err(reason) => {
                    tracing::warn!(side = ?self.side, purpose = self.purpose, reason, "no connection");
                }
            }
            failures = failures.saturating_add(1);
            tokio::time::sleep(Backoff::default().wait(failures, &mut random)).await;
        }
    }

    async fn connect(&self) -> Result<Connection, String> {
        let name = format!("studioml-envelope-gateway {:?} {}", self.side, self.purpose);
        let properties = ConnectionProperties::default().with_connection_name(name.into());
        let builder = DefaultConnectionBuilder::new().map_err(|error| error.to_string())?;
        let builder = builder.with_uri(self.uri.clone()).with_properties(properties).with_tls_config(self.tls.clone());
        match timeout(self.patience, builder.connect()).await {
            Ok(connected) => connected.map_err(|error| error.to_string()),
            Err(_) => Err("the broker does not answer".to_owned()),
        }
    }

    /// Waits until the connection is lost, and says why.
    async fn watch(&self, live: &Live, usable: &watch::Sender<bool>) -> &'static str {
        let mut events = std::pin::pin!(live.connection.events_listener());
        let mut looks = tokio::time::interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                event = events.next() => match event {
                    Some(Event::ConnectionBlocked(reason)) => {
                        tracing::warn!(side = ?self.side, purpose = self.purpose, reason, "blocked by the broker");
                    }
                    Some(Event::ConnectionUnblocked) => {
                        tracing::info!(side = ?self.side, purpose = self.purpose, "no longer blocked");
                    }
                    // of the connection, or of one channel alone: the status tells
                    Some(_) => {}
                    None => return CLOSED,
                },
                _ = looks.tick() => {}
                () = live.given_up.notified() => return "the broker does not answer",
                () = live.worn_out.notified() => return "no number is left for a channel",
            }
            let status = live.connection.status();
            if !status.connected() {
                return CLOSED;
            }
            let is_usable = !status.blocked();
            usable.send_if_modified(|usable| std::mem::replace(usable, is_usable) != is_usable);
        }
    }
}
