//! An AMQP broker as a source and as a sink, with RabbitMQ's habits in mind.
//!
//! Two connections, one that consumes and one that publishes: while a broker has a memory or disk alarm nothing is written on
//! a connection that publishes, and acknowledgements would hang with it. Each is made again for ever by its own
//! [supervisor](link::Link); any error drops the connection and what was under way on it, and the source delivers again.

mod discovery;
mod link;
mod publisher;
mod rejects;
mod sink;
mod source;

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use lapin::options::QueueDeclareOptions;
use lapin::tcp::OwnedTLSConfig;
use lapin::types::FieldTable;
use lapin::uri::{AMQPAuthority, AMQPQueryString, AMQPScheme, AMQPUri, AMQPUserInfo};
use lapin::{Channel, Error, ErrorKind, Queue};
use regex_lite::Regex;
use tokio::time::timeout;

use crate::config::{AmqpConfig, BrokerAddress, RejectsConfig, read_text};
use crate::metrics::{Metrics, Side};
use crate::queue::{QueueName, SourceError};
use discovery::Discovery;
use link::Link;
use publisher::Publisher;

/// The exchange of StudioML: topic, durable, auto-delete. Declaring it otherwise is an error.
const EXCHANGE: &str = "StudioML.topic";
/// Seconds between heartbeats: a broker that is gone without a word is noticed after two.
const HEARTBEAT: u16 = 15;

/// A broker.
#[derive(Clone)]
pub(crate) struct Broker(Arc<Shared>);

struct Shared {
    side: Side,
    timeout: Duration,
    consuming: Link,
    publisher: Publisher,
    discovery: Discovery,
    rejects: rejects::Queue,
    /// When inner queues were last made sure of.
    prepared: Mutex<HashMap<QueueName, Instant>>,
    /// Queues that broke a connection of their own, and when they last did.
    breaking: Mutex<BTreeMap<QueueName, Instant>>,
}

impl Broker {
    /// Begins to connect, and does not wait for it. Needs a tokio runtime around it.
    ///
    /// # Errors
    /// [`io::Error`] with what is wrong with the configuration.
    pub(crate) fn connect(
        side: Side,
        config: &AmqpConfig,
        rejects: &RejectsConfig,
        metrics: &Arc<Metrics>,
    ) -> io::Result<Self> {
        let invalid = |problem: String| io::Error::new(io::ErrorKind::InvalidInput, problem);
        let address = config.resolve().map_err(invalid)?.parsed().map_err(|problem| invalid(problem.to_owned()))?;
        let queues = Regex::new(&config.queues).map_err(|error| invalid(error.to_string()))?;
        let authorities = read_authorities(config)?;
        let tls = OwnedTLSConfig { identity: None, cert_chain: authorities.clone() };
        let timeout =
            Duration::try_from_secs_f64(config.timeout_seconds).map_err(|error| invalid(error.to_string()))?;
        let link = |purpose| Link::start(side, purpose, uri(&address), tls.clone(), timeout, Arc::clone(metrics));
        let management = config.management_url.as_ref().map(|url| url.parsed()).transpose();
        let management = management.map_err(|problem| invalid(problem.to_owned()))?;
        Ok(Self(Arc::new(Shared {
            side,
            timeout,
            consuming: link("consume"),
            publisher: Publisher::new(link("publish"), config.publish_channels, timeout),
            discovery: Discovery::new(&address, management.as_ref(), queues, authorities.as_deref(), timeout)?,
            rejects: rejects::Queue::new(rejects),
            prepared: Mutex::default(),
            breaking: Mutex::default(),
        })))
    }

    /// Whether a queue exists, asked on a channel of its own: the answer "no" closes it.
    async fn queue_exists(&self, queue: &str) -> Result<bool, SourceError> {
        let live = self.0.consuming.live()?;
        let answer = timeout(self.0.timeout, async {
            let channel = live.create_channel().await?;
            let declared = declare_passively(&channel, queue).await;
            if declared.is_ok() {
                channel.close(200, "asked".into()).await?;
            }
            declared
        });
        match answer.await {
            Ok(Ok(_)) => Ok(true),
            Ok(Err(error)) if is_no_queue(&error) => Ok(false),
            // it is there, and another connection's alone
            Ok(Err(error)) if code_of(&error) == Some(RESOURCE_LOCKED) => Ok(true),
            Ok(Err(error)) => Err(unavailable(&error)),
            Err(_) => {
                live.give_up();
                Err(SourceError::Unavailable("it does not answer".to_owned()))
            }
        }
    }
}

/// The further certificate authorities, PEM.
pub(crate) fn read_authorities(config: &AmqpConfig) -> io::Result<Option<String>> {
    let Some(path) = &config.ca_file else { return Ok(None) };
    let named = |text: &dyn std::fmt::Display| format!("ca_file {}: {text}", path.display());
    let text = read_text(path).map_err(|error| io::Error::new(error.kind(), named(&error)))?;
    if discovery::authorities(&text).is_ok_and(|found| !found.is_empty()) {
        Ok(Some(text))
    } else {
        Err(io::Error::new(io::ErrorKind::InvalidInput, named(&"no certificates in PEM")))
    }
}

async fn declare_passively(channel: &Channel, queue: &str) -> Result<Queue, Error> {
    let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
    channel.queue_declare(queue.into(), passive, FieldTable::default()).await
}

/// AMQP 0-9-1 §1.2: reply codes that close a channel.
const ACCESS_REFUSED: u16 = 403;
const NOT_FOUND: u16 = 404;
const RESOURCE_LOCKED: u16 = 405;
const PRECONDITION_FAILED: u16 = 406;

/// The reply code of an error that the broker sent.
fn code_of(error: &Error) -> Option<u16> {
    match error.kind() {
        ErrorKind::ProtocolError(error) => Some(error.get_id()),
        _ => None,
    }
}

/// Whether a queue does not exist. The code alone also says that the node that a queue is on is down, which is no word on
/// whether somebody deleted it.
fn is_no_queue(error: &Error) -> bool {
    code_of(error) == Some(NOT_FOUND) && error.to_string().contains("- no queue '")
}

/// The broker's text says which queue and which virtual host; never a password, and nothing of a message.
fn unavailable(error: &Error) -> SourceError {
    SourceError::Unavailable(error.to_string())
}

fn uri(address: &BrokerAddress) -> AMQPUri {
    let userinfo = AMQPUserInfo { username: address.user.clone(), password: address.password.to_string() };
    AMQPUri {
        scheme: if address.tls { AMQPScheme::AMQPS } else { AMQPScheme::AMQP },
        authority: AMQPAuthority { userinfo, host: address.host.clone(), port: address.port },
        vhost: address.vhost.clone(),
        query: AMQPQueryString { heartbeat: Some(HEARTBEAT), ..AMQPQueryString::default() },
    }
}

#[cfg(test)]
mod tests {
    use lapin::protocol::{AMQPError, AMQPErrorKind, AMQPSoftError};

    use super::*;

    #[test]
    fn a_queue_whose_node_is_down_has_not_been_deleted() {
        let not_found = |text: &str| {
            let kind = AMQPErrorKind::Soft(AMQPSoftError::NOTFOUND);
            Error::from(ErrorKind::ProtocolError(AMQPError::new(kind, text.into())))
        };
        assert!(is_no_queue(&not_found("NOT_FOUND - no queue 'rmq_one' in vhost '/'")));
        let down = "NOT_FOUND - home node 'rabbit@two' of durable queue 'rmq_one' in vhost '/' is down or inaccessible";
        assert!(!is_no_queue(&not_found(down)));
    }
}
