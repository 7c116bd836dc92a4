//! The configuration file: TOML, read strictly, with every path made relative to the file.
//!
//! What stands in it is never trusted to be complete or consistent: [`Config::problems`] says all that is wrong with the
//! values, in one go, and [`crate::check()`] goes on to look at keys, directories and brokers.

mod parts;
mod secret;
mod side;

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use thiserror::Error;

pub(crate) use parts::Parts;
pub use secret::{BrokerAddress, BrokerUrl};
pub use side::{AmqpConfig, ChannelConfig, ChannelPeer, DirConfig, InnerConfig, OuterConfig};

use studioml_envelope_core::FingerprintPolicy;

/// The most messages that may be under way: more than anybody needs, and well below what the semaphore that counts them can.
const MOST_IN_FLIGHT: usize = 1_000_000;

/// Ten years in seconds: RabbitMQ makes no queue that keeps its messages longer.
const LONGEST_KEPT: u64 = 315_360_000;

/// The most bytes that the file, or a text that it names, may have.
const MOST_TEXT: u64 = 4 << 20;

/// Reads a text that an administrator wrote. What is larger, or not UTF-8, is [`io::ErrorKind::InvalidData`].
pub(crate) fn read_text(path: &Path) -> io::Result<String> {
    let invalid = |problem: String| io::Error::new(io::ErrorKind::InvalidData, problem);
    let mut bytes = Vec::new();
    File::open(path)?.take(MOST_TEXT.saturating_add(1)).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > MOST_TEXT {
        return Err(invalid(format!("larger than {MOST_TEXT} bytes")));
    }
    String::from_utf8(bytes).map_err(|_| invalid("not UTF-8".to_owned()))
}

/// The file cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// It cannot be read.
    #[error("{path}: {source}")]
    Read {
        /// The file.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// It is not TOML, or has a member that means nothing, or one of the wrong type. The text names the place.
    #[error("{0}")]
    Parse(String),
    /// The variable `CLEAR_TEXT_MESSAGES` is neither `true` nor `false`.
    #[error("the variable CLEAR_TEXT_MESSAGES must be \"true\" or \"false\"")]
    ClearTextVariable,
}

/// Everything that can be configured. See `deploy/gateway.toml` for what each option means to the person who sets it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Config {
    /// Whether clear-text Requests pass on queues without a signing key. The variable `CLEAR_TEXT_MESSAGES` overrides it.
    #[serde(default)]
    pub clear_text_messages: bool,
    /// What happens to a good signature under a fingerprint that is not the signer's.
    #[serde(default, deserialize_with = "fingerprint_policy")]
    pub fingerprint: FingerprintPolicy,
    /// Where experimenters publish.
    pub outer: OuterConfig,
    /// Where runners read.
    pub inner: InnerConfig,
    /// Where the keys are mounted.
    #[serde(default)]
    pub keys: KeysConfig,
    /// Metrics and probes.
    #[serde(default)]
    pub http: HttpConfig,
    /// The bounds of the reject queue.
    #[serde(default)]
    pub rejects: RejectsConfig,
    /// Sizes and numbers.
    #[serde(default)]
    pub limits: LimitsConfig,
    /// Against messages that are offered again.
    #[serde(default)]
    pub replay: ReplayConfig,
    /// What is written to standard error.
    #[serde(default)]
    pub log: LogConfig,
}

/// The mounted layout of docs/spec.md §6.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KeysConfig {
    /// Directory of the RSA private keys.
    pub encryption: PathBuf,
    /// Directory of their passphrases.
    pub passphrase: PathBuf,
    /// Directory of the signing public keys, one file per queue-name prefix.
    pub signing: PathBuf,
    /// Directory of the report public keys, one file per queue-name prefix.
    pub reports: PathBuf,
    /// Seconds between two looks at the files.
    pub reload_seconds: f64,
}

impl KeysConfig {
    fn make_relative_to(&mut self, directory: &Path) {
        for path in [&mut self.encryption, &mut self.passphrase, &mut self.signing, &mut self.reports] {
            *path = directory.join(&*path);
        }
    }
}

impl Default for KeysConfig {
    /// The seed's mount paths, looked at every second.
    fn default() -> Self {
        Self {
            encryption: "/runner/certs/message/encryption".into(),
            passphrase: "/runner/certs/message/passphrase".into(),
            signing: "/runner/certs/queues/signing".into(),
            reports: "/runner/certs/queues/response-encrypt".into(),
            reload_seconds: 1.0,
        }
    }
}

/// The port of `/metrics`, `/livez` and `/readyz`.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HttpConfig {
    /// Address and port. Port 0 takes a free one, which is logged.
    pub listen: String,
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self { listen: "127.0.0.1:9090".to_owned() }
    }
}

/// The bounds of the reject queue: when one is reached, the oldest entries go.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RejectsConfig {
    /// Its name on an AMQP broker. With directory queues it is `.gateway/rejected` below the root.
    pub queue: String,
    /// The largest number of entries.
    pub max_count: u64,
    /// The largest sum of their sizes in bytes.
    pub max_bytes: u64,
    /// How long an entry is kept, in seconds: at most ten years.
    pub max_age_seconds: u64,
}

impl Default for RejectsConfig {
    /// 10,000 entries, 256 MiB, a week.
    fn default() -> Self {
        Self {
            queue: "studioml-gateway-rejected".to_owned(),
            max_count: 10_000,
            max_bytes: 256 << 20,
            max_age_seconds: 7 * 24 * 3600,
        }
    }
}

/// Sizes and numbers.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LimitsConfig {
    /// The largest message in bytes, as it stands in the queue.
    pub message_bytes: usize,
    /// How many messages of one queue may be under way.
    pub prefetch: usize,
    /// How many messages of all queues may be under way, in each direction.
    pub in_flight: usize,
    /// Threads for cryptography; 0 for as many as there are cores.
    pub threads: usize,
    /// How long the messages under way get to come to an end after SIGTERM, in seconds.
    pub drain_seconds: f64,
}

impl Default for LimitsConfig {
    /// 128 MiB a message (what a RabbitMQ takes by default), 64 and 1024 under way, a drain of 15 s.
    fn default() -> Self {
        Self { message_bytes: 128 << 20, prefetch: 64, in_flight: 1024, threads: 0, drain_seconds: 15.0 }
    }
}

/// Against messages that are offered again.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ReplayConfig {
    /// How many messages are remembered.
    pub remember: usize,
    /// How old a Request may be by its own `experiment.time_added`, in seconds. Without it, any age passes; with it, a
    /// Request that does not tell its time is refused.
    pub max_age_seconds: Option<u64>,
}

impl Default for ReplayConfig {
    /// 100,000 messages, any age.
    fn default() -> Self {
        Self { remember: 100_000, max_age_seconds: None }
    }
}

/// What is written to standard error.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogConfig {
    /// `error`, `warn`, `info`, `debug` or `trace`, or a filter by module as `tracing` reads it.
    pub level: String,
    /// `text` or `json`.
    pub format: LogFormat,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { level: "info".to_owned(), format: LogFormat::Text }
    }
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

impl Config {
    /// Reads a file. Relative paths in it become relative to its directory.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let shown = path.display().to_string();
        let text = read_text(path).map_err(|source| match source.kind() {
            io::ErrorKind::InvalidData => ConfigError::Parse(format!("{shown}: {source}")),
            _ => ConfigError::Read { path: shown.clone(), source },
        })?;
        let directory = path.parent().unwrap_or_else(|| Path::new(""));
        let variable = std::env::var("CLEAR_TEXT_MESSAGES").ok();
        Self::parse(&text, directory, variable.as_deref()).map_err(|error| match error {
            ConfigError::Parse(text) => ConfigError::Parse(format!("{shown}: {text}")),
            other => other,
        })
    }

    /// Reads the text of a file that stands in `directory`, with the variable `CLEAR_TEXT_MESSAGES` as given.
    ///
    /// # Errors
    /// [`ConfigError::Parse`] or [`ConfigError::ClearTextVariable`].
    pub fn parse(text: &str, directory: &Path, clear_text_messages: Option<&str>) -> Result<Self, ConfigError> {
        // the library's text shows the offending line; a URL with a password may stand in it
        let mut config: Self = toml::from_str(text).map_err(|error| ConfigError::Parse(located(text, &error)))?;
        config.clear_text_messages = match clear_text_messages {
            None | Some("") => config.clear_text_messages,
            Some(value) if value.eq_ignore_ascii_case("true") => true,
            Some(value) if value.eq_ignore_ascii_case("false") => false,
            Some(_) => return Err(ConfigError::ClearTextVariable),
        };
        config.keys.make_relative_to(directory);
        for path in config.outer.paths().into_iter().chain(config.inner.paths()) {
            *path = directory.join(&*path);
        }
        Ok(config)
    }

    /// Everything that is wrong with the values themselves, one line each.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let mut must = |holds: bool, what: &str| {
            if !holds {
                problems.push(what.to_owned());
            }
        };
        let limits = &self.limits;
        must(limits.message_bytes >= 1024, "limits.message_bytes must be at least 1024");
        must((1..=65_535).contains(&limits.prefetch), "limits.prefetch must be 1 to 65535");
        must(limits.in_flight >= limits.prefetch, "limits.in_flight must not be below limits.prefetch");
        must(limits.in_flight <= MOST_IN_FLIGHT, "limits.in_flight must not be above 1000000");
        must(limits.threads <= 1024, "limits.threads must not be above 1024");
        must((0.0..=3600.0).contains(&limits.drain_seconds), "limits.drain_seconds must be 0 to 3600");
        must((0.05..=5.0).contains(&self.keys.reload_seconds), "keys.reload_seconds must be 0.05 to 5");
        let rejects = &self.rejects;
        must(
            rejects.max_count > 0 && rejects.max_bytes > 0 && rejects.max_age_seconds > 0,
            "rejects.max_count, max_bytes and max_age_seconds must not be 0: a message is not acknowledged unless it is kept",
        );
        must(
            rejects.max_bytes >= limits.message_bytes as u64,
            "rejects.max_bytes must not be below limits.message_bytes: the largest message could not be kept",
        );
        must(
            rejects.max_age_seconds <= LONGEST_KEPT,
            "rejects.max_age_seconds must not be above 315360000, ten years: a broker makes no such queue",
        );
        must(!rejects.queue.is_empty() && rejects.queue.len() <= 255, "rejects.queue must be 1 to 255 bytes long");
        must(self.replay.max_age_seconds != Some(0), "replay.max_age_seconds must not be 0");
        must(
            self.http.listen.parse::<std::net::SocketAddr>().is_ok(),
            "http.listen must be an address and a port, such as 127.0.0.1:9090",
        );
        problems.extend(self.outer.problems());
        problems.extend(self.inner.problems());
        problems.extend(side::same_place(&self.outer, &self.inner));
        problems
    }

    pub(crate) fn reload_interval(&self) -> Duration {
        Duration::try_from_secs_f64(self.keys.reload_seconds).unwrap_or(Duration::from_secs(1))
    }

    pub(crate) fn drain_time(&self) -> Duration {
        Duration::try_from_secs_f64(self.limits.drain_seconds).unwrap_or(Duration::from_secs(15))
    }

    pub(crate) fn threads(&self) -> usize {
        match self.limits.threads {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            threads => threads,
        }
    }
}

/// Where and what, without the line itself.
fn located(text: &str, error: &toml::de::Error) -> String {
    let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
    let line = before.matches('\n').count().saturating_add(1);
    format!("line {line}: {}", without_secrets(error.message()))
}

/// A message of the library, on one line. It quotes names and types, and strings that were no name: a URL may be one, and one that
/// is misspelt still has its password before an `@`.
fn without_secrets(message: &str) -> String {
    if message.contains("://") || message.contains('@') {
        return "a value that cannot stand here".to_owned();
    }
    message.lines().collect::<Vec<_>>().join("; ")
}

fn fingerprint_policy<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<FingerprintPolicy, D::Error> {
    #[derive(Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Word {
        Refuse,
        Warn,
    }
    Ok(match Word::deserialize(deserializer)? {
        Word::Refuse => FingerprintPolicy::Refuse,
        Word::Warn => FingerprintPolicy::Warn,
    })
}

#[cfg(test)]
mod tests;
