//! Looks at two sides that are as they are told to be.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use async_trait::async_trait;
use studioml_envelope_core::Policy;
use tokio::sync::Semaphore;

use super::*;
use crate::config::KeysConfig;
use crate::decision::Published;
use crate::processing::{Processor, Rules};
use crate::queue::{Deliveries, Delivery, Outgoing, Queues, Sink, Source};

/// A side that has one queue, without messages.
struct OneQueue {
    name: &'static str,
    is_deleted: AtomicBool,
    /// Whether it takes no other queue for a while.
    takes_nothing: AtomicBool,
    /// How many queues were removed from it.
    removed: AtomicUsize,
    connection: watch::Sender<bool>,
    /// Whether it connects when it is looked at next.
    is_to_connect: AtomicBool,
}

impl OneQueue {
    fn new(name: &'static str) -> Arc<Self> {
        let no = || AtomicBool::new(false);
        Arc::new(Self {
            name,
            is_deleted: no(),
            takes_nothing: no(),
            removed: AtomicUsize::new(0),
            connection: watch::Sender::new(true),
            is_to_connect: no(),
        })
    }
}

#[async_trait]
impl Source for OneQueue {
    async fn queues(&self) -> Result<Queues, SourceError> {
        if self.is_to_connect.swap(false, Ordering::SeqCst) {
            self.connection.send_replace(true);
        }
        let is_there = !self.is_deleted.load(Ordering::SeqCst);
        Ok(QueueName::new(self.name).into_iter().filter(|_| is_there).collect::<Vec<_>>().into())
    }

    async fn open(&self, _: &QueueName, _: usize) -> Result<Box<dyn Deliveries>, SourceError> {
        Ok(Box::new(Nothing))
    }

    fn connected(&self) -> watch::Receiver<bool> {
        self.connection.subscribe()
    }
}

struct Nothing;

#[async_trait]
impl Deliveries for Nothing {
    async fn next(&mut self, _: usize) -> Result<Vec<Delivery>, SourceError> {
        std::future::pending().await
    }
}

#[async_trait]
impl Sink for OneQueue {
    async fn exists(&self, queue: &QueueName) -> Result<bool, SourceError> {
        Ok(queue.as_str() == self.name && !self.is_deleted.load(Ordering::SeqCst))
    }

    fn makes_queues(&self) -> bool {
        true
    }

    async fn prepare(&self, _: &QueueName) -> Result<(), Published> {
        if self.takes_nothing.load(Ordering::SeqCst) { Err(Published::Unavailable) } else { Ok(()) }
    }

    async fn publish(&self, _: &QueueName, _: &Outgoing) -> Published {
        Published::Unavailable
    }

    async fn remove(&self, _: &QueueName) -> Result<(), SourceError> {
        self.removed.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }

    fn connected(&self) -> watch::Receiver<bool> {
        self.connection.subscribe()
    }
}

/// A supervisor of clear-text Requests: it takes no key to carry them.
fn supervisor(outer: &Arc<OneQueue>, inner: &Arc<OneQueue>, mounts: &std::path::Path) -> Supervisor {
    let provider = studioml_envelope::provider::default();
    let keys = KeysConfig {
        encryption: mounts.to_owned(),
        passphrase: mounts.to_owned(),
        signing: mounts.to_owned(),
        reports: mounts.to_owned(),
        ..KeysConfig::default()
    };
    let metrics = Metrics::new();
    let memory = Arc::new(Mutex::new(Memory::new(10)));
    let rules = Rules { policy: Policy::default(), message_bytes: 1000, max_age: None };
    let (keys, pool) = (Arc::new(KeyRing::open(&keys, &provider)), Arc::new(Pool::start(1).unwrap()));
    let requests = Arc::new(Surroundings {
        direction: Direction::Requests,
        source: Arc::clone(outer) as _,
        sink: Arc::clone(inner) as _,
        processor: Arc::new(Processor::new(provider, rules, Arc::clone(&memory), metrics.private_key_operations())),
        keys: Arc::clone(&keys),
        pool: Arc::clone(&pool),
        memory: Arc::clone(&memory),
        in_flight: Arc::new(Semaphore::new(8)),
        window: 4,
        longest_step: Duration::from_secs(60),
        started: Instant::now(),
    });
    let health = Arc::new(Health::new(Duration::from_secs(600)));
    let interval = Duration::from_secs(1);
    Supervisor { requests, reports: None, keys, pool, memory, metrics, health, clear_text_messages: true, interval }
}

#[tokio::test]
async fn a_route_goes_on_while_the_inner_side_cannot_be_asked_about_its_queue() {
    let (outer, inner) = (OneQueue::new("rmq_one"), OneQueue::new("rmq_one"));
    let mounts = tempfile::tempdir().unwrap();
    let supervisor = supervisor(&outer, &inner, mounts.path());
    let mut carried = Carried::new(Source::connected(outer.as_ref()));

    // what is not carried is not begun
    inner.takes_nothing.store(true, Ordering::SeqCst);
    supervisor.go_round(&mut carried).await;
    assert!(carried.routes.is_empty());
    inner.takes_nothing.store(false, Ordering::SeqCst);
    supervisor.go_round(&mut carried).await;
    assert_eq!(carried.routes.len(), 1);

    // and what is goes on
    inner.takes_nothing.store(true, Ordering::SeqCst);
    supervisor.go_round(&mut carried).await;
    assert!(carried.routes.values().all(|carrying| carrying.ending.is_none()));
    let obstacles = supervisor.health.obstacles_to_readiness().join("\n");
    assert!(obstacles.contains("queue rmq_one cannot be made at the inner side"), "{obstacles}");
}

#[tokio::test]
async fn a_queue_that_is_carried_has_been_seen_and_goes_when_it_is_deleted() {
    let (outer, inner) = (OneQueue::new("rmq_one"), OneQueue::new("rmq_one"));
    let mounts = tempfile::tempdir().unwrap();
    let supervisor = supervisor(&outer, &inner, mounts.path());
    let mut carried = Carried::new(Source::connected(outer.as_ref()));
    // the connection comes while the first look is under way, which does not count for that
    outer.is_to_connect.store(true, Ordering::SeqCst);
    supervisor.go_round(&mut carried).await;
    assert_eq!(carried.routes.len(), 1);

    outer.is_deleted.store(true, Ordering::SeqCst);
    for removed in [0, 1] {
        supervisor.go_round(&mut carried).await;
        assert_eq!(inner.removed.load(Ordering::SeqCst), removed);
    }
    assert!(carried.routes.is_empty());
}
