//! Broker URLs: they may hold a password, so nothing here shows them whole.

use core::fmt;

use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde::Deserialize;
use url::Url;
use zeroize::Zeroizing;

/// The schemes' own ports.
const AMQP: u16 = 5672;
const AMQPS: u16 = 5671;

/// A URL of a broker, or of its management API. What is shown of it, by `Debug` too, has neither user nor password.
#[derive(Clone, Deserialize)]
#[serde(from = "String")]
pub struct BrokerUrl(Zeroizing<String>);

/// The parts of a broker's URL.
#[derive(Clone)]
pub struct BrokerAddress {
    /// Whether the scheme is `amqps` or `https`.
    pub tls: bool,
    /// The host.
    pub host: String,
    /// The port, the scheme's own unless given.
    pub port: u16,
    /// The user, `guest` unless given.
    pub user: String,
    /// The password, `guest` where there is no user either.
    pub password: Zeroizing<String>,
    /// The virtual host. A path that is missing or `/` alone means `/`, as to `pika`.
    pub vhost: String,
}

impl From<String> for BrokerUrl {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

impl BrokerUrl {
    /// Takes over a URL; nothing is checked yet.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// Its parts.
    ///
    /// # Errors
    /// What is wrong with it, without any of it.
    pub fn parsed(&self) -> Result<BrokerAddress, &'static str> {
        const NOT_UTF8: &str = "a part of it is not UTF-8 when decoded";
        let url = self.url()?;
        let (tls, default_port) = match url.scheme() {
            "amqp" => (false, AMQP),
            "amqps" => (true, AMQPS),
            "http" => (false, 80),
            "https" => (true, 443),
            _ => return Err("its scheme must be amqp or amqps (http or https for the management API)"),
        };
        let decoded = |text: &str| percent_decode_str(text).decode_utf8().map(|text| text.into_owned());
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or("it has no host")?;
        let (user, password) = match (url.username(), url.password()) {
            ("", None) => ("guest".to_owned(), "guest".to_owned()),
            (user, password) => {
                (decoded(user).map_err(|_| NOT_UTF8)?, decoded(password.unwrap_or_default()).map_err(|_| NOT_UTF8)?)
            }
        };
        let path = url.path();
        let vhost = match path.strip_prefix('/').unwrap_or(path) {
            "" | "/" => "/".to_owned(),
            vhost => decoded(vhost).map_err(|_| NOT_UTF8)?,
        };
        Ok(BrokerAddress {
            tls,
            host: host.trim_start_matches('[').trim_end_matches(']').to_owned(),
            port: url.port().unwrap_or(default_port),
            user,
            password: Zeroizing::new(password),
            vhost,
        })
    }

    /// The same URL with a password put in.
    pub(super) fn with_password(&self, password: &str) -> Result<Self, &'static str> {
        let mut url = self.url()?;
        if url.password().is_some() {
            return Err("it has a password already");
        }
        if url.username().is_empty() {
            return Err("it has no user that the password could belong to");
        }
        // the library leaves a `%` as it is, which would be read as an escape
        let password = Zeroizing::new(utf8_percent_encode(password, NON_ALPHANUMERIC).to_string());
        url.set_password(Some(&password)).map_err(|()| "it cannot have a password")?;
        Ok(Self::new(url.into()))
    }

    fn url(&self) -> Result<Url, &'static str> {
        Url::parse(&self.0).map_err(|_| "it is not a URL")
    }
}

impl BrokerAddress {
    /// Whether both are the same virtual host of the same broker, as far as names and ports tell.
    #[must_use]
    pub fn is_same_place(&self, other: &Self) -> bool {
        let host = |address: &Self| match address.host.as_str() {
            "localhost" | "::1" => "127.0.0.1".to_owned(),
            host => host.to_ascii_lowercase(),
        };
        host(self) == host(other) && self.vhost == other.vhost && !self.is_other_broker(other)
    }

    /// Whether the ports tell two brokers of one host apart. One broker has a port with TLS and one without, so that a scheme's
    /// own port says nothing about a port of the other scheme.
    fn is_other_broker(&self, other: &Self) -> bool {
        let is_own = |address: &Self| address.port == if address.tls { AMQPS } else { AMQP };
        self.port != other.port && (self.tls == other.tls || !(is_own(self) || is_own(other)))
    }
}

impl fmt::Debug for BrokerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for BrokerUrl {
    /// For logs: without user and password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.parsed() {
            Ok(address) => fmt::Display::fmt(&address, f),
            Err(_) => f.write_str("(a URL that cannot be read)"),
        }
    }
}

impl fmt::Display for BrokerAddress {
    /// For logs: without user and password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // a slash in the wrong place, as in `amqps://user/password@host`, makes a virtual host of what was meant to be a password
        let vhost = if self.vhost.contains('@') { "(with an @: not shown)" } else { &self.vhost };
        write!(f, "{}:{} vhost {vhost}", self.host, self.port)
    }
}

impl fmt::Debug for BrokerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
