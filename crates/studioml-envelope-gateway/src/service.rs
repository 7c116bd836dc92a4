//! The gateway as a process: logs, threads, signals. What the verb `gateway` calls.

use std::io;
use std::path::Path;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use studioml_envelope_core::Provider;
use thiserror::Error;
use tokio::runtime;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::filter::{FilterExt as _, filter_fn};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _, fmt, registry};

use crate::config::{Config, ConfigError, InnerConfig, LogConfig, LogFormat, OuterConfig};
use crate::gateway::{Gateway, GatewayError};

/// Threads that do not compute: they wait on sockets and channels. On a single core one is enough.
const MOST_WORKERS: usize = 2;
/// How long threads that wait on disks are waited for at the end, and how long after that anything else is.
const LAST_MOMENT: Duration = Duration::from_secs(2);
/// Threads that wait on disks.
const MOST_BLOCKING: usize = 64;
/// The stack in bytes of a thread that reads from a broker. Headers of a message can be nested 26,000 deep in a frame of
/// 128 KiB, and the client library parses them by recursion, in a thread of its own, whose stack only a variable sets.
const ENOUGH_STACK: usize = 64 << 20;
/// That variable, which the standard library reads.
const STACK_VARIABLE: &str = "RUST_MIN_STACK";

/// The process cannot do its work.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ServiceError {
    /// The configuration file cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// What it configures cannot be used.
    #[error(transparent)]
    Gateway(#[from] GatewayError),
    /// `log.level` is not a filter.
    #[error("log.level: not a level or a filter")]
    LogLevel,
    /// The system gives no threads, or takes no signal handlers.
    #[error("the system does not start the service: {0}")]
    System(#[from] io::Error),
}

/// Runs the gateway of a configuration file until SIGTERM or SIGINT, then drains it.
///
/// Sets up logs on standard error, unless the process has set up its own, and raises the soft limit on open files: each
/// message under way in a directory queue holds one.
///
/// # Errors
/// [`ServiceError`] if it cannot start.
pub fn run(path: &Path, provider: Provider) -> Result<(), ServiceError> {
    let config = Config::read(path)?;
    set_up_logs(&config.log)?;
    raise_file_limit();
    tell_of_small_stacks(&config);
    let workers = std::thread::available_parallelism().map_or(1, usize::from).min(MOST_WORKERS);
    let runtime = runtime::Builder::new_multi_thread()
        .worker_threads(workers)
        .max_blocking_threads(MOST_BLOCKING)
        .enable_all()
        .thread_name("gateway")
        .build()?;
    let (_ended_when_dropped, has_ended) = mpsc::channel::<()>();
    let ended = runtime.block_on(async {
        let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let patience = config.drain_time().saturating_add(LAST_MOMENT * 2);
        let shutdown = async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            let watch = move || end_unless(&has_ended, patience, || std::process::exit(1));
            if let Err(error) = std::thread::Builder::new().name("last-moment".to_owned()).spawn(watch) {
                tracing::warn!(%error, "nothing sees to it that the process ends in time");
            }
        };
        let gateway = Gateway::start(config, provider).await?;
        gateway.run(shutdown).await?;
        Ok(())
    });
    // a disk that hangs does not keep the process from ending: what it leaves unfinished, the next one finds
    runtime.shutdown_timeout(LAST_MOMENT);
    ended
}

/// Ends the process if it has not ended by itself: a thread that a hanging disk keeps in a system call cannot be stopped, and
/// may be waited for. Nothing is lost by it, as by a kill.
fn end_unless(has_ended: &Receiver<()>, patience: Duration, end: impl FnOnce()) {
    if has_ended.recv_timeout(patience) == Err(RecvTimeoutError::Timeout) {
        tracing::error!("something keeps the process from ending: it ends nevertheless");
        end();
    }
}

/// Whether a text is a filter for logs.
pub(crate) fn is_log_filter(text: &str) -> bool {
    EnvFilter::try_new(text).is_ok()
}

fn set_up_logs(config: &LogConfig) -> Result<(), ServiceError> {
    let filter = EnvFilter::try_new(&config.level).map_err(|_| ServiceError::LogLevel)?;
    // Whatever the filter lets through: the libraries below write passwords, and messages byte by byte, at their lower levels,
    // and one calls an error what is an answer here, that a queue does not exist.
    let our_own = filter_fn(|line| line.target().starts_with("studioml_envelope"));
    let lines = fmt::layer().with_writer(io::stderr).with_ansi(false);
    let lines = match config.format {
        LogFormat::Text => lines.boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    let _already_set_up = registry().with(lines.with_filter(filter.and(our_own))).try_init();
    Ok(())
}

fn tell_of_small_stacks(config: &Config) {
    let reads_from_brokers =
        matches!(config.outer, OuterConfig::Amqp(_)) || matches!(config.inner, InnerConfig::Amqp(_));
    let stack = std::env::var(STACK_VARIABLE).ok().and_then(|bytes| bytes.parse::<usize>().ok());
    if reads_from_brokers && stack.is_none_or(|bytes| bytes < ENOUGH_STACK) {
        tracing::warn!(
            "a message with deeply nested AMQP headers can end the process: set the variable {STACK_VARIABLE} to {ENOUGH_STACK}"
        );
    }
}

fn raise_file_limit() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current != maximum && setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).is_err() {
        tracing::warn!(?current, ?maximum, "the limit on open files stays as it is");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_is_kept_from_ending_ends_nevertheless_and_one_that_has_ended_is_left_alone() {
        let ends_within = |patience| {
            let (ended_when_dropped, has_ended) = mpsc::channel();
            let (killed, was_killed) = mpsc::channel();
            let watch = std::thread::spawn(move || end_unless(&has_ended, patience, || killed.send(()).unwrap()));
            if patience > Duration::from_secs(1) {
                drop(ended_when_dropped);
            }
            watch.join().unwrap();
            was_killed.try_recv().is_ok()
        };
        assert!(ends_within(Duration::from_millis(1)));
        assert!(!ends_within(Duration::from_secs(600)));
    }
}
