//! The examples that `--help` shows, run as they stand there, one after another in one directory.
#![allow(clippy::unwrap_used, reason = "a test")]

mod support;

use std::{env, fs, path::Path, process::Command};

use support::{Place, ran};

/// In an order in which each finds what it names. What runs until it is stopped has tests of its own.
const VERBS: [&str; 20] = [
    "keygen encryption",
    "keygen signing",
    "fingerprint",
    "keys show",
    "keys convert",
    "seal",
    "sign",
    "verify",
    "open",
    "inspect",
    "keys check",
    "keys select",
    "demo",
    "backends",
    "kubernetes secrets",
    "kubernetes signing",
    "kubernetes deployment",
    "completions",
    "man",
    "channel keygen",
];

fn shell(place: &Place, command: &str) {
    let program = Path::new(env!("CARGO_BIN_EXE_studioml-envelope")).parent().unwrap();
    let mut shell = Command::new("sh");
    shell.args(["-ec", command]).current_dir(place.path());
    shell.env("PATH", format!("{}:{}", program.display(), env::var("PATH").unwrap()));
    // the passphrase that the examples' readers type
    shell.env("STUDIOML_PASSPHRASE_FILE", "secret_phrase");
    let done = ran(&mut shell, b"");
    assert_eq!(done.exit, 0, "{command}\n{}", done.stderr);
}

#[test]
fn every_example_works_as_written() {
    let place = Place::new();
    place.write("secret_phrase", "PassPhrase");
    place.copy_vector("requests/stock.json", "request.json");
    place.write("report.json", "{}");
    shell(&place, "studioml-envelope keygen encryption --bits 2048 -o report");
    fs::create_dir_all(place.file("certs/queues/signing")).unwrap();
    for verb in VERBS {
        let help = place.run(&format!("{verb} --help")).exits(0).stdout_text();
        let (_, examples) = help.split_once("Example").unwrap();
        // as long as a terminal is wide, at least: what is wrapped is no command any more
        assert!(examples.lines().all(|line| line.len() <= 80), "{verb}: {examples}");
        let (_, examples) = examples.split_once('\n').unwrap();
        let commands = examples.split("  studioml-envelope ").skip(1);
        for command in commands {
            let here = format!("studioml-envelope {command}")
                .replace("/runner/certs", "certs")
                .replace("kubectl apply -f -", "grep -q apiVersion")
                .replace("/etc/bash_completion.d/", "completions-of-");
            shell(&place, &here);
        }
        // what later examples name
        if verb == "keygen signing" {
            fs::copy(place.file("studioml_signing.pub"), place.file("certs/queues/signing/rmq_cpu_")).unwrap();
        } else if verb == "seal" {
            shell(&place, "studioml-envelope seal --recipient report.pub.pem request.json -o request.payload");
        }
    }
}
