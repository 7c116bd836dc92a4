//! `gateway`: the queue service, or a look at what it is configured with.

use studioml_envelope::Provider;
use studioml_envelope_gateway::{
    GatewayError, check,
    service::{self, ServiceError},
};

use crate::{
    args::{Gateway, Global},
    failure::{Failure, Outcome},
    io::print_line,
};

/// Runs the service until SIGTERM, or checks its configuration.
pub fn run(global: &Global, gateway: &Gateway, provider: &Provider) -> Outcome {
    let path = gateway.config.display();
    if gateway.check {
        let report = check(&gateway.config, provider);
        if global.json {
            print_line(&serde_json::json!({ "sound": report.is_sound(), "findings": report.findings }).to_string())?;
        } else {
            report.findings.iter().try_for_each(|finding| print_line(&finding.to_string()))?;
        }
        return if report.is_sound() { Ok(()) } else { Err(Failure::unusable(format!("{path}: cannot be used"))) };
    }
    service::run(&gateway.config, *provider).map_err(|error| match &error {
        ServiceError::Gateway(GatewayError::Io { .. }) | ServiceError::System(_) => {
            Failure::io(format!("{path}: {error}"))
        }
        _ => Failure::unusable(format!("{path}: {error}")).hint("--check says all that is wrong with it"),
    })
}
