//! A source, a destination, a reject queue and two lanes between them, in memory. Every operation that a lane begins ends
//! later, in random order, with a random outcome; what the outcome says and what really happened may differ, as with a
//! broker whose confirm is lost.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::ops::AddAssign;
use std::sync::Arc;
use std::time::Duration;

use studioml_envelope_gateway::decision::{
    Action, Backoff, DeliveryId, Direction, Event, Lane, Memory, MessageDigest, Offer, PauseReason, Published, Reason,
    ReasonCode, Settings, Time, Verdict,
};

/// A message as the test knows it. Copies (replays, repeated reports) are messages of their own with the same content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Message {
    number: u32,
    content: u32,
    poison: bool,
}

impl Message {
    fn digest(self) -> MessageDigest {
        let mut digest = [0; 32];
        digest[..4].copy_from_slice(&self.content.to_be_bytes());
        digest
    }

    /// Larger than the destination takes: however often it is tried.
    fn is_too_large(self) -> bool {
        self.content % 16 == 5
    }
}

/// One queue at the source: what waits, and what is out.
#[derive(Default)]
struct Queue {
    waiting: VecDeque<(Message, bool)>,
    out: BTreeMap<DeliveryId, Message>,
    acknowledged: Vec<Message>,
}

struct Route {
    name: Arc<str>,
    settings: Settings,
    lane: Lane,
    queue: Queue,
    consuming: bool,
    published: Vec<Message>,
    rejected: Vec<(Message, ReasonCode)>,
    /// Contents that the lane was told are confirmed.
    told_confirmed: HashMap<u32, u32>,
    under_way: Vec<(Operation, DeliveryId, Message, Option<Reason>)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operation {
    Process,
    Publish,
    Reject,
    Acknowledge,
    Release,
}

pub struct World {
    random: fastrand::Rng,
    direction: Direction,
    now: Time,
    next_delivery: u64,
    next_message: u32,
    memory: Memory,
    routes: Vec<Route>,
    sink_up: bool,
    faults: bool,
    /// Whether gateways come and go. Of what one has seen the next knows nothing.
    restarts: bool,
    outcome: Outcome,
}

/// What happened, counted.
#[derive(Default, Debug)]
pub struct Outcome {
    published: usize,
    rejected: usize,
    replays_refused: usize,
    cuts: usize,
    lost_confirms: usize,
    lost_acknowledgements: usize,
    pauses: usize,
    handed_back: usize,
    duplicates_suppressed: usize,
    published_twice: usize,
    kills: usize,
    drains: usize,
}

impl AddAssign for Outcome {
    fn add_assign(&mut self, other: Self) {
        self.published += other.published;
        self.rejected += other.rejected;
        self.replays_refused += other.replays_refused;
        self.cuts += other.cuts;
        self.lost_confirms += other.lost_confirms;
        self.lost_acknowledgements += other.lost_acknowledgements;
        self.pauses += other.pauses;
        self.handed_back += other.handed_back;
        self.duplicates_suppressed += other.duplicates_suppressed;
        self.published_twice += other.published_twice;
        self.kills += other.kills;
        self.drains += other.drains;
    }
}

impl Outcome {
    pub fn assert_that_everything_happened(&self, direction: Direction) {
        for (what, count) in [
            ("published", self.published),
            ("rejected", self.rejected),
            ("cuts", self.cuts),
            ("lost confirms", self.lost_confirms),
            ("lost acknowledgements", self.lost_acknowledgements),
            ("pauses", self.pauses),
            ("handed back", self.handed_back),
            ("kills", self.kills),
            ("drains", self.drains),
        ] {
            assert!(count > 0, "{what} never happened: {self:?}");
        }
        if direction == Direction::Requests {
            assert!(self.duplicates_suppressed > 0 && self.replays_refused > 0, "{self:?}");
        }
        assert!(self.published_twice < self.published / 2, "{self:?}");
    }
}

impl World {
    pub fn new(seed: u64, direction: Direction) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let routes = ["rmq_one", "rmq_two"].map(|name| {
            let mut settings = Settings::new(direction, random.usize(1..8), random.u64(..));
            settings.backoff = Backoff { first: Duration::from_millis(500), longest: Duration::from_secs(4) };
            Route {
                name: name.into(),
                settings,
                lane: Lane::new(settings),
                queue: Queue::default(),
                consuming: true,
                published: Vec::new(),
                rejected: Vec::new(),
                told_confirmed: HashMap::new(),
                under_way: Vec::new(),
            }
        });
        Self {
            restarts: random.bool(),
            random,
            direction,
            now: Duration::ZERO,
            next_delivery: 0,
            next_message: 0,
            memory: Memory::new(10_000),
            routes: routes.into(),
            sink_up: true,
            faults: true,
            outcome: Outcome::default(),
        }
    }

    /// A few hundred random steps with faults.
    pub fn suffer(&mut self) {
        for _ in 0..self.random.usize(50..400) {
            self.step();
        }
    }

    /// No more faults: everything has to come to an end.
    pub fn heal(&mut self) {
        self.faults = false;
        self.sink_up = true;
        for route in 0..self.routes.len() {
            self.tell(route, Event::SinkRestored);
        }
        let mut steps = 0;
        while !self.is_at_rest() {
            self.step();
            steps += 1;
            assert!(steps < 100_000, "it does not come to rest: {:?}", self.routes[0].lane);
        }
    }

    fn is_at_rest(&self) -> bool {
        self.routes.iter().all(|route| {
            route.lane.is_idle()
                && route.queue.waiting.is_empty()
                && route.queue.out.is_empty()
                && route.under_way.is_empty()
        })
    }

    fn step(&mut self) {
        if self.faults && self.restarts && self.random.u32(..200) == 0 {
            return self.restart();
        }
        let route = self.random.usize(..self.routes.len());
        match self.random.u32(..100) {
            0..10 if self.faults => self.send(route),
            10..13 if self.faults => self.send_again(route),
            13..15 if self.faults => self.cut_source(route),
            15..17 if self.faults => self.cut_sink(),
            17..19 => self.restore_sink(),
            19..20 => self.tell(route, Event::KeysChanged),
            20..30 => self.pass_time(route),
            30..60 => self.deliver(route),
            _ => self.end_something(route),
        }
    }

    /// The gateway ends, drained or killed, and another begins.
    fn restart(&mut self) {
        if self.random.bool() {
            self.outcome.drains += 1;
            self.drain();
        } else {
            self.outcome.kills += 1;
            self.kill();
        }
        self.memory = Memory::new(10_000);
        for route in &mut self.routes {
            route.lane = Lane::new(route.settings);
            route.consuming = true;
            route.told_confirmed.clear();
        }
    }

    /// Brings what is under way to an end, and nothing else.
    fn drain(&mut self) {
        for route in 0..self.routes.len() {
            self.tell(route, Event::Drain);
        }
        let mut steps = 0;
        while !self.routes.iter().all(|route| route.lane.is_idle()) {
            let route = self.random.usize(..self.routes.len());
            match self.random.u32(..10) {
                0 => self.pass_time(route),
                // a broker may send until it has heard that nobody listens
                1 => self.deliver(route),
                _ => self.end_something(route),
            }
            steps += 1;
            assert!(steps < 100_000, "it does not drain: {:?}", self.routes[route].lane);
        }
        for route in &self.routes {
            assert!(route.queue.out.is_empty(), "a drained gateway holds {:?}", route.queue.out);
        }
    }

    /// What was under way has happened, or has not; nobody is told.
    fn kill(&mut self) {
        for route in 0..self.routes.len() {
            for (operation, _, message, reason) in std::mem::take(&mut self.routes[route].under_way) {
                match operation {
                    Operation::Publish => {
                        self.publish(route, message);
                    }
                    Operation::Reject => {
                        self.reject(route, message, reason.unwrap().code);
                    }
                    Operation::Process | Operation::Acknowledge | Operation::Release => {}
                }
            }
            self.put_back_all(route);
        }
    }

    fn send(&mut self, route: usize) {
        self.next_message += 1;
        let number = self.next_message;
        let message = Message { number, content: number, poison: self.random.u32(..10) == 0 };
        self.routes[route].queue.waiting.push_back((message, false));
    }

    /// The same content again, on this queue or (Requests) on another.
    fn send_again(&mut self, route: usize) {
        let from = if self.direction == Direction::Requests { self.random.usize(..self.routes.len()) } else { route };
        let seen = &self.routes[from].queue;
        let copy = seen.out.values().next().or_else(|| seen.acknowledged.last()).copied();
        let Some(copy) = copy.filter(|copy| !copy.poison) else { return };
        self.next_message += 1;
        self.routes[route].queue.waiting.push_back((Message { number: self.next_message, ..copy }, false));
    }

    fn cut_source(&mut self, route: usize) {
        self.outcome.cuts += 1;
        self.put_back_all(route);
        self.tell(route, Event::SourceLost);
    }

    /// What was handed over and not acknowledged is handed over again.
    fn put_back_all(&mut self, route: usize) {
        let queue = &mut self.routes[route].queue;
        let out = std::mem::take(&mut queue.out);
        for (_, message) in out.into_iter().rev() {
            queue.waiting.push_front((message, true));
        }
        self.sort_reports(route);
    }

    /// A requeued message takes its place among those not delivered yet.
    fn sort_reports(&mut self, route: usize) {
        self.routes[route].queue.waiting.make_contiguous().sort_by_key(|(message, _)| message.number);
    }

    fn cut_sink(&mut self) {
        self.sink_up = false;
    }

    fn restore_sink(&mut self) {
        if !self.sink_up {
            self.sink_up = true;
            for route in 0..self.routes.len() {
                self.tell(route, Event::SinkRestored);
            }
        }
    }

    fn pass_time(&mut self, route: usize) {
        let longest = if self.random.u32(..20) == 0 { 90_000 } else { 1000 };
        self.now += Duration::from_millis(self.random.u64(..longest));
        self.tell(route, Event::Tick);
    }

    fn deliver(&mut self, route: usize) {
        let to = &mut self.routes[route];
        // a broker does not always respect the window to the last message: one may be on its way when a pause begins
        let on_its_way = self.faults && self.random.u32(..20) == 0;
        if !on_its_way && (!to.consuming || to.lane.room() == 0) {
            return;
        }
        let Some((message, redelivered)) = to.queue.waiting.pop_front() else { return };
        self.next_delivery += 1;
        let id = DeliveryId(self.next_delivery);
        to.queue.out.insert(id, message);
        self.tell(route, Event::Delivered(id, redelivered));
    }

    /// Brings a random operation to an end: what really happens, and what is told.
    fn end_something(&mut self, route: usize) {
        let count = self.routes[route].under_way.len();
        if count == 0 {
            return;
        }
        let which = self.random.usize(..count);
        let (operation, id, message, reason) = self.routes[route].under_way.swap_remove(which);
        let event = match operation {
            Operation::Process => Event::Processed(id, self.process(route, id, message)),
            Operation::Publish => Event::Published(id, self.publish(route, message)),
            Operation::Reject => Event::Rejected(id, self.reject(route, message, reason.unwrap().code)),
            Operation::Acknowledge => Event::Acknowledged(id, self.acknowledge(route, id)),
            Operation::Release => {
                self.release(route, id);
                Event::Released(id)
            }
        };
        self.tell(route, event);
    }

    fn process(&mut self, route: usize, id: DeliveryId, message: Message) -> Verdict {
        let digest = message.digest();
        let refuse = |code| Verdict::Refuse(Reason { code, detail: String::new() });
        if self.direction == Direction::Reports {
            return match self.random.u32(..40) {
                0 if self.faults => Verdict::Failed,
                1 if self.faults => Verdict::Misconfigured(PauseReason::NoQueueKey),
                _ if message.poison => refuse(ReasonCode::NotAReport),
                _ => Verdict::Publish { digest, remembered: false },
            };
        }
        match self.memory.offer(digest, &self.routes[route].name, id) {
            Offer::New => {}
            Offer::InFlight => return Verdict::Busy,
            Offer::Confirmed => {
                self.outcome.duplicates_suppressed += 1;
                return Verdict::Duplicate;
            }
            Offer::Refused(code) => return refuse(code),
            Offer::OtherQueue => {
                self.outcome.replays_refused += 1;
                return refuse(ReasonCode::Replayed);
            }
        }
        let verdict = match self.random.u32(..40) {
            0 if self.faults => Verdict::Failed,
            1 if self.faults => Verdict::Misconfigured(PauseReason::NoPrivateKey),
            _ if message.poison => refuse(ReasonCode::CannotOpen),
            _ => return Verdict::Publish { digest, remembered: true },
        };
        match &verdict {
            Verdict::Refuse(reason) => self.memory.refuse(&digest, reason.code),
            _ => self.memory.abandon(&digest, id),
        }
        verdict
    }

    fn publish(&mut self, route: usize, message: Message) -> Published {
        if !self.sink_up {
            return Published::Unavailable;
        }
        if message.is_too_large() {
            return Published::TooLarge;
        }
        let told = match self.random.u32(..20) {
            0 if self.faults => return Published::Unknown, // did not get there
            1 if self.faults => return Published::Returned,
            2 if self.faults => return Published::Nacked,
            3 if self.faults => return Published::Misconfigured(PauseReason::DestinationRefuses),
            4 if self.faults => Published::Unknown, // got there, the confirm did not get back
            _ => Published::Confirmed,
        };
        self.outcome.lost_confirms += usize::from(told == Published::Unknown);
        let to = &mut self.routes[route];
        to.published.push(message);
        if told == Published::Confirmed {
            *to.told_confirmed.entry(message.content).or_default() += 1;
        }
        told
    }

    fn reject(&mut self, route: usize, message: Message, code: ReasonCode) -> Published {
        let (arrives, told) = match self.random.u32(..20) {
            0 if self.faults => (false, Published::Unavailable),
            1 if self.faults => (false, Published::Misconfigured(PauseReason::RejectQueueRefuses)),
            2 if self.faults => (true, Published::Unknown),
            _ => (true, Published::Confirmed),
        };
        if arrives {
            self.routes[route].rejected.push((message, code));
        }
        told
    }

    /// An acknowledgement counts when the source still knows the delivery, told or not.
    fn acknowledge(&mut self, route: usize, id: DeliveryId) -> bool {
        if self.faults && self.random.u32(..15) == 0 {
            self.outcome.lost_acknowledgements += 1;
            self.cut_source(route);
            return false;
        }
        let queue = &mut self.routes[route].queue;
        let Some(message) = queue.out.remove(&id) else { return false };
        queue.acknowledged.push(message);
        let to = &self.routes[route];
        let published = to.published.iter().filter(|p| p.content == message.content).count();
        let rejected = to.rejected.iter().filter(|(r, _)| r.content == message.content).count();
        let acknowledged = to.queue.acknowledged.iter().filter(|a| a.content == message.content).count();
        match self.direction {
            Direction::Requests => assert!(published + rejected > 0, "{message:?} was acknowledged too early"),
            // reports may repeat themselves: as many have to be there as were acknowledged
            Direction::Reports => assert!(published + rejected >= acknowledged, "{message:?} was swallowed"),
        }
        true
    }

    /// Unless the source has taken it back itself since.
    fn release(&mut self, route: usize, id: DeliveryId) {
        let queue = &mut self.routes[route].queue;
        if let Some(message) = queue.out.remove(&id) {
            queue.waiting.push_front((message, true));
            self.sort_reports(route);
        }
    }

    fn tell(&mut self, route: usize, event: Event) {
        let before = self.routes[route].lane.in_flight();
        let delivered = matches!(event, Event::Delivered(..));
        let actions = self.routes[route].lane.handle(self.now, event, &mut self.memory);
        assert!(delivered || self.routes[route].lane.in_flight() <= before);
        for action in actions {
            self.act(route, action);
        }
    }

    fn act(&mut self, route: usize, action: Action) {
        let direction = self.direction;
        let to = &mut self.routes[route];
        // orphans are worked on although the source does not know them any more
        let known = |to: &Route, id| to.queue.out.get(&id).copied();
        match action {
            Action::Process(id) => {
                let message = known(to, id).unwrap();
                to.under_way.push((Operation::Process, id, message, None));
            }
            Action::Publish(id) => {
                let message = known(to, id).unwrap();
                if direction == Direction::Requests {
                    assert!(!to.told_confirmed.contains_key(&message.content), "{message:?} is published again");
                }
                to.under_way.push((Operation::Publish, id, message, None));
            }
            Action::Reject(id, reason) => {
                let message = known(to, id).unwrap();
                to.under_way.push((Operation::Reject, id, message, Some(reason)));
            }
            Action::Acknowledge(id) => {
                let message = known(to, id).unwrap();
                to.under_way.push((Operation::Acknowledge, id, message, None));
            }
            Action::Release(id) => {
                self.outcome.handed_back += 1;
                let message = known(to, id).unwrap();
                to.under_way.push((Operation::Release, id, message, None));
            }
            Action::Done(_) => {}
            Action::Pause(_) => {
                self.outcome.pauses += 1;
                to.consuming = false;
            }
            Action::Resume => to.consuming = true,
            other => panic!("{other:?} is not known here"),
        }
    }

    /// What has to hold when everything is over.
    pub fn judge(self) -> Outcome {
        let mut outcome = self.outcome;
        for route in &self.routes {
            let sent = &route.queue.acknowledged;
            for message in sent {
                let arrived = route.published.iter().any(|published| published.content == message.content);
                let rejected = route.rejected.iter().any(|(rejected, _)| rejected.content == message.content);
                assert!(arrived || rejected, "{message:?} is lost");
                assert!(!(message.poison && arrived), "{message:?} went through");
            }
            let firsts = firsts(&route.published);
            if self.direction == Direction::Reports {
                assert!(firsts.is_sorted(), "out of order: {firsts:?}");
            }
            outcome.published += route.published.len();
            outcome.published_twice += route.published.len() - firsts.len();
            outcome.rejected += route.rejected.len();
        }
        if self.direction == Direction::Requests && !self.restarts {
            let [one, two] = &self.routes[..] else { panic!("two routes") };
            let on_both = one.published.iter().find(|a| two.published.iter().any(|b| a.content == b.content));
            assert!(on_both.is_none(), "{on_both:?} was replayed on another queue");
        }
        outcome
    }
}

/// The contents in the order in which each was first published. Two reports of the same content cannot be told apart, by
/// anybody.
fn firsts(published: &[Message]) -> Vec<u32> {
    let mut firsts = Vec::new();
    for message in published {
        if !firsts.contains(&message.content) {
            firsts.push(message.content);
        }
    }
    firsts
}
