//! A lane: the messages of one queue on their way through, each a small state machine.
//!
//! ```text
//! delivered ─► processing ─► ready ─► publishing ─► acknowledging ─► over
//!                  │           ▲          │              ▲             ▲
//!                  │           └─waiting◄─┤              │             │
//!                  └──────────────────► rejecting ───────┘             │
//!              any of them, at a pause or the end ─► releasing ────────┘
//! ```
//! An entry leaves the lane only when nothing that was begun for it is still under way, so that a late outcome always finds
//! it. When the source is lost, entries that are under way stay as orphans: their outcome still counts for the memory.

use core::time::Duration;
use std::collections::{BTreeMap, HashSet, VecDeque};

use super::{
    Action, Backoff, DeliveryId, Event, Memory, MessageDigest, PauseReason, Published, Reason, ReasonCode, Time,
    Verdict,
};

/// Which way a lane goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// Sealed Requests inwards, in any order.
    Requests,
    /// Clear reports outwards, sealed on the way, in the order of delivery.
    Reports,
}

impl Direction {
    /// Its name in metrics and logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Reports => "reports",
        }
    }
}

/// How a lane behaves.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Which way it goes.
    pub direction: Direction,
    /// How many messages may be under way.
    pub window: usize,
    /// Waits between tries.
    pub backoff: Backoff,
    /// After how long without a destination, or a reject queue, that takes one, messages are handed back rather than held: well
    /// below the 30 minutes after which RabbitMQ closes the channel of a consumer that does not acknowledge.
    pub hand_back_after: Duration,
    /// How long a message waits that another delivery is working on.
    pub busy_wait: Duration,
    /// Seed of the jitter.
    pub seed: u64,
}

impl Settings {
    /// The settings in service: backs off 0.5 s to 30 s, hands back after 60 s.
    #[must_use]
    pub fn new(direction: Direction, window: usize, seed: u64) -> Self {
        let (hand_back_after, busy_wait) = (Duration::from_secs(60), Duration::from_millis(100));
        Self { direction, window, backoff: Backoff::default(), hand_back_after, busy_wait, seed }
    }
}

/// The state machine of one queue's messages.
#[derive(Debug)]
pub struct Lane {
    settings: Settings,
    entries: BTreeMap<DeliveryId, Entry>,
    flow: Flow,
    pauses: u32,
    /// Confirmed downstream, their acknowledgements lost: of those that the shared memory does not know.
    unacknowledged: Unacknowledged,
    random: fastrand::Rng,
}

#[derive(Debug)]
struct Entry {
    state: State,
    /// Whether the source still knows the delivery.
    live: bool,
    redelivered: bool,
    failures: u32,
    /// Since when nobody takes it: neither the destination nor, if that is where it belongs, the reject queue.
    unwanted_since: Option<Time>,
    /// The digest, and whether the shared memory was asked about it.
    digest: Option<(MessageDigest, bool)>,
}

#[derive(Clone, Debug)]
enum State {
    Processing,
    Ready,
    Publishing,
    Rejecting(Reason),
    Acknowledging,
    Releasing,
    Waiting { until: Time, then: Step },
}

#[derive(Clone, Debug)]
enum Step {
    Process,
    Publish,
    Reject(Reason),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flow {
    Running,
    /// `over`: it may end as soon as nothing is under way. Not earlier, or reports handed back one after another would
    /// overtake each other.
    Paused {
        reason: PauseReason,
        until: Time,
        over: bool,
    },
    Draining,
}

impl Lane {
    /// An empty lane.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            entries: BTreeMap::new(),
            flow: Flow::Running,
            pauses: 0,
            unacknowledged: Unacknowledged::default(),
            random: fastrand::Rng::with_seed(settings.seed),
        }
    }

    /// How many more messages may be taken from the source now.
    #[must_use]
    pub fn room(&self) -> usize {
        match self.flow {
            Flow::Running => self.settings.window.saturating_sub(self.entries.len()),
            Flow::Paused { .. } | Flow::Draining => 0,
        }
    }

    /// How many messages are under way.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.entries.len()
    }

    /// Whether nothing is under way.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.entries.is_empty()
    }

    /// Why it is paused, if it is.
    #[must_use]
    pub const fn paused(&self) -> Option<PauseReason> {
        match self.flow {
            Flow::Paused { reason, .. } => Some(reason),
            Flow::Running | Flow::Draining => None,
        }
    }

    /// When the next [`Event::Tick`] is due, if nothing else happens.
    #[must_use]
    pub fn next_tick(&self) -> Option<Time> {
        let waits = self.entries.values().filter_map(|entry| match entry.state {
            State::Waiting { until, .. } => Some(until),
            _ => None,
        });
        let pause = match self.flow {
            // one that is over waits for what is under way, and not for the time
            Flow::Paused { until, over, .. } => (!over).then_some(until),
            Flow::Running => self.unwanted_since().map(|since| since.saturating_add(self.settings.hand_back_after)),
            Flow::Draining => None,
        };
        waits.chain(pause).min()
    }

    /// Takes note of what happened at `now` and says what is to be done, in that order.
    ///
    /// Outcomes of what this lane did not begin are ignored.
    pub fn handle(&mut self, now: Time, event: Event, memory: &mut Memory) -> Vec<Action> {
        let mut actions = Vec::new();
        match event {
            Event::Delivered(id, redelivered) => self.delivered(id, redelivered, &mut actions),
            Event::Processed(id, verdict) => self.processed(now, id, verdict, memory, &mut actions),
            Event::Published(id, outcome) => self.published(now, id, outcome, memory, &mut actions),
            Event::Rejected(id, outcome) => self.rejected(now, id, outcome, memory, &mut actions),
            Event::Acknowledged(id, taken) => self.acknowledged(id, taken, &mut actions),
            Event::Released(id) => self.released(id, &mut actions),
            Event::SourceLost => self.source_lost(memory, &mut actions),
            Event::SinkRestored => self.sink_restored(),
            Event::KeysChanged => self.end_pause_if(PauseReason::is_configuration),
            Event::Tick => self.tick(now, &mut actions),
            Event::Drain => self.flow = Flow::Draining,
        }
        self.follow_flow(memory, &mut actions);
        self.publish_what_is_ready(&mut actions);
        actions
    }

    /// The lane is given up with all that is under way: the memory hears of it, or no later delivery of those messages would
    /// ever be worked on.
    pub fn abandon(&mut self, memory: &mut Memory) {
        for (id, entry) in std::mem::take(&mut self.entries) {
            if let Some((digest, true)) = entry.digest {
                memory.abandon(&digest, id);
            }
        }
    }

    fn delivered(&mut self, id: DeliveryId, redelivered: bool, actions: &mut Vec<Action>) {
        let (state, action) = match self.flow {
            Flow::Running => (State::Processing, Action::Process(id)),
            Flow::Paused { .. } | Flow::Draining => (State::Releasing, Action::Release(id)),
        };
        let entry = Entry { state, live: true, redelivered, failures: 0, unwanted_since: None, digest: None };
        self.entries.insert(id, entry);
        actions.push(action);
    }

    fn processed(
        &mut self,
        now: Time,
        id: DeliveryId,
        verdict: Verdict,
        memory: &mut Memory,
        actions: &mut Vec<Action>,
    ) {
        let Some(entry) = self.entries.get_mut(&id).filter(|entry| matches!(entry.state, State::Processing)) else {
            return;
        };
        if let Verdict::Publish { digest, remembered } = verdict {
            entry.digest = Some((digest, remembered));
        }
        if !entry.live {
            return self.over(id, memory, actions);
        }
        match verdict {
            Verdict::Publish { digest, remembered } => {
                if !remembered && entry.redelivered && self.unacknowledged.remove(&digest) {
                    entry.state = State::Acknowledging;
                    actions.push(Action::Acknowledge(id));
                } else {
                    entry.state = State::Ready;
                }
            }
            Verdict::Duplicate => {
                entry.state = State::Acknowledging;
                actions.push(Action::Acknowledge(id));
            }
            Verdict::Busy => {
                entry.state =
                    State::Waiting { until: now.saturating_add(self.settings.busy_wait), then: Step::Process };
            }
            Verdict::Refuse(reason) => {
                entry.state = State::Rejecting(reason.clone());
                actions.push(Action::Reject(id, reason));
            }
            Verdict::Failed => self.wait(now, id, Step::Process),
            Verdict::Gone => self.over(id, memory, actions),
            Verdict::Misconfigured(reason) => self.hand_back_and_pause(now, id, reason, memory, actions),
        }
    }

    fn published(
        &mut self,
        now: Time,
        id: DeliveryId,
        outcome: Published,
        memory: &mut Memory,
        actions: &mut Vec<Action>,
    ) {
        let Some(entry) = self.entries.get_mut(&id).filter(|entry| matches!(entry.state, State::Publishing)) else {
            return;
        };
        let live = entry.live;
        match outcome {
            Published::Confirmed => {
                entry.state = State::Acknowledging;
                entry.failures = 0;
                entry.unwanted_since = None;
                match entry.digest {
                    Some((digest, true)) => memory.confirm(&digest),
                    Some((digest, false)) if !live => self.unacknowledged.insert(digest),
                    Some((_, false)) | None => {}
                }
                self.pauses = 0;
                if live {
                    actions.push(Action::Acknowledge(id));
                } else {
                    self.over(id, memory, actions);
                }
            }
            _ if !live => self.over(id, memory, actions),
            Published::Returned | Published::Nacked | Published::Unavailable | Published::Unknown => {
                self.wait(now, id, Step::Publish);
            }
            Published::Misconfigured(reason) => self.hand_back_and_pause(now, id, reason, memory, actions),
            Published::TooLarge => {
                let reason = Reason::new(ReasonCode::TooLarge, &"larger than the destination takes");
                if let Some((digest, true)) = entry.digest {
                    memory.refuse(&digest, reason.code);
                }
                entry.state = State::Rejecting(reason.clone());
                actions.push(Action::Reject(id, reason));
            }
        }
    }

    fn rejected(
        &mut self,
        now: Time,
        id: DeliveryId,
        outcome: Published,
        memory: &mut Memory,
        actions: &mut Vec<Action>,
    ) {
        let Some(entry) = self.entries.get_mut(&id) else { return };
        let State::Rejecting(reason) = &entry.state else { return };
        let reason = reason.clone();
        if !entry.live {
            self.entries.remove(&id);
            actions.push(Action::Done(id));
            return;
        }
        match outcome {
            Published::Confirmed => {
                entry.state = State::Acknowledging;
                entry.unwanted_since = None;
                actions.push(Action::Acknowledge(id));
            }
            Published::Misconfigured(reason) => self.hand_back_and_pause(now, id, reason, memory, actions),
            _ => self.wait(now, id, Step::Reject(reason)),
        }
    }

    fn acknowledged(&mut self, id: DeliveryId, taken: bool, actions: &mut Vec<Action>) {
        let Some(entry) = self.entries.get(&id).filter(|entry| matches!(entry.state, State::Acknowledging)) else {
            return;
        };
        if let Some((digest, false)) = entry.digest {
            if taken {
                self.unacknowledged.remove(&digest); // it cannot come again
            } else if entry.live {
                self.unacknowledged.insert(digest); // an orphan's was when the source was lost
            }
        }
        self.entries.remove(&id);
        actions.push(Action::Done(id));
    }

    fn released(&mut self, id: DeliveryId, actions: &mut Vec<Action>) {
        if self.entries.get(&id).is_some_and(|entry| matches!(entry.state, State::Releasing)) {
            self.entries.remove(&id);
            actions.push(Action::Done(id));
        }
    }

    fn source_lost(&mut self, memory: &mut Memory, actions: &mut Vec<Action>) {
        let mut over = Vec::new();
        for (id, entry) in &mut self.entries {
            let was_live = std::mem::replace(&mut entry.live, false);
            // it may come again before the outcome of its acknowledgement does
            if let (true, State::Acknowledging, Some((digest, false))) = (was_live, &entry.state, entry.digest) {
                self.unacknowledged.insert(digest);
            }
            if matches!(entry.state, State::Ready | State::Waiting { .. }) {
                over.push(*id);
            }
        }
        for id in over {
            self.over(id, memory, actions);
        }
    }

    fn sink_restored(&mut self) {
        for entry in self.entries.values_mut() {
            entry.unwanted_since = None;
            if matches!(entry.state, State::Waiting { then: Step::Publish, .. }) {
                entry.state = State::Ready;
            }
        }
        self.end_pause_if(|reason| !reason.is_configuration());
    }

    fn end_pause_if(&mut self, which: impl Fn(PauseReason) -> bool) {
        if let Flow::Paused { reason, over, .. } = &mut self.flow {
            *over |= which(*reason);
        }
    }

    fn tick(&mut self, now: Time, actions: &mut Vec<Action>) {
        for (id, entry) in &mut self.entries {
            let State::Waiting { until, then } = &entry.state else { continue };
            if *until > now {
                continue;
            }
            match then.clone() {
                Step::Process => {
                    entry.state = State::Processing;
                    actions.push(Action::Process(*id));
                }
                Step::Publish => entry.state = State::Ready,
                Step::Reject(reason) => {
                    entry.state = State::Rejecting(reason.clone());
                    actions.push(Action::Reject(*id, reason));
                }
            }
        }
        match &mut self.flow {
            Flow::Paused { until, over, .. } => *over |= *until <= now,
            Flow::Running => {
                let unwanted_for = self.unwanted_since().map(|since| now.saturating_sub(since));
                if unwanted_for.is_some_and(|time| time >= self.settings.hand_back_after) {
                    self.pause(now, PauseReason::DestinationUnavailable, actions);
                }
            }
            Flow::Draining => {}
        }
    }

    /// Only another configuration gets the message anywhere.
    fn hand_back_and_pause(
        &mut self,
        now: Time,
        id: DeliveryId,
        reason: PauseReason,
        memory: &mut Memory,
        actions: &mut Vec<Action>,
    ) {
        self.hand_back(id, memory, actions);
        self.pause(now, reason, actions);
    }

    /// Stops taking messages. What has not been begun to publish is handed back as the lane comes to know of it.
    fn pause(&mut self, now: Time, reason: PauseReason, actions: &mut Vec<Action>) {
        if self.flow == Flow::Running {
            self.pauses = self.pauses.saturating_add(1);
            // at least a second: a pause ends with a new consumer, which is no cheap way to ask
            let wait = self.settings.backoff.wait(self.pauses, &mut self.random).max(Duration::from_secs(1));
            self.flow = Flow::Paused { reason, until: now.saturating_add(wait), over: false };
            actions.push(Action::Pause(reason));
        }
    }

    /// Hands back what a pause or the end does not let go on, and ends a pause.
    fn follow_flow(&mut self, memory: &mut Memory, actions: &mut Vec<Action>) {
        let waits = |state: &State| matches!(state, State::Waiting { .. });
        let waits_or_is_ready = |state: &State| matches!(state, State::Waiting { .. } | State::Ready);
        match self.flow {
            Flow::Running => {}
            Flow::Draining if self.settings.direction == Direction::Requests => {
                self.hand_back_all(waits, memory, actions);
            }
            // a report that is handed back takes all after it along
            Flow::Draining => self.hand_back_all(waits_or_is_ready, memory, actions),
            Flow::Paused { over, .. } => {
                self.hand_back_all(waits_or_is_ready, memory, actions);
                if over && self.entries.is_empty() {
                    self.flow = Flow::Running;
                    actions.push(Action::Resume);
                }
            }
        }
    }

    /// Hands back in the reverse order of delivery: RabbitMQ, and a directory, put each before the last.
    fn hand_back_all(&mut self, which: impl Fn(&State) -> bool, memory: &mut Memory, actions: &mut Vec<Action>) {
        let handed_back: Vec<DeliveryId> =
            self.entries.iter().rev().filter(|(_, entry)| which(&entry.state)).map(|(id, _)| *id).collect();
        for id in handed_back {
            self.hand_back(id, memory, actions);
        }
    }

    /// The entry stays until the source has it back: a lane that is idle, or goes on, must not be ahead of its own messages.
    fn hand_back(&mut self, id: DeliveryId, memory: &mut Memory, actions: &mut Vec<Action>) {
        let Some(entry) = self.entries.get_mut(&id) else { return };
        entry.state = State::Releasing;
        if let Some((digest, true)) = entry.digest.take() {
            memory.abandon(&digest, id);
        }
        actions.push(Action::Release(id));
    }

    /// The delivery is over without an acknowledgement: the source has it again already.
    fn over(&mut self, id: DeliveryId, memory: &mut Memory, actions: &mut Vec<Action>) {
        if let Some(Entry { digest: Some((digest, true)), .. }) = self.entries.remove(&id) {
            memory.abandon(&digest, id);
        }
        actions.push(Action::Done(id));
    }

    /// Since when there is a message, still the source's, that nobody takes.
    fn unwanted_since(&self) -> Option<Time> {
        self.entries.values().filter(|entry| entry.live).filter_map(|entry| entry.unwanted_since).min()
    }

    fn wait(&mut self, now: Time, id: DeliveryId, then: Step) {
        let Some(entry) = self.entries.get_mut(&id) else { return };
        if !matches!(then, Step::Process) {
            entry.unwanted_since.get_or_insert(now);
        }
        entry.failures = entry.failures.saturating_add(1);
        let wait = self.settings.backoff.wait(entry.failures, &mut self.random);
        entry.state = State::Waiting { until: now.saturating_add(wait), then };
    }

    /// Begins to publish what may be published now: with Requests everything that is ready, with reports the oldest, and
    /// that only when nothing before it may still be published.
    fn publish_what_is_ready(&mut self, actions: &mut Vec<Action>) {
        let in_order = self.settings.direction == Direction::Reports;
        for (id, entry) in &mut self.entries {
            let goes_before_all_others = match &entry.state {
                State::Ready => {
                    // an orphan of the same message may have been confirmed since this one was processed
                    let is_there = entry.redelivered
                        && matches!(entry.digest, Some((digest, false)) if self.unacknowledged.remove(&digest));
                    let (state, action) = if is_there {
                        (State::Acknowledging, Action::Acknowledge(*id))
                    } else {
                        (State::Publishing, Action::Publish(*id))
                    };
                    entry.state = state;
                    actions.push(action);
                    !is_there
                }
                State::Waiting { then: Step::Reject(_), .. } | State::Rejecting(_) | State::Acknowledging => false,
                State::Processing | State::Publishing | State::Releasing | State::Waiting { .. } => true,
            };
            if in_order && goes_before_all_others {
                return;
            }
        }
    }
}

/// A bounded set of digests, oldest out first.
#[derive(Debug, Default)]
struct Unacknowledged {
    digests: HashSet<MessageDigest>,
    order: VecDeque<MessageDigest>,
}

impl Unacknowledged {
    /// More than any window: only acknowledgements that were lost stay in here.
    const CAPACITY: usize = 4096;

    fn insert(&mut self, digest: MessageDigest) {
        if self.digests.insert(digest) {
            self.order.push_back(digest);
        }
        while self.order.len() > Self::CAPACITY {
            if let Some(oldest) = self.order.pop_front() {
                self.digests.remove(&oldest);
            }
        }
    }

    fn remove(&mut self, digest: &MessageDigest) -> bool {
        let removed = self.digests.remove(digest);
        if self.digests.is_empty() {
            self.order.clear();
        }
        removed
    }
}
