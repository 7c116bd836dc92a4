//! One queue's way through the gateway: carries out what its [`Lane`] decides, and tells it how that ended.

mod pump;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::decision::{
    Action, DeliveryId, Direction, Event, Lane, Memory, PauseReason, Published, Reason, Settings, Verdict,
};
use crate::keyring::KeyRing;
use crate::metrics::{Outcome, RouteMetrics};
use crate::processing::pool::{LaneId, Pool};
use crate::processing::{Job, Judged, Processor, lock};
use crate::queue::{Delivery, Outgoing, QueueName, Sink, Source};
use pump::Pump;

/// How many messages are taken before anything else is looked at.
const MOST_AT_ONCE: usize = 64;

/// What all routes of one direction share.
pub(crate) struct Surroundings {
    pub(crate) direction: Direction,
    pub(crate) source: Arc<dyn Source>,
    pub(crate) sink: Arc<dyn Sink>,
    pub(crate) processor: Arc<Processor>,
    pub(crate) keys: Arc<KeyRing>,
    pub(crate) pool: Arc<Pool>,
    pub(crate) memory: Arc<Mutex<Memory>>,
    /// How many messages of all routes may be under way. Fair: who waits longest comes next.
    pub(crate) in_flight: Arc<Semaphore>,
    /// How many messages of one route may be.
    pub(crate) window: usize,
    /// However long a side takes over a step, it is taken for lost after this. Brokers have shorter limits of their own; this
    /// one is for a disk that hangs.
    pub(crate) longest_step: Duration,
    pub(crate) started: Instant,
}

/// Numbers that are not given twice in a process.
static NEXT_LANE: AtomicU64 = AtomicU64::new(1);
static NEXT_DELIVERY: AtomicU64 = AtomicU64::new(1);

/// A route that runs.
pub(crate) struct Route {
    control: mpsc::UnboundedSender<Control>,
    paused: watch::Receiver<Option<PauseReason>>,
    task: JoinHandle<()>,
}

#[derive(Clone, Copy, Debug)]
enum Control {
    KeysChanged,
    Drain,
}

impl Route {
    /// Starts to carry messages of a queue to the queue of the same name on the other side.
    pub(crate) fn start(surroundings: Arc<Surroundings>, queue: QueueName, metrics: RouteMetrics) -> Self {
        let (control, controls) = mpsc::unbounded_channel();
        let (pause, paused) = watch::channel(None);
        let task = tokio::spawn(Driver::new(surroundings, queue, metrics, pause).run(controls));
        Self { control, paused, task }
    }

    /// Keys have changed: what was paused for them may be tried again.
    pub(crate) fn keys_changed(&self) {
        let _ = self.control.send(Control::KeysChanged); // it has ended: no matter
    }

    /// No more messages are taken; those under way are brought to an end.
    pub(crate) fn drain(&self) {
        let _ = self.control.send(Control::Drain);
    }

    /// Waits for the end that [`drain`](Self::drain) asked for, or for `patience`: then what is under way is given up, and
    /// the source hands it over again.
    pub(crate) async fn ended(mut self, patience: Duration) -> bool {
        timeout(patience, &mut self.task).await.is_ok()
    }

    /// Why it is paused, if it is.
    pub(crate) fn paused(&self) -> Option<PauseReason> {
        *self.paused.borrow()
    }

    /// Whether it has ended without being asked to, by a panic.
    pub(crate) fn has_ended(&self) -> bool {
        self.task.is_finished()
    }
}

impl Drop for Route {
    /// Nobody waits for it any more: what is under way goes back to its queue.
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What the tasks and threads of a route tell its driver.
enum Message {
    Delivered(Delivery, Permits),
    /// The source does not go on; and whether that is because its queue is not there.
    SourceLost(bool),
    Judged(DeliveryId, Judged, Duration),
    Ended(Event),
}

/// The right to have a message under way, in this route and in all.
struct Permits {
    _of_route: OwnedSemaphorePermit,
    _of_all: OwnedSemaphorePermit,
}

/// What is held for a delivery until the lane is done with it.
struct Held {
    delivery: Arc<Delivery>,
    outgoing: Option<Arc<Outgoing>>,
    taken_at: SystemTime,
    reject_reason: Option<Reason>,
    _permits: Permits,
}

struct Driver {
    shared: Arc<Surroundings>,
    queue: QueueName,
    lane_id: LaneId,
    lane: Lane,
    held: HashMap<DeliveryId, Held>,
    messages: mpsc::UnboundedSender<Message>,
    inbox: mpsc::UnboundedReceiver<Message>,
    pump: Option<Pump>,
    window: Arc<Semaphore>,
    metrics: RouteMetrics,
    pause: watch::Sender<Option<PauseReason>>,
    draining: bool,
    reject_lines: Lines,
}

/// Lines of the log that others can cause: only so many a second, and the number of those that were left out.
struct Lines {
    second: Instant,
    said: u32,
    unsaid: u64,
}

impl Lines {
    const A_SECOND: u32 = 5;

    fn next(&mut self) -> Option<u64> {
        if self.second.elapsed() >= Duration::from_secs(1) {
            (self.second, self.said) = (Instant::now(), 0);
        }
        self.said = self.said.saturating_add(1);
        if self.said > Self::A_SECOND {
            self.unsaid = self.unsaid.saturating_add(1);
            return None;
        }
        Some(std::mem::take(&mut self.unsaid))
    }
}

impl Driver {
    fn new(
        shared: Arc<Surroundings>,
        queue: QueueName,
        metrics: RouteMetrics,
        pause: watch::Sender<Option<PauseReason>>,
    ) -> Self {
        let (messages, inbox) = mpsc::unbounded_channel();
        let settings = Settings::new(shared.direction, shared.window, fastrand::u64(..));
        Self {
            window: Arc::new(Semaphore::new(shared.window)),
            lane_id: NEXT_LANE.fetch_add(1, Ordering::Relaxed),
            lane: Lane::new(settings),
            held: HashMap::new(),
            pump: None,
            draining: false,
            reject_lines: Lines { second: Instant::now(), said: 0, unsaid: 0 },
            shared,
            queue,
            messages,
            inbox,
            metrics,
            pause,
        }
    }

    async fn run(mut self, mut controls: mpsc::UnboundedReceiver<Control>) {
        let mut sink_connected = self.shared.sink.connected();
        let mut is_controlled = true;
        self.start_pump();
        while !(self.draining && self.lane.is_idle()) {
            let tick = self.lane.next_tick().map(|at| self.shared.started + at);
            let tick = async {
                match tick {
                    Some(at) => tokio::time::sleep_until(at.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                Some(message) = self.inbox.recv() => {
                    self.take(message);
                    // what else is there; not for ever, so that time passes and controls are heard
                    for _ in 0..MOST_AT_ONCE {
                        let Ok(message) = self.inbox.try_recv() else { break };
                        self.take(message);
                    }
                }
                control = controls.recv(), if is_controlled => match control {
                    Some(Control::KeysChanged) => self.tell(Event::KeysChanged),
                    Some(Control::Drain) => self.drain(),
                    None => {
                        is_controlled = false; // it would say so at once, again and again
                        self.drain();
                    }
                },
                Ok(()) = sink_connected.changed() => {
                    if *sink_connected.borrow_and_update() {
                        self.tell(Event::SinkRestored);
                    }
                }
                () = tick => self.tell(Event::Tick),
            }
        }
    }

    fn drain(&mut self) {
        self.draining = true;
        self.rest_pump();
        self.tell(Event::Drain);
    }

    /// Takes no more messages. Of a report queue, whose one reader this is, it stays the reader until nothing is under way:
    /// another one's reports would overtake those.
    fn rest_pump(&mut self) {
        match &self.pump {
            Some(pump) if self.shared.direction == Direction::Reports => pump.rest(),
            _ => self.pump = None,
        }
    }

    fn start_pump(&mut self) {
        if !self.draining {
            let (source, queue) = (Arc::clone(&self.shared.source), self.queue.clone());
            let in_flight = Arc::clone(&self.shared.in_flight);
            let window = Arc::clone(&self.window);
            let prefetch = self.shared.window;
            self.pump = Some(Pump::start(source, queue, prefetch, window, in_flight, self.messages.clone()));
        }
    }

    fn take(&mut self, message: Message) {
        match message {
            Message::Delivered(delivery, permits) => {
                let id = DeliveryId(NEXT_DELIVERY.fetch_add(1, Ordering::Relaxed));
                let redelivered = delivery.redelivered;
                self.metrics.delivered(redelivered);
                let held = Held {
                    delivery: Arc::new(delivery),
                    outgoing: None,
                    taken_at: SystemTime::now(),
                    reject_reason: None,
                    _permits: permits,
                };
                self.held.insert(id, held);
                self.tell(Event::Delivered(id, redelivered));
            }
            // an error of a disk leaves what was claimed before it as it is
            Message::SourceLost(false) if self.held.values().any(|held| held.delivery.claim.is_live()) => {}
            Message::SourceLost(_) => self.tell(Event::SourceLost),
            Message::Judged(id, judged, took) => {
                self.metrics.judged(took);
                if let Some(held) = self.held.get_mut(&id) {
                    held.outgoing = judged.outgoing.map(Arc::new);
                }
                if judged.verdict == Verdict::Duplicate {
                    self.metrics.ended(Outcome::Duplicate);
                }
                self.tell(Event::Processed(id, judged.verdict));
            }
            Message::Ended(event) => {
                self.count(&event);
                self.tell(event);
            }
        }
    }

    fn count(&mut self, event: &Event) {
        match event {
            Event::Published(_, outcome) => self.metrics.published(outcome),
            Event::Rejected(id, Published::Confirmed) => {
                if let Some(reason) = self.held.get(id).and_then(|held| held.reject_reason.as_ref()) {
                    self.metrics.ended(Outcome::Rejected(reason.code));
                    if let Some(unsaid) = self.reject_lines.next() {
                        tracing::warn!(
                            queue = %self.queue, direction = self.shared.direction.as_str(),
                            reason = reason.code.as_str(), detail = reason.detail, unsaid, "rejected"
                        );
                    }
                }
            }
            Event::Acknowledged(_, false) => self.metrics.acknowledgement_lost(),
            _ => {}
        }
    }

    fn tell(&mut self, event: Event) {
        let now = self.shared.started.elapsed();
        let actions = self.lane.handle(now, event, &mut lock(&self.shared.memory));
        for action in actions {
            self.act(action);
        }
        self.metrics.in_flight(self.lane.in_flight());
        if self.lane.is_idle() && self.lane.paused().is_some() {
            self.pump = None;
        }
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Process(id) => self.process(id),
            Action::Publish(id) => self.publish(id),
            Action::Reject(id, reason) => self.reject(id, reason),
            Action::Acknowledge(id) => self.acknowledge(id),
            Action::Release(id) => self.release(id),
            Action::Done(id) => drop(self.held.remove(&id)),
            Action::Pause(reason) => {
                tracing::warn!(queue = %self.queue, reason = reason.as_str(), "paused");
                self.rest_pump();
                self.pause.send_replace(Some(reason));
            }
            Action::Resume => {
                tracing::info!(queue = %self.queue, "resumed");
                self.pause.send_replace(None);
                self.start_pump();
            }
        }
    }

    fn process(&mut self, id: DeliveryId) {
        let Some(held) = self.held.get(&id) else { return };
        let job = Job {
            direction: self.shared.direction,
            queue: self.queue.clone(),
            id,
            delivery: Arc::clone(&held.delivery),
            taken_at: held.taken_at,
        };
        let (processor, keys) = (Arc::clone(&self.shared.processor), Arc::clone(&self.shared.keys));
        let (messages, memory) = (self.messages.clone(), Arc::clone(&self.shared.memory));
        let answer = Answer { id, messages, memory, given: None };
        self.shared.pool.submit(self.lane_id, move || {
            let began = Instant::now();
            answer.with(processor.judge(&job, &keys.current()), began)
        });
    }

    fn publish(&mut self, id: DeliveryId) {
        let outgoing = self.held.get(&id).and_then(|held| held.outgoing.clone());
        let (sink, queue, metrics) = (Arc::clone(&self.shared.sink), self.queue.clone(), self.metrics.clone());
        let longest_step = self.shared.longest_step;
        self.begin(async move {
            let Some(outgoing) = outgoing else { return Event::Published(id, Published::Unavailable) };
            let began = Instant::now();
            let outcome = timeout(longest_step, sink.publish(&queue, &outgoing)).await;
            let outcome = outcome.unwrap_or(Published::Unknown);
            match outcome {
                Published::Confirmed => metrics.confirmed(began.elapsed()),
                // its queue is gone, or was never made
                Published::Returned => {
                    let prepared = timeout(longest_step, sink.prepare(&queue)).await;
                    if let Ok(Err(refused @ Published::Misconfigured(_))) = prepared {
                        return Event::Published(id, refused);
                    }
                }
                _ => {}
            }
            Event::Published(id, outcome)
        });
    }

    fn reject(&mut self, id: DeliveryId, reason: Reason) {
        let Some(held) = self.held.get_mut(&id) else { return };
        held.reject_reason = Some(reason.clone());
        let (delivery, longest_step) = (Arc::clone(&held.delivery), self.shared.longest_step);
        self.begin(async move {
            let outcome = timeout(longest_step, delivery.claim.reject(&reason)).await;
            Event::Rejected(id, outcome.unwrap_or(Published::Unknown))
        });
    }

    fn acknowledge(&mut self, id: DeliveryId) {
        let Some(held) = self.held.get(&id) else { return };
        let (delivery, longest_step) = (Arc::clone(&held.delivery), self.shared.longest_step);
        self.begin(async move {
            let taken = timeout(longest_step, delivery.claim.acknowledge()).await;
            Event::Acknowledged(id, taken.unwrap_or(false))
        });
    }

    fn release(&mut self, id: DeliveryId) {
        self.metrics.ended(Outcome::HandedBack);
        let Some(held) = self.held.get(&id) else { return };
        let (delivery, longest_step) = (Arc::clone(&held.delivery), self.shared.longest_step);
        self.begin(async move {
            let _ = timeout(longest_step, delivery.claim.release()).await; // it goes back with the claim, or its connection
            Event::Released(id)
        });
    }

    fn begin(&self, step: impl Future<Output = Event> + Send + 'static) {
        let messages = self.messages.clone();
        tokio::spawn(async move {
            let _ = messages.send(Message::Ended(step.await)); // the route has ended: nobody wants to know
        });
    }
}

impl Drop for Driver {
    /// However it ends, the memory hears of what was under way.
    fn drop(&mut self) {
        self.lane.abandon(&mut lock(&self.shared.memory));
        self.inbox.close();
        while let Ok(message) = self.inbox.try_recv() {
            if let Message::Judged(id, judged, _) = message {
                abandon(&self.shared.memory, id, &judged.verdict);
            }
        }
    }
}

/// Nobody goes on with what was judged: the next delivery of it may be.
fn abandon(memory: &Mutex<Memory>, id: DeliveryId, verdict: &Verdict) {
    if let Verdict::Publish { digest, remembered: true } = verdict {
        lock(memory).abandon(digest, id);
    }
}

/// The answer of a job, which is given by being dropped: after the job, after a panic too, or when the pool closes.
struct Answer {
    id: DeliveryId,
    messages: mpsc::UnboundedSender<Message>,
    memory: Arc<Mutex<Memory>>,
    given: Option<(Judged, Duration)>,
}

impl Answer {
    fn with(mut self, judged: Judged, began: Instant) -> Self {
        self.given = Some((judged, began.elapsed()));
        self
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        let (judged, took) = self.given.take().unwrap_or_else(|| (Verdict::Failed.into(), Duration::ZERO));
        let sent = self.messages.send(Message::Judged(self.id, judged, took));
        if let Err(mpsc::error::SendError(Message::Judged(id, judged, _))) = sent {
            abandon(&self.memory, id, &judged.verdict); // the route has ended
        }
    }
}
