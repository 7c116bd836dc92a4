//! `gateway --check`: a configuration and its keys, looked at without starting anything; all that is wrong, in one go.

use core::fmt;
use std::path::Path;

use serde::Serialize;
use studioml_envelope_core::Provider;
use studioml_envelope_keys::directory;

use crate::config::{AmqpConfig, Config, InnerConfig, KeysConfig, OuterConfig, Parts, read_text};
use crate::keyring::KeyRing;
use crate::service::is_log_filter;
use crate::{amqp, channel};

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Something does not work.
    Error,
    /// Something is odd.
    Warning,
    /// How things are.
    Note,
}

impl Severity {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Note => "note",
        }
    }
}

/// One thing that was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// The option that it is about; empty for the file as a whole.
    pub option: String,
    /// What it is.
    pub text: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.option.as_str() {
            "" => write!(f, "{}: {}", self.severity.as_str(), self.text),
            option => write!(f, "{}: {option}: {}", self.severity.as_str(), self.text),
        }
    }
}

/// What a check found, errors first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Report {
    /// All of it.
    pub findings: Vec<Finding>,
}

impl Report {
    /// Whether nothing is an error. Warnings do not count.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.findings.iter().all(|finding| finding.severity != Severity::Error)
    }

    fn add(&mut self, severity: Severity, option: &str, text: impl fmt::Display) {
        self.findings.push(Finding { severity, option: option.to_owned(), text: text.to_string() });
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for finding in &self.findings {
            writeln!(f, "{finding}")?;
        }
        Ok(())
    }
}

/// Checks a configuration file, its values, and the keys and directories that it names. Connects to nothing and changes
/// nothing.
#[must_use]
pub fn check(path: &Path, provider: &Provider) -> Report {
    let mut report = Report { findings: Vec::new() };
    match Config::read(path) {
        Ok(config) => check_config(&config, provider, &mut report),
        Err(error) => {
            report.add(Severity::Error, "", &error);
            check_parts(path, &error.to_string(), provider, &mut report);
        }
    }
    report.findings.sort_by_key(|finding| finding.severity);
    report
}

/// Of a file that cannot be used, whatever can be: beside `said`, the first thing that is wrong with it.
fn check_parts(path: &Path, said: &str, provider: &Provider, report: &mut Report) {
    let Ok(text) = read_text(path) else { return };
    let directory = path.parent().unwrap_or_else(|| Path::new(""));
    let Some(Parts { problems, config, keys }) = Parts::read(&text, directory) else { return };
    for (option, problem) in &problems {
        // the part says in which of its options it is, the first error at which line
        if problem.split("; in `").next().is_some_and(|problem| said.contains(problem)) {
            continue;
        }
        report.add(Severity::Error, option, problem);
    }
    match (config, keys) {
        (Some(config), Some(_)) => check_config(&config, provider, report),
        // a side that cannot be read says nothing about the keys
        (None, Some(keys)) => check_keys(&keys, false, provider, report),
        // nor do mounts that cannot be read: those of the defaults are not meant
        (_, None) => {}
    }
}

fn check_config(config: &Config, provider: &Provider, report: &mut Report) {
    for problem in config.problems() {
        report.add(Severity::Error, "", problem);
    }
    if !is_log_filter(&config.log.level) {
        report.add(Severity::Error, "log.level", "not a level or a filter");
    }
    if config.clear_text_messages {
        let text = "clear-text Requests pass on queues without a signing key: anybody who can publish there runs code";
        report.add(Severity::Warning, "clear_text_messages", text);
    }
    check_keys(&config.keys, config.clear_text_messages, provider, report);
    match &config.outer {
        OuterConfig::Dir(outer) => check_directory("outer.root", &outer.root, report),
        OuterConfig::Amqp(outer) => check_broker("outer", outer, report),
        OuterConfig::Channel(outer) => {
            if let Err(error) = channel::load_key(outer, provider) {
                report.add(Severity::Error, "outer", error);
            }
        }
    }
    match &config.inner {
        InnerConfig::Dir(inner) => check_directory("inner.root", &inner.root, report),
        InnerConfig::Amqp(inner) => check_broker("inner", inner, report),
    }
}

fn check_keys(config: &KeysConfig, clear_text_messages: bool, provider: &Provider, report: &mut Report) {
    let keys = KeyRing::open(config, provider).current();
    for (mount, finding) in keys.findings() {
        let severity = match finding.severity() {
            directory::Severity::Error => Severity::Error,
            directory::Severity::Warning => Severity::Warning,
        };
        report.add(severity, mount, finding);
    }
    let mounts = [
        ("keys.encryption", &config.encryption),
        ("keys.passphrase", &config.passphrase),
        ("keys.signing", &config.signing),
        ("keys.reports", &config.reports),
    ];
    for (mount, path) in mounts {
        if !path.is_dir() {
            report.add(Severity::Warning, mount, format_args!("{} is not there, or no directory", path.display()));
        }
    }
    if keys.identities.identities().is_empty() {
        report.add(Severity::Error, "keys.encryption", "no private key is loaded: nothing can be opened");
    }
    if keys.signing.is_empty() && !clear_text_messages {
        report.add(Severity::Warning, "keys.signing", "no keys: no queue is consumed");
    }
    for key in keys.identities.keys() {
        let text = format_args!("{}: RSA key of {} bits", key.file(), key.public_key().bits());
        report.add(Severity::Note, "keys.encryption", text);
    }
    for (prefix, signers) in keys.signing.prefixes() {
        for signer in signers.into_iter().flatten() {
            let text = format_args!("queues that begin with {prefix:?}: signed by {}", signer.fingerprint());
            report.add(Severity::Note, "keys.signing", text);
        }
    }
    for (prefix, recipients) in keys.reports.prefixes() {
        for recipient in recipients.into_iter().flatten() {
            let bits = recipient.public_key().bits();
            let text = format_args!("report queues that begin with {prefix:?}: RSA key of {bits} bits");
            report.add(Severity::Note, "keys.reports", text);
        }
    }
}

fn check_directory(option: &str, root: &Path, report: &mut Report) {
    match std::fs::metadata(root) {
        Ok(data) if !data.is_dir() => {
            report.add(Severity::Error, option, format_args!("{} is no directory", root.display()));
        }
        Ok(_) => {
            let access = rustix::fs::access(root, rustix::fs::Access::READ_OK | rustix::fs::Access::WRITE_OK);
            if let Err(error) = access {
                report.add(Severity::Error, option, format_args!("{}: {error}", root.display()));
            }
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            report.add(Severity::Warning, option, format_args!("{} is not there: it will be made", root.display()));
        }
        Err(error) => report.add(Severity::Error, option, format_args!("{}: {error}", root.display())),
    }
}

fn check_broker(side: &str, config: &AmqpConfig, report: &mut Report) {
    if let Err(error) = amqp::read_authorities(config) {
        report.add(Severity::Error, side, error);
    }
    // what does not resolve is among the problems of the values already
    let Ok(Ok(address)) = config.resolve().map(|url| url.parsed()) else { return };
    report.add(Severity::Note, side, &address);
    if !address.tls && !matches!(address.host.as_str(), "localhost" | "127.0.0.1" | "::1") {
        let text = "amqp without TLS: the password, and at the inner side the Requests, are readable on the way";
        report.add(Severity::Warning, side, text);
    }
}
