//! The commands of `docs/rotation.md`, run as they stand there, with a cluster that is a directory.
#![allow(clippy::unwrap_used, reason = "a test")]

mod support;

use std::{env, fs, path::Path, process::Command};

use support::{Place, ran};

/// What a cluster does, as far as the walk-through needs one: makes a secret of files, and mounts what is applied.
const KUBECTL: &str = r#"#!/bin/sh
set -e
if [ "$1" = create ]; then
    printf 'metadata:\n  name: %s\ndata:\n' "$4"
    for argument; do
        case $argument in --from-file=*)
            pair=${argument#--from-file=}
            printf '  %s: %s\n' "${pair%%=*}" "$(base64 -w0 < "${pair#*=}")" ;;
        esac
    done
    exit
fi
manifest=$(cat)
case $(printf '%s\n' "$manifest" | sed -n 's/^  name: //p') in
    studioml-runner-key-secret) mount=certs/message/encryption ;;
    studioml-runner-passphrase-secret) mount=certs/message/passphrase ;;
    studioml-signing) mount=certs/queues/signing ;;
    studioml-report-keys) mount=certs/queues/response-encrypt ;;
esac
rm -rf "$mount"
mkdir -p "$mount"
printf '%s\n' "$manifest" | sed -n '/^data:/,$s/^  \([^:]*\): \(.*\)$/\1 \2/p' | while read -r file contents; do
    printf %s "$contents" | base64 -d > "$mount/$file"
done
"#;

/// The commands in the order of the text: its indented lines, continued ones joined.
fn commands() -> Vec<String> {
    let text = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/rotation.md");
    let text = fs::read_to_string(text).unwrap().replace("\\\n", " ");
    let lines = text.lines().filter_map(|line| line.strip_prefix("    ")).map(str::trim);
    let begins = |line: &&str| ["studioml-envelope ", "cat ", "kubectl "].iter().any(|word| line.starts_with(word));
    // the dots stand for more of the same, and the cluster is here
    lines.filter(begins).map(|line| line.replace(" …", "").replace("/runner/certs", "certs")).collect()
}

fn shell(place: &Place, command: &str) -> String {
    let program = Path::new(env!("CARGO_BIN_EXE_studioml-envelope")).parent().unwrap();
    let path = format!("{}:{}:{}", program.display(), place.path().display(), env::var("PATH").unwrap());
    let mut shell = Command::new("sh");
    shell.args(["-ec", command]).current_dir(place.path()).env("PATH", path).env_remove("STUDIOML_PASSPHRASE_FILE");
    let done = ran(&mut shell, b"");
    assert_eq!(done.exit, 0, "{command}\n{}", done.stderr);
    done.stdout_text()
}

#[test]
fn the_walk_through_of_a_rotation_is_what_happens() {
    let place = Place::new();
    place.write("kubectl", KUBECTL);
    place.chmod("kubectl", 0o700);
    place.write("secret_phrase", "the first");
    place.write("secret_phrase_2", "the second");
    fs::create_dir(place.file("signing")).unwrap();
    for before in [
        "studioml-envelope keygen signing -o andrei",
        "cp andrei.pub signing/rmq_cpu_andrei_",
        "studioml-envelope kubernetes signing --key rmq_cpu_andrei_=andrei.pub | kubectl apply -f -",
        "studioml-envelope keygen encryption --bits 2048 -o studioml_message --passphrase-file secret_phrase",
        "studioml-envelope keygen encryption --bits 2048 -o andrei-reports-2 --no-passphrase",
    ] {
        shell(&place, before);
    }
    let commands = commands();
    assert!(commands.len() >= 10, "{commands:#?}");
    for command in &commands {
        shell(&place, command);
    }

    // the looks that the text promises
    let fingerprint = |key: &str| shell(&place, &format!("studioml-envelope fingerprint {key}")).trim().to_owned();
    let selected = shell(&place, "studioml-envelope keys select certs/queues/signing --queue rmq_cpu_andrei_q1");
    for key in ["andrei.pub", "andrei-2.pub"] {
        assert!(selected.contains(&fingerprint(key)), "{key}: {selected}");
    }
    let checked = shell(&place, "studioml-envelope keys check certs/message");
    for key in ["studioml_message.pub.pem", "studioml_message_2.pub.pem"] {
        assert!(checked.contains(&fingerprint(key)), "{key}: {checked}");
    }
    let reports = "studioml-envelope keys select certs/queues/response-encrypt --queue rmq_cpu_andrei_q1_response";
    assert!(shell(&place, reports).contains(&fingerprint("andrei-reports-2.pub.pem")));

    // in the overlap what is signed by either key and sealed to either key opens
    place.write("request.json", "{}");
    for signing in ["andrei", "andrei-2"] {
        for sealing in ["studioml_message", "studioml_message_2"] {
            let seal = format!("studioml-envelope seal --recipient {sealing}.pub.pem --sign {signing} request.json");
            let open = "studioml-envelope open --secrets certs/message --signing-keys certs/queues/signing";
            assert_eq!(shell(&place, &format!("{seal} | {open} --queue rmq_cpu_andrei_q1")), "{}");
        }
    }
}
