//! Routes between a source and a sink that do nothing unless they are told to.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use async_trait::async_trait;
use studioml_envelope_core::Policy;
use tokio::sync::Notify;

use super::*;
use crate::config::KeysConfig;
use crate::decision::Offer;
use crate::metrics::Metrics;
use crate::processing::Rules;
use crate::queue::{Claim, Deliveries, Queues, SourceError};

/// A clear-text Request: it takes no key to let it through.
const REQUEST: &[u8] = br#"{"experiment":{},"config":{}}"#;
/// No test takes so long.
const PATIENCE: Duration = Duration::from_secs(60);

/// Whether something lives that is dropped at some time.
struct Alive(Arc<AtomicBool>);

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.store(false, Ordering::SeqCst);
    }
}

/// A source of one message, or of none, which says what becomes of it.
#[derive(Default)]
struct Messages {
    has_one: AtomicBool,
    /// Whether it has an error after that, as a disk has.
    fails: bool,
    opened: AtomicUsize,
    is_read: Arc<AtomicBool>,
    is_held: Arc<AtomicBool>,
    is_acknowledged: Arc<AtomicBool>,
    /// Whether it was asked to take a message back; it does when it is told to.
    is_asked_back: Arc<AtomicBool>,
    take_back: Arc<Notify>,
}

/// Waits for something that others see to.
async fn until(condition: impl Fn() -> bool) {
    let wait = async {
        while !condition() {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, wait).await.unwrap();
}

#[async_trait]
impl Source for Messages {
    async fn queues(&self) -> Result<Queues, SourceError> {
        Ok(Queues::default())
    }

    async fn open(&self, _: &QueueName, _: usize) -> Result<Box<dyn Deliveries>, SourceError> {
        self.opened.fetch_add(1, Ordering::SeqCst);
        self.is_read.store(true, Ordering::SeqCst);
        let message = self.has_one.swap(false, Ordering::SeqCst).then(|| {
            self.is_held.store(true, Ordering::SeqCst);
            Held {
                is_acknowledged: Arc::clone(&self.is_acknowledged),
                is_asked_back: Arc::clone(&self.is_asked_back),
                take_back: Arc::clone(&self.take_back),
                _alive: Alive(Arc::clone(&self.is_held)),
            }
        });
        Ok(Box::new(Reader { message, fails: self.fails, _alive: Alive(Arc::clone(&self.is_read)) }))
    }

    fn connected(&self) -> watch::Receiver<bool> {
        watch::channel(true).1
    }
}

struct Reader {
    message: Option<Held>,
    fails: bool,
    _alive: Alive,
}

#[async_trait]
impl Deliveries for Reader {
    async fn next(&mut self, _: usize) -> Result<Vec<Delivery>, SourceError> {
        match self.message.take() {
            Some(held) => Ok(vec![Delivery { claim: Arc::new(held), redelivered: false, file_name: None }]),
            None if self.fails => Err(SourceError::Unavailable("an error of the disk".to_owned())),
            None => std::future::pending().await,
        }
    }
}

struct Held {
    is_acknowledged: Arc<AtomicBool>,
    is_asked_back: Arc<AtomicBool>,
    take_back: Arc<Notify>,
    _alive: Alive,
}

#[async_trait]
impl Claim for Held {
    fn len(&self) -> u64 {
        REQUEST.len() as u64
    }

    fn read(&self, _: usize) -> io::Result<Vec<u8>> {
        Ok(REQUEST.to_vec())
    }

    fn is_live(&self) -> bool {
        true
    }

    async fn acknowledge(&self) -> bool {
        self.is_acknowledged.store(true, Ordering::SeqCst);
        true
    }

    async fn release(&self) {
        self.is_asked_back.store(true, Ordering::SeqCst);
        self.take_back.notified().await;
    }

    async fn reject(&self, _: &Reason) -> Published {
        Published::Confirmed
    }
}

/// A sink that confirms when it is told to, and says whether it was asked.
#[derive(Default)]
struct Slow {
    is_asked: AtomicBool,
    confirm: Notify,
}

#[async_trait]
impl Sink for Slow {
    async fn exists(&self, _: &QueueName) -> Result<bool, SourceError> {
        Ok(true)
    }

    fn makes_queues(&self) -> bool {
        true
    }

    async fn prepare(&self, _: &QueueName) -> Result<(), Published> {
        Ok(())
    }

    async fn publish(&self, _: &QueueName, _: &Outgoing) -> Published {
        self.is_asked.store(true, Ordering::SeqCst);
        self.confirm.notified().await;
        Published::Confirmed
    }

    async fn remove(&self, _: &QueueName) -> Result<(), SourceError> {
        Ok(())
    }

    fn connected(&self) -> watch::Receiver<bool> {
        watch::channel(true).1
    }
}

fn queue() -> QueueName {
    QueueName::new("rmq_one").unwrap()
}

/// A route that has published the one message of its source, and has not heard of it yet.
async fn route_under_way(source: &Arc<Messages>, sink: &Arc<Slow>) -> Route {
    source.has_one.store(true, Ordering::SeqCst);
    let signing = tempfile::tempdir().unwrap();
    let (source, out) = (Arc::clone(source) as _, Arc::clone(sink) as _);
    let surroundings = surroundings(Direction::Requests, source, out, signing.path());
    let route = Route::start(surroundings, queue(), Metrics::new().of_route(Direction::Requests, ""));
    until(|| sink.is_asked.load(Ordering::SeqCst)).await;
    route
}

/// Without any key.
fn surroundings(
    direction: Direction,
    source: Arc<dyn Source>,
    sink: Arc<dyn Sink>,
    mounts: &std::path::Path,
) -> Arc<Surroundings> {
    let provider = studioml_envelope::provider::default();
    let mut policy = Policy::default();
    policy.clear_text_messages = true;
    let memory = Arc::new(Mutex::new(Memory::new(10)));
    let rules = Rules { policy, message_bytes: 1000, max_age: None };
    let counter = Metrics::new().private_key_operations();
    let keys = KeysConfig { signing: mounts.to_owned(), reports: mounts.to_owned(), ..KeysConfig::default() };
    Arc::new(Surroundings {
        direction,
        source,
        sink,
        processor: Arc::new(Processor::new(provider, rules, Arc::clone(&memory), counter)),
        keys: Arc::new(KeyRing::open(&keys, &provider)),
        pool: Arc::new(Pool::start(1).unwrap()),
        memory,
        in_flight: Arc::new(Semaphore::new(8)),
        window: 4,
        longest_step: PATIENCE,
        started: Instant::now(),
    })
}

#[tokio::test]
async fn a_route_that_is_dropped_gives_back_what_is_under_way() {
    let (source, sink) = (Arc::default(), Arc::default());
    let route = route_under_way(&source, &sink).await;
    assert!(source.is_held.load(Ordering::SeqCst));
    route.drain();
    drop(route);
    until(|| !source.is_held.load(Ordering::SeqCst)).await;
    assert!(!source.is_acknowledged.load(Ordering::SeqCst));
}

#[tokio::test]
async fn an_error_of_a_source_that_leaves_its_claims_as_they_are_does_not_lose_them() {
    let (source, sink) = (Arc::new(Messages { fails: true, ..Messages::default() }), Arc::default());
    let _route = route_under_way(&source, &sink).await;
    until(|| source.opened.load(Ordering::SeqCst) > 1).await;
    sink.confirm.notify_one();
    until(|| !source.is_held.load(Ordering::SeqCst)).await;
    assert!(source.is_acknowledged.load(Ordering::SeqCst));
}

#[tokio::test]
async fn a_report_queue_keeps_its_reader_until_what_is_handed_back_is_back() {
    let source = Arc::new(Messages { has_one: true.into(), ..Messages::default() });
    let mounts = tempfile::tempdir().unwrap();
    let surroundings =
        surroundings(Direction::Reports, Arc::clone(&source) as _, Arc::<Slow>::default(), mounts.path());
    let route = Route::start(surroundings, queue(), Metrics::new().of_route(Direction::Reports, ""));
    // there is no key that it could be sealed for
    until(|| source.is_asked_back.load(Ordering::SeqCst)).await;
    route.drain();
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert!(source.is_read.load(Ordering::SeqCst));
    source.take_back.notify_one();
    assert!(route.ended(PATIENCE).await);
    assert!(!source.is_held.load(Ordering::SeqCst));
}

#[tokio::test]
async fn a_pump_that_rests_takes_nothing_and_stays_the_reader() {
    let source = Arc::new(Messages::default());
    let (messages, _inbox) = mpsc::unbounded_channel();
    let semaphore = || Arc::new(Semaphore::new(8));
    let pump = Pump::start(Arc::clone(&source) as _, queue(), 4, semaphore(), semaphore(), messages);
    let turns = || async {
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
    };
    turns().await;
    pump.rest();
    turns().await;
    assert!(source.is_read.load(Ordering::SeqCst));
    drop(pump);
    turns().await;
    assert!(!source.is_read.load(Ordering::SeqCst));
}

#[test]
fn an_answer_that_comes_after_the_end_of_its_route_leaves_the_message_to_the_next_delivery() {
    let memory = Arc::new(Mutex::new(Memory::new(10)));
    let offer = |id| lock(&memory).offer([1; 32], queue().shared(), id);
    assert_eq!(offer(DeliveryId(1)), Offer::New);
    let (messages, inbox) = mpsc::unbounded_channel();
    let answer = Answer { id: DeliveryId(1), messages, memory: Arc::clone(&memory), given: None };
    drop(inbox);
    let verdict = Verdict::Publish { digest: [1; 32], remembered: true };
    drop(answer.with(verdict.into(), Instant::now()));
    assert_eq!(offer(DeliveryId(2)), Offer::New);
}
