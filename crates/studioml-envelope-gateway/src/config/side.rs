//! The two sides: where experimenters publish, and where runners read.

use std::collections::HashMap;
use std::path::{Component, Path, PathBuf};

use serde::Deserialize;
use studioml_envelope_core::Fingerprint;

use super::{read_text, secret::BrokerUrl};

/// The queues that are looked at unless configured otherwise: the prefixes that StudioML knows.
pub(super) const DEFAULT_QUEUES: &str = "^(rmq|sqs|local)_";

/// Where experimenters publish.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
#[non_exhaustive]
pub enum OuterConfig {
    /// A directory queue.
    Dir(DirConfig),
    /// An AMQP broker.
    Amqp(AmqpConfig),
    /// The gateway listens for the P-256 channel itself. There is no way back for reports.
    Channel(ChannelConfig),
}

/// Where runners read.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
#[non_exhaustive]
pub enum InnerConfig {
    /// A directory queue.
    Dir(DirConfig),
    /// An AMQP broker.
    Amqp(AmqpConfig),
}

/// A directory queue: one folder per queue below the root.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DirConfig {
    /// The root.
    pub root: PathBuf,
    /// A regular expression: which queues are looked at.
    #[serde(default = "default_queues")]
    pub queues: String,
    /// After how many seconds a `lock.lock` of another host, which says nothing of whether its owner lives, is taken for
    /// abandoned. One of this host is as soon as its process is gone.
    #[serde(default = "default_stale_lock")]
    pub stale_lock_seconds: u64,
}

/// An AMQP broker. Exactly one of `url`, `url_file` and `url_env` says where it is, unless the latter two hold only the
/// password for `url`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AmqpConfig {
    /// `amqp://` or `amqps://`, user, host, port and virtual host. Query words that `pika` knows are passed over.
    pub url: Option<BrokerUrl>,
    /// A file that holds the whole URL, or the password for `url`.
    pub url_file: Option<PathBuf>,
    /// The name of a variable that holds the whole URL, or the password for `url`.
    pub url_env: Option<String>,
    /// Base URL of the management API; the AMQP port + 10000 on the same host unless given.
    pub management_url: Option<BrokerUrl>,
    /// PEM file of further certificate authorities for `amqps` and `https`.
    pub ca_file: Option<PathBuf>,
    /// A regular expression: which queues are looked at.
    #[serde(default = "default_queues")]
    pub queues: String,
    /// How many channels publish, each with one message at a time.
    #[serde(default = "default_channels")]
    pub publish_channels: usize,
    /// Seconds between two looks at which queues there are.
    #[serde(default = "default_discovery")]
    pub discovery_seconds: f64,
    /// Seconds that the broker gets to answer anything.
    #[serde(default = "default_timeout")]
    pub timeout_seconds: f64,
}

/// The gateway as a server of the channel (docs/spec.md §8).
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChannelConfig {
    /// Address and port.
    pub listen: String,
    /// The gateway's own P-256 private key.
    pub key: PathBuf,
    /// The passphrase of that key, where it has one.
    pub passphrase_file: Option<PathBuf>,
    /// Who may connect, and to which queue what they send belongs.
    #[serde(default)]
    pub peers: Vec<ChannelPeer>,
}

/// One who may connect.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChannelPeer {
    /// A fingerprint of the peer's static key, in any form of docs/spec.md §4.
    pub fingerprint: String,
    /// The queue that its messages belong to.
    pub queue: String,
}

fn default_queues() -> String {
    DEFAULT_QUEUES.to_owned()
}

const fn default_stale_lock() -> u64 {
    60
}

const fn default_channels() -> usize {
    32
}

const fn default_discovery() -> f64 {
    2.0
}

const fn default_timeout() -> f64 {
    20.0
}

impl OuterConfig {
    pub(super) fn paths(&mut self) -> Vec<&mut PathBuf> {
        match self {
            Self::Dir(dir) => vec![&mut dir.root],
            Self::Amqp(amqp) => amqp.paths(),
            Self::Channel(channel) => {
                let mut paths = vec![&mut channel.key];
                paths.extend(&mut channel.passphrase_file);
                paths
            }
        }
    }

    pub(super) fn problems(&self) -> Vec<String> {
        match self {
            Self::Dir(dir) => dir.problems("outer"),
            Self::Amqp(amqp) => amqp.problems("outer"),
            Self::Channel(channel) => channel.problems(),
        }
    }
}

impl InnerConfig {
    pub(super) fn paths(&mut self) -> Vec<&mut PathBuf> {
        match self {
            Self::Dir(dir) => vec![&mut dir.root],
            Self::Amqp(amqp) => amqp.paths(),
        }
    }

    pub(super) fn problems(&self) -> Vec<String> {
        match self {
            Self::Dir(dir) => dir.problems("inner"),
            Self::Amqp(amqp) => amqp.problems("inner"),
        }
    }
}

impl DirConfig {
    fn problems(&self, side: &str) -> Vec<String> {
        let mut problems = regular_expression(side, &self.queues);
        if self.stale_lock_seconds == 0 {
            problems.push(format!("{side}.stale_lock_seconds must not be 0: every lock would be taken for abandoned"));
        }
        problems
    }
}

impl AmqpConfig {
    fn paths(&mut self) -> Vec<&mut PathBuf> {
        [&mut self.url_file, &mut self.ca_file].into_iter().flatten().collect()
    }

    fn problems(&self, side: &str) -> Vec<String> {
        let mut problems = regular_expression(side, &self.queues);
        if let Err(problem) = self.resolve() {
            problems.push(format!("{side}: {problem}"));
        }
        if !(1..=1024).contains(&self.publish_channels) {
            problems.push(format!("{side}.publish_channels must be 1 to 1024"));
        }
        if !(0.2..=60.0).contains(&self.discovery_seconds) {
            problems.push(format!("{side}.discovery_seconds must be 0.2 to 60"));
        }
        if !(1.0..=600.0).contains(&self.timeout_seconds) {
            problems.push(format!("{side}.timeout_seconds must be 1 to 600"));
        }
        problems
    }

    /// The URL to connect to, with its password wherever that comes from.
    ///
    /// # Errors
    /// What is wrong, as a text that holds neither URL nor password.
    pub fn resolve(&self) -> Result<BrokerUrl, String> {
        let (from, text) = match (&self.url_file, &self.url_env) {
            (Some(_), Some(_)) => return Err("url_file and url_env exclude each other".to_owned()),
            (Some(file), None) => {
                let name = file.display();
                let text = read_text(file).map_err(|error| format!("url_file {name}: {error}"))?;
                (format!("url_file {name}"), text)
            }
            (None, Some(variable)) => {
                let text = std::env::var(variable).map_err(|_| format!("the variable {variable} is not set"))?;
                (format!("the variable {variable}"), text)
            }
            (None, None) => {
                let url = self.url.clone().ok_or("one of url, url_file and url_env must be given")?;
                return url.parsed().map(|_| url).map_err(|problem| format!("url: {problem}"));
            }
        };
        let text = text.trim_end_matches(['\r', '\n']);
        match &self.url {
            Some(url) if !text.contains("://") => {
                url.with_password(text).map_err(|problem| format!("url with the password of {from}: {problem}"))
            }
            Some(_) => Err(format!("url and {from} both hold a URL")),
            None => {
                let url = BrokerUrl::new(text.to_owned());
                url.parsed().map(|_| url).map_err(|problem| format!("{from}: {problem}"))
            }
        }
    }
}

impl ChannelConfig {
    fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if self.listen.parse::<std::net::SocketAddr>().is_err() {
            problems.push("outer.listen must be an address and a port".to_owned());
        }
        if self.peers.is_empty() {
            problems.push("outer.peers: nobody may connect".to_owned());
        }
        let mut queue_of = HashMap::new();
        for peer in &self.peers {
            match peer.fingerprint.parse::<Fingerprint>() {
                Ok(fingerprint) => {
                    if *queue_of.entry(fingerprint).or_insert(&peer.queue) != &peer.queue {
                        problems.push(format!("outer.peers: {fingerprint} belongs to two queues; it must be one"));
                    }
                }
                Err(_) => problems.push(format!("outer.peers: the fingerprint for queue {} is none", peer.queue)),
            }
            if crate::queue::QueueName::new(&peer.queue).is_none_or(|queue| queue.is_response()) {
                problems.push("outer.peers: a queue that is no request queue".to_owned());
            }
        }
        problems
    }
}

fn regular_expression(side: &str, text: &str) -> Vec<String> {
    let problem = regex_lite::Regex::new(text).err();
    problem.map(|error| format!("{side}.queues: {error}")).into_iter().collect()
}

/// A deployed runner acknowledges a sealed envelope as an empty job, and runs whatever is in its queue: nothing may be on
/// both sides.
pub(super) fn same_place(outer: &OuterConfig, inner: &InnerConfig) -> Option<String> {
    match (outer, inner) {
        (OuterConfig::Dir(outer), InnerConfig::Dir(inner)) => {
            let (outer, inner) = (absolute(&outer.root), absolute(&inner.root));
            (outer.starts_with(&inner) || inner.starts_with(&outer)).then(|| {
                "outer.root and inner.root are the same directory, or one is inside the other: keep them apart"
                    .to_owned()
            })
        }
        (OuterConfig::Amqp(outer), InnerConfig::Amqp(inner)) => {
            let (outer, inner) = (outer.resolve().ok()?.parsed().ok()?, inner.resolve().ok()?.parsed().ok()?);
            outer.is_same_place(&inner).then(|| {
                "outer and inner are the same virtual host of the same broker: a runner would take sealed messages for jobs"
                    .to_owned()
            })
        }
        _ => None,
    }
}

/// Without symbolic links as far as it exists, and without `..`: of a directory that is made later, its parent is the one before
/// it, and a root that is told by way of one may be another root all the same.
fn absolute(path: &Path) -> PathBuf {
    let mut resolved = PathBuf::new();
    for component in std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).components() {
        match component {
            Component::ParentDir => drop(resolved.pop()),
            component => resolved.push(component),
        }
        if let Ok(found) = resolved.canonicalize() {
            resolved = found;
        }
    }
    resolved
}
