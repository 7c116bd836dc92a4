//! Which queues are carried: looks at both sides and the keys, starts and ends routes, and mirrors deletions.

mod looks;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use studioml_envelope_keys::directory::{Change, Severity};
use tokio::sync::{mpsc, watch};

use crate::decision::{Direction, Memory, PauseReason};
use crate::health::Health;
use crate::keyring::{Coverage, KeyRing, Keys, log_change};
use crate::metrics::{Metrics, Side};
use crate::processing::lock;
use crate::processing::pool::Pool;
use crate::queue::{QueueName, SourceError};
use crate::route::{Route, Surroundings};
use looks::Looks;

/// How long a route gets to end when its queue is not carried any more.
const ENDING: Duration = Duration::from_secs(5);
/// Lines of obstacles that are told; more help nobody.
const MOST_OBSTACLES: usize = 20;

pub(crate) struct Supervisor {
    pub(crate) requests: Arc<Surroundings>,
    /// None where the outer side cannot take reports: the channel.
    pub(crate) reports: Option<Arc<Surroundings>>,
    pub(crate) keys: Arc<KeyRing>,
    pub(crate) pool: Arc<Pool>,
    pub(crate) memory: Arc<Mutex<Memory>>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) health: Arc<Health>,
    pub(crate) clear_text_messages: bool,
    pub(crate) interval: Duration,
}

/// What is carried at the moment.
struct Carried {
    routes: BTreeMap<(Direction, QueueName), Carrying>,
    /// Queues that had a route, and have not been deleted since.
    were_carried: BTreeSet<QueueName>,
    /// The outer queues, request and report queues alike, over the last looks.
    outer: Looks,
    /// Changes whenever the connection that `outer` was seen over does.
    outer_connection: watch::Receiver<bool>,
}

impl Carried {
    /// Nothing yet.
    fn new(outer_connection: watch::Receiver<bool>) -> Self {
        Self { routes: BTreeMap::new(), were_carried: BTreeSet::new(), outer: Looks::default(), outer_connection }
    }
}

struct Carrying {
    prefix: String,
    route: Route,
    /// Asked to end, since then.
    ending: Option<Instant>,
}

/// What a look found out.
#[derive(Default)]
struct Look {
    wanted: BTreeMap<(Direction, QueueName), String>,
    obstacles: Vec<String>,
}

/// How the outer side was seen.
enum Seen {
    OverOneConnection,
    /// The connection was made, or lost, in between: what was not seen may be there, and what was seen have gone with the last one.
    OverSeveralConnections,
}

impl Supervisor {
    /// Goes round until `shutdown`, then brings what is under way to an end within `drain`.
    pub(crate) async fn run(
        self,
        mut key_changes: mpsc::UnboundedReceiver<Change>,
        shutdown: impl Future<Output = ()>,
        drain: Duration,
    ) {
        let mut carried = Carried::new(self.requests.source.connected());
        let mut rounds = tokio::time::interval(self.interval);
        rounds.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        tokio::pin!(shutdown);
        loop {
            tokio::select! {
                () = &mut shutdown => break,
                _ = rounds.tick() => {}
                Some(change) = key_changes.recv() => self.keys_changed(&change, &carried),
            }
            // a broker that does not answer must not keep anybody from shutting down
            tokio::select! {
                () = &mut shutdown => break,
                () = self.go_round(&mut carried) => {}
            }
        }
        self.end(carried, drain).await;
    }

    fn keys_changed(&self, change: &Change, carried: &Carried) {
        log_change(change);
        self.metrics.keys_reloaded();
        lock(&self.memory).forget_refusals();
        for carrying in carried.routes.values() {
            carrying.route.keys_changed();
        }
    }

    async fn go_round(&self, carried: &mut Carried) {
        let keys = self.keys.current();
        let mut look = Look::default();
        let mut looked = self.look(carried, &keys, &mut look).await;
        if matches!(looked, Ok(Seen::OverSeveralConnections)) {
            // at once: what is made inside for a queue that goes before it was seen would stay there
            look = Look::default();
            looked = self.look(carried, &keys, &mut look).await;
        }
        match looked {
            Ok(Seen::OverOneConnection) => self.adjust(carried, &look),
            Ok(Seen::OverSeveralConnections) => {
                look.obstacles.push("queues cannot be looked for: the connection is lost meanwhile".to_owned());
            }
            Err(error) => look.obstacles.push(format!("queues cannot be looked for: {error}")),
        }
        if keys.identities.identities().is_empty() {
            look.obstacles.push("keys.encryption: no private key is loaded".to_owned());
        }
        self.tell(carried, &keys, look);
    }

    /// Finds out what is to be carried, makes the inner queues that are missing, and removes those whose outer queue has
    /// gone.
    async fn look(&self, carried: &mut Carried, keys: &Keys, look: &mut Look) -> Result<Seen, SourceError> {
        if !is_steady(&mut carried.outer_connection) {
            carried.outer.connection_was_lost();
        }
        let outer = self.requests.source.queues().await?;
        self.health.supervisor_works();
        let (outer_reports, outer_requests): (Vec<_>, Vec<_>) =
            outer.offered.into_iter().partition(QueueName::is_response);
        let mut found: BTreeSet<QueueName> = outer_requests.iter().cloned().collect();

        // report queues first: a runner that finds a request queue looks for its report queue at once
        if let Some(reports) = &self.reports {
            let candidates = outer_requests.iter().filter_map(QueueName::response).chain(outer_reports).collect();
            let existing = self.look_for_reports(reports, candidates, &outer.existing, carried, keys, look).await?;
            found.extend(existing);
        }
        for queue in outer_requests {
            self.look_at_requests(queue, carried, keys, look).await;
        }
        if !is_steady(&mut carried.outer_connection) {
            // during this look: it may be of a broker that does not have its queues back yet
            carried.outer.connection_was_lost();
            return Ok(Seen::OverSeveralConnections);
        }
        for gone in carried.outer.look(&found) {
            self.health.supervisor_works();
            // a queue that is nobody's here was not carried in, and what has its name inside is somebody else's
            let is_covered =
                || [keys.signing_coverage(&gone), keys.report_coverage(&gone)].iter().any(Coverage::is_key);
            if !carried.were_carried.contains(&gone) && !is_covered() {
                continue;
            }
            if let Err(error) = self.mirror_deletion(&gone, carried).await {
                carried.outer.look_again(&gone);
                look.obstacles.push(format!("queue {gone} is not seen outside any more, and stays inside: {error}"));
            }
        }
        Ok(Seen::OverOneConnection)
    }

    /// Finds out which report queues are to be carried: of the candidates, and of those that are inside. Returns those that
    /// exist at the outer side.
    async fn look_for_reports(
        &self,
        reports: &Surroundings,
        mut candidates: BTreeSet<QueueName>,
        outer: &BTreeSet<QueueName>,
        carried: &Carried,
        keys: &Keys,
        look: &mut Look,
    ) -> Result<Vec<QueueName>, SourceError> {
        let inner = reports.source.queues().await?.offered.into_iter().filter(QueueName::is_response);
        let inner: BTreeSet<QueueName> = inner.collect();
        candidates.extend(inner.iter().cloned());
        let mut existing = Vec::new();
        for queue in candidates {
            self.health.supervisor_works();
            let prefix = match keys.report_coverage(&queue) {
                Coverage::Key(prefix) => prefix,
                Coverage::Closed(prefix) => {
                    look.closed("keys.reports", &prefix);
                    continue;
                }
                Coverage::Nothing => continue,
            };
            // in a directory a report queue is made for one that somebody made inside, unless it was deleted outside
            let is_to_be_made =
                || inner.contains(&queue) && !carried.outer.has_seen(&queue) && reports.sink.makes_queues();
            if outer.contains(&queue) || (is_to_be_made() && reports.sink.prepare(&queue).await.is_ok()) {
                existing.push(queue.clone());
                self.want(look, carried, Direction::Reports, queue, prefix).await;
            }
        }
        Ok(existing)
    }

    /// Finds out whether a request queue is to be carried.
    async fn look_at_requests(&self, queue: QueueName, carried: &Carried, keys: &Keys, look: &mut Look) {
        self.health.supervisor_works();
        let prefix = match keys.signing_coverage(&queue) {
            Coverage::Key(prefix) => prefix,
            Coverage::Nothing if self.clear_text_messages && keys.signing.is_lost() => {
                return look.tell(
                    "keys.signing: the directory is missing, or empty since its keys went: no clear text passes",
                );
            }
            Coverage::Nothing if self.clear_text_messages => String::new(),
            Coverage::Nothing => return,
            Coverage::Closed(prefix) => return look.closed("keys.signing", &prefix),
        };
        if !keys.identities.identities().is_empty() || prefix.is_empty() {
            self.want(look, carried, Direction::Requests, queue, prefix).await;
        }
    }

    async fn want(&self, look: &mut Look, carried: &Carried, direction: Direction, queue: QueueName, prefix: String) {
        if self.requests.sink.prepare(&queue).await.is_ok() {
            look.wanted.insert((direction, queue), prefix);
        } else {
            look.obstacles.push(format!("queue {queue} cannot be made at the inner side"));
            look.keep(carried, direction, queue, prefix);
        }
    }

    /// Deleting the outer queue means abort: what was carried in from it goes too.
    async fn mirror_deletion(&self, queue: &QueueName, carried: &mut Carried) -> Result<(), SourceError> {
        if let Some(outer) = self.reports.as_ref().map(|reports| &reports.sink) {
            // one that is not bound any more is not looked at, and still there
            if outer.exists(queue).await? {
                carried.outer.look_again(queue);
                return Ok(());
            }
        }
        tracing::info!(%queue, "deleted at the outer side: removing it at the inner one");
        for direction in [Direction::Requests, Direction::Reports] {
            if let Some(carrying) = carried.routes.remove(&(direction, queue.clone())) {
                carrying.route.drain();
                carrying.route.ended(Duration::from_millis(500)).await;
            }
        }
        self.requests.sink.remove(queue).await?;
        carried.were_carried.remove(queue);
        Ok(())
    }

    fn adjust(&self, carried: &mut Carried, look: &Look) {
        carried.routes.retain(|(direction, queue), carrying| {
            let wanted = look.wanted.get(&(*direction, queue.clone())) == Some(&carrying.prefix);
            if carrying.route.has_ended() {
                if carrying.ending.is_none() {
                    tracing::error!(%queue, "the queue's task ended by a panic; it starts again");
                }
                return false;
            }
            match carrying.ending {
                None if !wanted => {
                    carrying.route.drain();
                    carrying.ending = Some(Instant::now());
                }
                // its messages go back to the queue
                Some(since) if since.elapsed() > ENDING => return false,
                _ => {}
            }
            true
        });
        for ((direction, queue), prefix) in &look.wanted {
            let key = (*direction, queue.clone());
            if carried.routes.contains_key(&key) {
                continue;
            }
            let surroundings = match direction {
                Direction::Requests => &self.requests,
                Direction::Reports => match &self.reports {
                    Some(reports) => reports,
                    None => continue,
                },
            };
            tracing::info!(%queue, direction = direction.as_str(), prefix, "carrying");
            let metrics = self.metrics.of_route(*direction, prefix);
            let route = Route::start(Arc::clone(surroundings), queue.clone(), metrics);
            carried.were_carried.insert(queue.clone());
            carried.routes.insert(key, Carrying { prefix: prefix.clone(), route, ending: None });
        }
    }

    /// Tells probes and metrics how things are, and makes sure that the threads that compute still do.
    fn tell(&self, carried: &Carried, keys: &Keys, look: Look) {
        let mut obstacles = look.obstacles;
        obstacles.extend(self.requests.source.obstacles());
        // each way has a connection of its own at either side: one that consumes, one that publishes
        let reports = self.reports.as_ref();
        obstacles.extend(reports.into_iter().flat_map(|reports| reports.source.obstacles()));
        let sides = [
            (Side::outer, self.requests.source.connected(), reports.map(|reports| reports.sink.connected())),
            (Side::inner, self.requests.sink.connected(), reports.map(|reports| reports.source.connected())),
        ];
        for (side, of_requests, of_reports) in sides {
            let connected = *of_requests.borrow() && of_reports.is_none_or(|connected| *connected.borrow());
            self.metrics.connected(side, connected);
            if !connected {
                obstacles.push(format!("{side:?}: out of reach"));
            }
        }
        let mut paused: BTreeMap<&'static str, (PauseReason, usize)> =
            PauseReason::ALL.into_iter().map(|reason| (reason.as_str(), (reason, 0))).collect();
        for ((_, queue), carrying) in &carried.routes {
            let Some(reason) = carrying.route.paused() else { continue };
            if let Some((_, count)) = paused.get_mut(reason.as_str()) {
                *count = count.saturating_add(1);
            }
            if reason.is_configuration() {
                obstacles.push(format!("queue {queue} is paused: {}", reason.as_str()));
            }
        }
        for (reason, count) in paused.into_values() {
            self.metrics.paused_queues(reason, count);
        }
        self.count_findings(keys);
        self.metrics.remembered(lock(&self.memory).len());
        self.metrics.ready(obstacles.is_empty());
        obstacles.truncate(MOST_OBSTACLES);
        self.health.supervisor_works();
        if self.health.asks_pool() {
            let health = Arc::clone(&self.health);
            self.pool.submit(0, move || health.pool_works());
        }
        let ready = obstacles.is_empty();
        let told = obstacles.join("; ");
        if self.health.set_obstacles(obstacles) {
            if ready {
                tracing::info!("ready");
            } else {
                tracing::warn!(obstacles = told, "not ready");
            }
        }
    }

    fn count_findings(&self, keys: &Keys) {
        for mount in ["keys.encryption", "keys.signing", "keys.reports"] {
            for (severity, name) in [(Severity::Error, "error"), (Severity::Warning, "warning")] {
                let of_mount =
                    keys.findings().filter(|(in_mount, finding)| *in_mount == mount && finding.severity() == severity);
                self.metrics.key_findings(mount, name, of_mount.count());
            }
        }
    }

    async fn end(&self, carried: Carried, patience: Duration) {
        tracing::info!(seconds = patience.as_secs_f64(), "draining");
        let give_up = Instant::now() + patience;
        for carrying in carried.routes.values() {
            carrying.route.drain();
        }
        let mut given_up: usize = 0;
        for carrying in carried.routes.into_values() {
            if !carrying.route.ended(give_up.saturating_duration_since(Instant::now())).await {
                given_up = given_up.saturating_add(1);
            }
        }
        if given_up > 0 {
            tracing::warn!(queues = given_up, "not everything came to an end in time; it will be handed over again");
        }
    }
}

/// Whether a connection is there, and was since this was last asked.
fn is_steady(connection: &mut watch::Receiver<bool>) -> bool {
    let has_changed = connection.has_changed().unwrap_or(true);
    *connection.borrow_and_update() && !has_changed
}

impl Look {
    /// What cannot be asked about now goes on if it is carried: a route that ends gives up what is under way, and a side that
    /// takes nothing for a while says nothing about what goes the other way.
    fn keep(&mut self, carried: &Carried, direction: Direction, queue: QueueName, prefix: String) {
        let key = (direction, queue);
        if carried.routes.contains_key(&key) {
            self.wanted.insert(key, prefix);
        }
    }

    fn closed(&mut self, mount: &str, prefix: &str) {
        let obstacle = if prefix.is_empty() {
            format!("{mount}: the directory cannot be read")
        } else {
            format!("{mount}: the file {prefix} cannot be used")
        };
        self.tell(&obstacle);
    }

    fn tell(&mut self, obstacle: &str) {
        if !self.obstacles.iter().any(|told| told == obstacle) {
            self.obstacles.push(obstacle.to_owned());
        }
    }
}

#[cfg(test)]
mod tests;
