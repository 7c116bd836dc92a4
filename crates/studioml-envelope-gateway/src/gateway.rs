//! The service as a whole: from a configuration to a running gateway, and to its end.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use studioml_envelope_core::{Policy, Provider};
use thiserror::Error;
use tokio::sync::{Semaphore, mpsc};

use crate::amqp::Broker;
use crate::channel::Listener;
use crate::config::{AmqpConfig, Config, InnerConfig, OuterConfig};
use crate::decision::{Direction, Memory};
use crate::dir::{self, Directory};
use crate::health::Health;
use crate::http::Server;
use crate::keyring::{KeyRing, log_finding};
use crate::metrics::{Metrics, Side};
use crate::processing::pool::Pool;
use crate::processing::{Processor, Rules};
use crate::queue::{Sink, Source};
use crate::route::Surroundings;
use crate::supervisor::Supervisor;

/// How often directories are looked at for queues: well under two seconds.
const LOOK_AT_DIRECTORIES: Duration = Duration::from_millis(500);

/// How often a broker on one side, and a directory on the other, are looked at.
const LOOK_AT_MIXED: Duration = Duration::from_secs(1);
/// How often brokers on both sides are, unless configured otherwise.
const LOOK_AT_BROKERS: Duration = Duration::from_secs(2);

/// The gateway cannot start.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum GatewayError {
    /// The configuration has values that cannot be used: all of them, one a line.
    #[error("{}", .0.join("\n"))]
    Config(Vec<String>),
    /// A directory or a port cannot be used.
    #[error("{what}: {source}")]
    Io {
        /// Which option it stands in.
        what: &'static str,
        /// Why.
        source: std::io::Error,
    },
}

/// A gateway that is ready to run.
pub struct Gateway {
    supervisor: Supervisor,
    server: Server,
    address: SocketAddr,
    config: Config,
    /// Where the outer side is the channel.
    listener: Option<Listener>,
}

/// Both ends of both ways.
struct Ends {
    outer_source: Arc<dyn Source>,
    outer_sink: Option<Arc<dyn Sink>>,
    inner_source: Arc<dyn Source>,
    inner_sink: Arc<dyn Sink>,
    listener: Option<Listener>,
    look_every: Duration,
}

impl Gateway {
    /// Reads the keys, opens directories and the HTTP port, and begins to connect to brokers. Nothing is consumed yet.
    ///
    /// Keys that do not work do not keep it from starting: what they cover is closed until they do.
    ///
    /// # Errors
    /// [`GatewayError`].
    pub async fn start(config: Config, provider: Provider) -> Result<Self, GatewayError> {
        let problems = config.problems();
        if !problems.is_empty() {
            return Err(GatewayError::Config(problems));
        }
        let io = |what| move |source| GatewayError::Io { what, source };
        let metrics = Metrics::new();
        let health = Arc::new(Health::new(heartbeat(&config)));
        let keys = Arc::new(KeyRing::open(&config.keys, &provider));
        for (mount, finding) in keys.current().findings() {
            log_finding(mount, finding);
        }
        let ends = connect(&config, &provider, &metrics)?;
        let server = Server::bind(&config.http.listen).await.map_err(io("http.listen"))?;
        let address = server.address().map_err(io("http.listen"))?;
        let memory = Arc::new(Mutex::new(Memory::new(config.replay.remember)));
        let pool = Arc::new(Pool::start(config.threads()).map_err(io("limits.threads"))?);
        let processor =
            Arc::new(Processor::new(provider, rules(&config), Arc::clone(&memory), metrics.private_key_operations()));
        let started = Instant::now();
        let surroundings = |direction, source, sink| {
            Arc::new(Surroundings {
                direction,
                source,
                sink,
                processor: Arc::clone(&processor),
                keys: Arc::clone(&keys),
                pool: Arc::clone(&pool),
                memory: Arc::clone(&memory),
                in_flight: Arc::new(Semaphore::new(config.limits.in_flight)),
                window: config.limits.prefetch,
                longest_step: longest_step(&config),
                started,
            })
        };
        let requests = surroundings(Direction::Requests, ends.outer_source, ends.inner_sink);
        let reports = ends.outer_sink.map(|sink| surroundings(Direction::Reports, ends.inner_source, sink));
        let supervisor = Supervisor {
            requests,
            reports,
            keys,
            pool,
            memory,
            metrics,
            health,
            clear_text_messages: config.clear_text_messages,
            interval: ends.look_every,
        };
        tracing::info!(address = %address, "serving /metrics, /livez and /readyz");
        Ok(Self { supervisor, server, address, config, listener: ends.listener })
    }

    /// Where `/metrics`, `/livez` and `/readyz` are served.
    #[must_use]
    pub const fn http_address(&self) -> SocketAddr {
        self.address
    }

    /// Runs until `shutdown` is done, then takes no more messages and brings those under way to an end, within the time
    /// that `limits.drain_seconds` gives.
    ///
    /// # Errors
    /// [`GatewayError::Io`] if the system starts no thread to watch the keys.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> Result<(), GatewayError> {
        let (changed, changes) = mpsc::unbounded_channel();
        let watcher = self.supervisor.keys.watch(&self.config, move |change| {
            let _ = changed.send(change.clone()); // the gateway is about to end
        });
        let watcher = watcher.map_err(|source| GatewayError::Io { what: "keys", source })?;
        let (metrics, health) = (Arc::clone(&self.supervisor.metrics), Arc::clone(&self.supervisor.health));
        let server = tokio::spawn(self.server.serve(metrics, health));
        self.supervisor.run(changes, shutdown, self.config.drain_time()).await;
        if let Some(listener) = self.listener {
            listener.end().await; // with the receipts of what has just come to its end
        }
        server.abort();
        drop(watcher);
        tracing::info!("stopped");
        Ok(())
    }
}

fn rules(config: &Config) -> Rules {
    let mut policy = Policy::default();
    policy.fingerprint = config.fingerprint;
    policy.clear_text_messages = config.clear_text_messages;
    let max_age = config.replay.max_age_seconds.map(Duration::from_secs);
    Rules { policy, message_bytes: config.limits.message_bytes, max_age }
}

fn connect(config: &Config, provider: &Provider, metrics: &Arc<Metrics>) -> Result<Ends, GatewayError> {
    let io = |what| move |source| GatewayError::Io { what, source };
    let look_every = look_every(config);
    let mut listener = None;
    let (outer_source, outer_sink): (Arc<dyn Source>, Option<Arc<dyn Sink>>) = match &config.outer {
        OuterConfig::Dir(outer) => {
            let directory = Arc::new(Directory::open(outer, &config.rejects).map_err(io("outer.root"))?);
            (Arc::clone(&directory) as _, Some(directory))
        }
        OuterConfig::Amqp(outer) => {
            let broker = Broker::connect(Side::outer, outer, &config.rejects, metrics).map_err(io("outer"))?;
            (Arc::new(broker.clone()), Some(Arc::new(broker)))
        }
        OuterConfig::Channel(outer) => {
            let listening = Listener::start(outer, provider).map_err(io("outer"))?;
            listener = Some(listening.clone());
            (Arc::new(listening), None)
        }
    };
    let (inner_source, inner_sink): (Arc<dyn Source>, Arc<dyn Sink>) = match &config.inner {
        InnerConfig::Dir(inner) => {
            let directory = Arc::new(Directory::open(inner, &config.rejects).map_err(io("inner.root"))?);
            (Arc::clone(&directory) as _, directory)
        }
        InnerConfig::Amqp(inner) => {
            let broker = Broker::connect(Side::inner, inner, &config.rejects, metrics).map_err(io("inner"))?;
            (Arc::new(broker.clone()), Arc::new(broker))
        }
    };
    Ok(Ends { outer_source, outer_sink, inner_source, inner_sink, listener, look_every })
}

/// How long the supervisor may be silent before the gateway is taken for hung. It asks each side for its queues and for
/// single ones, says after each that it goes on, and waits for two answers of each side at most in between.
fn heartbeat(config: &Config) -> Duration {
    let (outer, inner) = patience(config);
    Duration::from_secs(60).saturating_add(outer.saturating_add(inner).saturating_mul(2))
}

/// How long a step may take: longer than a side waits for its broker, which it does up to three times for one step.
fn longest_step(config: &Config) -> Duration {
    let (outer, inner) = patience(config);
    Duration::from_secs(60).max(outer.max(inner).saturating_mul(3))
}

/// How long the outer and the inner side wait for one answer.
fn patience(config: &Config) -> (Duration, Duration) {
    let broker = |broker: &AmqpConfig| Duration::try_from_secs_f64(broker.timeout_seconds).unwrap_or_default();
    let outer = match &config.outer {
        OuterConfig::Amqp(outer) => broker(outer),
        OuterConfig::Dir(_) => dir::PATIENCE,
        OuterConfig::Channel(_) => Duration::ZERO,
    };
    let inner = match &config.inner {
        InnerConfig::Amqp(inner) => broker(inner),
        InnerConfig::Dir(_) => dir::PATIENCE,
    };
    (outer, inner)
}

/// One look is at both sides: a broker is not to be asked as often as a directory, and a directory not as seldom.
fn look_every(config: &Config) -> Duration {
    let seconds = |seconds| Duration::try_from_secs_f64(seconds).unwrap_or(LOOK_AT_BROKERS);
    match (&config.outer, &config.inner) {
        (OuterConfig::Amqp(outer), InnerConfig::Amqp(inner)) => {
            seconds(outer.discovery_seconds.min(inner.discovery_seconds))
        }
        (OuterConfig::Amqp(broker), _) | (_, InnerConfig::Amqp(broker)) => {
            seconds(broker.discovery_seconds).min(LOOK_AT_MIXED)
        }
        _ => LOOK_AT_DIRECTORIES,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn a_step_may_take_longer_than_a_side_waits_for_its_broker() {
        let longest = |seconds: u32| {
            let side = |name: &str, host: &str| {
                format!("[{name}]\nkind = \"amqp\"\nurl = \"amqp://{host}/v\"\ntimeout_seconds = {seconds}.0\n")
            };
            let text = side("outer", "one") + &side("inner", "two");
            longest_step(&Config::parse(&text, Path::new("/"), None).unwrap())
        };
        assert_eq!(longest(1), Duration::from_secs(60));
        assert!(longest(100) >= Duration::from_secs(200));
    }
}
