//! `gateway`: the queue service, or a look at what it is configured with.

use std::io::ErrorKind;

use studioml_envelope::Provider;
use studioml_envelope_gateway::{
    Config, GatewayError, check,
    config::ConfigError,
    service::{self, ServiceError},
};

use crate::{
    args::{Gateway, Global},
    failure::{Failure, Outcome},
    io::{print_json, print_lines},
};

/// Runs the service until SIGTERM, or checks its configuration.
pub fn run(global: &Global, gateway: &Gateway, provider: &Provider) -> Outcome {
    if gateway.check {
        run_check(global, gateway, provider)
    } else {
        service::run(&gateway.config, *provider).map_err(|error| failure(gateway, &error))
    }
}

fn run_check(global: &Global, gateway: &Gateway, provider: &Provider) -> Outcome {
    // a file that cannot be read has nothing in it to be found wrong
    if let Err(ref error @ ConfigError::Read { ref source, .. }) = Config::read(&gateway.config) {
        return Err(Failure::input(error, source));
    }
    let report = check(&gateway.config, provider);
    if global.json {
        print_json(&serde_json::json!({ "sound": report.is_sound(), "findings": report.findings }))?;
    } else {
        report.findings.iter().try_for_each(|finding| print_lines(&finding.to_string()))?;
    }
    if report.is_sound() {
        return Ok(());
    }
    Err(Failure::unusable(format!("{}: cannot be used", gateway.config.display())))
}

/// What keeps the service from starting, named once: the file by those errors that do not name it themselves.
fn failure(gateway: &Gateway, error: &ServiceError) -> Failure {
    let path = gateway.config.display();
    let failure = match error {
        ServiceError::Config(ConfigError::Read { source, .. }) => return Failure::input(error, source),
        ServiceError::Gateway(GatewayError::Io { source, .. }) if source.kind() != ErrorKind::InvalidInput => {
            return Failure::io(format!("{path}: {error}"));
        }
        ServiceError::System(_) => return Failure::io(error),
        ServiceError::Config(_) => Failure::unusable(error),
        ServiceError::Gateway(GatewayError::Config(problems)) => {
            let first = problems.first().map(String::as_str).unwrap_or_default();
            match problems.len().saturating_sub(1) {
                0 => Failure::unusable(format!("{path}: {first}")),
                more => Failure::unusable(format!("{path}: {first} (and {more} more)")),
            }
        }
        _ => Failure::unusable(format!("{path}: {error}")),
    };
    failure.hint("--check says all that is wrong with it")
}
