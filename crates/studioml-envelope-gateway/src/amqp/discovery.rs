//! Which queues there are: RabbitMQ's management API, as AMQP itself has no word for it.

use std::collections::BTreeSet;
use std::io;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use regex_lite::Regex;
use rustls_native_certs::load_native_certs;
use serde::Deserialize;
use tokio::time::timeout;
use ureq::Agent;
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};
use zeroize::Zeroizing;

use super::EXCHANGE;
use crate::config::BrokerAddress;
use crate::queue::{QueueName, Queues, SourceError};

/// The most that a list of bindings may take, in bytes: some hundred thousand queues.
const LONGEST_ANSWER: u64 = 64 << 20;

pub(super) struct Discovery {
    agent: Agent,
    /// `/api/bindings` of the virtual host.
    url: String,
    authorization: Zeroizing<String>,
    queues: Regex,
    patience: Duration,
}

/// A binding, as far as it matters.
#[derive(Deserialize)]
struct Binding {
    source: String,
    destination: String,
    destination_type: String,
}

impl Discovery {
    pub(super) fn new(
        broker: &BrokerAddress,
        management: Option<&BrokerAddress>,
        queues: Regex,
        authorities: Option<&str>,
        patience: Duration,
    ) -> io::Result<Self> {
        let scheme = |tls| if tls { "https" } else { "http" };
        let host = |host: &str| if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
        let base = match management {
            Some(given) => format!("{}://{}:{}", scheme(given.tls), host(&given.host), given.port),
            None => {
                let port = broker.port.checked_add(10_000).ok_or_else(|| {
                    io::Error::new(io::ErrorKind::InvalidInput, "no port of a management API: give management_url")
                })?;
                format!("{}://{}:{port}", scheme(broker.tls), host(&broker.host))
            }
        };
        let vhost = utf8_percent_encode(&broker.vhost, NON_ALPHANUMERIC);
        let credentials = management.filter(|given| given.user != "guest").unwrap_or(broker);
        let credentials = Zeroizing::new(format!("{}:{}", credentials.user, credentials.password.as_str()));
        let tls = TlsConfig::builder().root_certs(root_certs(authorities)?).build();
        let agent = Agent::config_builder().timeout_global(Some(patience)).tls_config(tls).build();
        Ok(Self {
            agent: agent.into(),
            url: format!("{base}/api/bindings/{vhost}"),
            authorization: Zeroizing::new(format!("Basic {}", STANDARD.encode(credentials.as_bytes()))),
            queues,
            patience,
        })
    }

    /// The queues that there are; to be looked at are those that are bound to the exchange and match.
    pub(super) async fn queues(&self) -> Result<Queues, SourceError> {
        let unavailable = |error: String| SourceError::Unavailable(format!("management API: {error}"));
        let request = self.agent.get(&self.url).header("Authorization", self.authorization.as_str());
        let answer = tokio::task::spawn_blocking(move || {
            let mut answer = request.call().map_err(|error| error.to_string())?;
            let text = answer.body_mut().with_config().limit(LONGEST_ANSWER).read_to_vec();
            serde_json::from_slice::<Vec<Binding>>(&text.map_err(|error| error.to_string())?)
                .map_err(|error| error.to_string())
        });
        // the request has its limit; that a thread is free for it has not
        let answer = timeout(self.patience.saturating_mul(2), answer).await;
        let answer = answer.map_err(|_| unavailable("no thread is free to ask it".to_owned()))?;
        let bindings = answer.map_err(|error| unavailable(error.to_string()))?.map_err(unavailable)?;
        let (mut offered, mut existing) = (BTreeSet::new(), BTreeSet::new());
        for binding in bindings {
            if let Some(name) = QueueName::new(&binding.destination)
                && binding.destination_type == "queue"
            {
                if binding.source == EXCHANGE && self.queues.is_match(name.as_str()) {
                    offered.insert(name.clone());
                }
                // every queue is bound to the default exchange at least
                existing.insert(name);
            }
        }
        Ok(Queues { offered: offered.into_iter().collect(), existing })
    }
}

/// The system's authorities, and those of a file.
fn root_certs(authorities_text: Option<&str>) -> io::Result<RootCerts> {
    let mut certificates: Vec<Certificate<'static>> =
        load_native_certs().certs.iter().map(|certificate| Certificate::from_der(certificate).to_owned()).collect();
    if let Some(text) = authorities_text {
        certificates.extend(authorities(text)?);
    }
    Ok(RootCerts::new_with_certs(&certificates))
}

/// The certificates in a PEM text.
pub(super) fn authorities(text: &str) -> io::Result<Vec<Certificate<'static>>> {
    let mut certificates = Vec::new();
    for item in parse_pem(text.as_bytes()) {
        if let PemItem::Certificate(certificate) = item.map_err(io::Error::other)? {
            certificates.push(certificate);
        }
    }
    Ok(certificates)
}
