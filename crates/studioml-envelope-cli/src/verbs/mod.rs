//! One module a verb.

mod around;
mod backends;
mod channel;
mod demo;
mod fingerprint;
mod gateway;
mod inspect;
mod keygen;
mod keys;
mod kubernetes;
mod open;
mod seal;
mod verify;

use crate::{
    args::{Cli, Verb},
    failure::Outcome,
    load::chosen_provider,
};

/// Runs the verb of a command line.
pub fn run(cli: Cli) -> Outcome {
    let Cli { global, verb } = cli;
    let provider = chosen_provider(&global)?;
    match verb {
        Verb::Keygen(keygen) => keygen::run(&global, &keygen, &provider),
        Verb::Fingerprint(fingerprint) => fingerprint::run(&global, &fingerprint, &provider),
        Verb::Keys(keys) => keys::run(&global, keys, &provider),
        Verb::Seal(seal) => seal::seal(&global, &seal, &provider),
        Verb::Sign(sign) => seal::sign(&global, &sign, &provider),
        Verb::Verify(verify) => verify::run(&global, &verify, &provider),
        Verb::Open(open) => open::run(&global, &open, &provider),
        Verb::Inspect(inspect) => inspect::run(&global, &inspect),
        Verb::Demo(demo) => demo::run(&global, &demo, &provider),
        Verb::Backends => backends::run(&global),
        Verb::Kubernetes(kubernetes) => kubernetes::run(&global, kubernetes, &provider),
        Verb::Channel(channel) => channel::run(&global, channel, &provider),
        Verb::Gateway(gateway) => gateway::run(&global, &gateway, &provider),
        Verb::Completions { shell } => around::completions(shell),
        Verb::Man => around::man(),
    }
}
