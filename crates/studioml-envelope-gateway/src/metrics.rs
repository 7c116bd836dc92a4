//! What can be counted, in the text format that Prometheus reads. Labels are key prefixes, never queues: whoever can make
//! queues could make series without end.

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Metric, Registry, Unit};

use crate::decision::{Direction, PauseReason, Published, ReasonCode};

/// How a message ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Published,
    Duplicate,
    Rejected(ReasonCode),
    HandedBack,
}

/// A connection of the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
pub(crate) enum Side {
    #[allow(non_camel_case_types, reason = "the label's value")]
    outer,
    #[allow(non_camel_case_types, reason = "the label's value")]
    inner,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct MessageLabels {
    direction: DirectionLabel,
    prefix: Arc<str>,
    result: &'static str,
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RouteLabels {
    direction: DirectionLabel,
    prefix: Arc<str>,
}

impl RouteLabels {
    fn with(&self, outcome: Outcome) -> MessageLabels {
        let (result, reason) = match outcome {
            Outcome::Published => ("published", ""),
            Outcome::Duplicate => ("duplicate", ""),
            Outcome::Rejected(code) => ("rejected", code.as_str()),
            Outcome::HandedBack => ("handed-back", ""),
        };
        let Self { direction, prefix } = self.clone();
        MessageLabels { direction, prefix, result, reason }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct FailureLabels {
    direction: DirectionLabel,
    kind: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DirectionLabels {
    direction: DirectionLabel,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SideLabels {
    side: Side,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct FindingLabels {
    mount: &'static str,
    severity: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabels {
    reason: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct DirectionLabel(Direction);

impl EncodeLabelValue for DirectionLabel {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result<(), std::fmt::Error> {
        EncodeLabelValue::encode(&self.0.as_str(), encoder)
    }
}

type LatencyFamily = Family<DirectionLabels, Histogram, fn() -> Histogram>;

/// All series of the gateway.
pub(crate) struct Metrics {
    registry: Mutex<Registry>,
    messages: Family<MessageLabels, Counter>,
    redeliveries: Family<RouteLabels, Counter>,
    publish_failures: Family<FailureLabels, Counter>,
    acknowledgements_lost: Family<DirectionLabels, Counter>,
    in_flight: Family<RouteLabels, Gauge>,
    judge_seconds: LatencyFamily,
    confirm_seconds: LatencyFamily,
    private_key_operations: Counter,
    reconnects: Family<SideLabels, Counter>,
    connected: Family<SideLabels, Gauge>,
    key_reloads: Counter,
    key_findings: Family<FindingLabels, Gauge>,
    paused_queues: Family<ReasonLabels, Gauge>,
    remembered: Gauge,
    ready: Gauge,
}

/// How a publish can fail.
const FAILURES: [&str; 6] = ["returned", "nacked", "unavailable", "unknown", "refused", "too-large"];

/// 100 µs to 26 s, each bucket twice the one before.
fn latencies() -> Histogram {
    Histogram::new(exponential_buckets(0.0001, 2.0, 19))
}

impl Metrics {
    pub(crate) fn new() -> Arc<Self> {
        let mut registry = Registry::with_prefix("studioml_gateway");
        let latency = || LatencyFamily::new_with_constructor(latencies);
        let metrics = Self {
            messages: Family::default(),
            redeliveries: Family::default(),
            publish_failures: Family::default(),
            acknowledgements_lost: Family::default(),
            in_flight: Family::default(),
            judge_seconds: latency(),
            confirm_seconds: latency(),
            private_key_operations: Counter::default(),
            reconnects: Family::default(),
            connected: Family::default(),
            key_reloads: Counter::default(),
            key_findings: Family::default(),
            paused_queues: Family::default(),
            remembered: Gauge::default(),
            ready: Gauge::default(),
            registry: Mutex::default(),
        };
        metrics.register(&mut registry);
        metrics.begin_at_zero();
        Arc::new(Self { registry: Mutex::new(registry), ..metrics })
    }

    fn register(&self, registry: &mut Registry) {
        fn add(registry: &mut Registry, name: &str, help: &str, series: &(impl Metric + Clone)) {
            registry.register(name, help, series.clone());
        }
        registry.register("build", "The version that runs", Info::new([("version", env!("CARGO_PKG_VERSION"))]));
        add(registry, "messages", "Messages that came to an end, by result and reason", &self.messages);
        add(registry, "redeliveries", "Messages that the source had handed over before", &self.redeliveries);
        let help = "Publishes that were not confirmed: returned, nacked, unavailable, unknown, refused or too-large";
        add(registry, "publish_failures", help, &self.publish_failures);
        let help = "Acknowledgements that the source did not hear: it hands the message over again";
        add(registry, "acknowledgements_lost", help, &self.acknowledgements_lost);
        add(registry, "in_flight", "Messages under way", &self.in_flight);
        let help = "Time from a thread taking a message to its verdict: parse, verify, open; or seal";
        registry.register_with_unit("judge", help, Unit::Seconds, self.judge_seconds.clone());
        let help = "Time from a publish to its confirmation";
        registry.register_with_unit("confirm", help, Unit::Seconds, self.confirm_seconds.clone());
        let help =
            "Messages that were opened with a private key, successfully or not; forged and replayed ones are not";
        add(registry, "private_key_operations", help, &self.private_key_operations);
        add(registry, "reconnects", "Connections that were made again", &self.reconnects);
        add(registry, "connected", "Whether a side can be reached", &self.connected);
        add(registry, "key_reloads", "Changes of the mounted keys", &self.key_reloads);
        add(registry, "key_findings", "Key files with something wrong or odd about them", &self.key_findings);
        add(registry, "paused_queues", "Queues that are paused", &self.paused_queues);
        add(registry, "remembered_messages", "Messages in the replay memory", &self.remembered);
        add(registry, "ready", "Whether the gateway is ready", &self.ready);
    }

    /// A counter that appears with its first event has no rate then: alerts would miss the one event they are for.
    fn begin_at_zero(&self) {
        for side in [Side::outer, Side::inner] {
            drop(self.reconnects.get_or_create(&SideLabels { side }));
        }
        for direction in [Direction::Requests, Direction::Reports].map(DirectionLabel) {
            for kind in FAILURES {
                drop(self.publish_failures.get_or_create(&FailureLabels { direction, kind }));
            }
        }
    }

    /// All series as text.
    pub(crate) fn encode(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.registry.lock().unwrap_or_else(PoisonError::into_inner))?;
        Ok(text)
    }

    /// Counts RSA operations; shared with the threads that do them.
    pub(crate) fn private_key_operations(&self) -> Counter {
        self.private_key_operations.clone()
    }

    /// The series of one route, begun at zero. `prefix` is the name of its key's file; empty where clear text passes without
    /// one.
    pub(crate) fn of_route(self: &Arc<Self>, direction: Direction, prefix: &str) -> RouteMetrics {
        let labels = DirectionLabels { direction: DirectionLabel(direction) };
        let route = RouteLabels { direction: DirectionLabel(direction), prefix: prefix.into() };
        let rejected = ReasonCode::ALL.map(Outcome::Rejected);
        for outcome in [Outcome::Published, Outcome::Duplicate, Outcome::HandedBack].into_iter().chain(rejected) {
            drop(self.messages.get_or_create(&route.with(outcome)));
        }
        RouteMetrics {
            redeliveries: self.redeliveries.get_or_create(&route).clone(),
            in_flight: InFlight { of_prefix: self.in_flight.get_or_create(&route).clone(), mine: Arc::default() },
            judge_seconds: self.judge_seconds.get_or_create(&labels).clone(),
            confirm_seconds: self.confirm_seconds.get_or_create(&labels).clone(),
            acknowledgements_lost: self.acknowledgements_lost.get_or_create(&labels).clone(),
            labels: route,
            all: Arc::clone(self),
        }
    }

    pub(crate) fn connected(&self, side: Side, connected: bool) {
        self.connected.get_or_create(&SideLabels { side }).set(i64::from(connected));
    }

    pub(crate) fn reconnected(&self, side: Side) {
        self.reconnects.get_or_create(&SideLabels { side }).inc();
    }

    pub(crate) fn keys_reloaded(&self) {
        self.key_reloads.inc();
    }

    pub(crate) fn key_findings(&self, mount: &'static str, severity: &'static str, count: usize) {
        let labels = FindingLabels { mount, severity };
        self.key_findings.get_or_create(&labels).set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    pub(crate) fn paused_queues(&self, reason: PauseReason, count: usize) {
        let labels = ReasonLabels { reason: reason.as_str() };
        self.paused_queues.get_or_create(&labels).set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    pub(crate) fn remembered(&self, count: usize) {
        self.remembered.set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    pub(crate) fn ready(&self, ready: bool) {
        self.ready.set(i64::from(ready));
    }
}

/// The series of one route.
#[derive(Clone)]
pub(crate) struct RouteMetrics {
    all: Arc<Metrics>,
    labels: RouteLabels,
    redeliveries: Counter,
    in_flight: InFlight,
    judge_seconds: Histogram,
    confirm_seconds: Histogram,
    acknowledgements_lost: Counter,
}

impl RouteMetrics {
    pub(crate) fn delivered(&self, redelivered: bool) {
        if redelivered {
            self.redeliveries.inc();
        }
    }

    pub(crate) fn judged(&self, took: Duration) {
        self.judge_seconds.observe(took.as_secs_f64());
    }

    pub(crate) fn confirmed(&self, took: Duration) {
        self.confirm_seconds.observe(took.as_secs_f64());
    }

    pub(crate) fn published(&self, outcome: &Published) {
        let kind = match outcome {
            Published::Confirmed => return self.ended(Outcome::Published),
            Published::Returned => "returned",
            Published::Nacked => "nacked",
            Published::Unavailable => "unavailable",
            Published::Unknown => "unknown",
            Published::Misconfigured(_) => "refused",
            Published::TooLarge => "too-large",
        };
        let labels = FailureLabels { direction: self.labels.direction, kind };
        self.all.publish_failures.get_or_create(&labels).inc();
    }

    pub(crate) fn ended(&self, outcome: Outcome) {
        self.all.messages.get_or_create(&self.labels.with(outcome)).inc();
    }

    pub(crate) fn acknowledgement_lost(&self) {
        self.acknowledgements_lost.inc();
    }

    pub(crate) fn in_flight(&self, count: usize) {
        self.in_flight.set(count);
    }
}

/// This route's share of a gauge that routes of the same prefix have in common; given back when the route has gone.
#[derive(Clone)]
struct InFlight {
    of_prefix: Gauge,
    mine: Arc<AtomicU64>,
}

impl InFlight {
    fn set(&self, count: usize) {
        let before = self.mine.swap(count as u64, std::sync::atomic::Ordering::Relaxed);
        self.of_prefix.inc_by(i64::try_from(count).unwrap_or(0).saturating_sub_unsigned(before));
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        if Arc::strong_count(&self.mine) == 1 {
            self.set(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_message_that_is_refused_is_a_rise_from_zero() {
        let metrics = Metrics::new();
        let _route = metrics.of_route(Direction::Requests, "rmq_");
        let text = metrics.encode().unwrap();
        for code in ReasonCode::ALL {
            let series = |line: &&str| line.contains(&format!("reason=\"{}\"", code.as_str()));
            let line = text.lines().find(series).unwrap();
            assert!(line.starts_with("studioml_gateway_messages_total{") && line.ends_with(" 0"), "{line}");
        }
    }
}
