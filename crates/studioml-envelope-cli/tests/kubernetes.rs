//! `kubernetes` and `seal --config`: what cluster owners apply, and what clients configure.
#![allow(clippy::unwrap_used, reason = "a test")]

mod support;

use support::Place;

#[test]
fn manifests_come_from_key_files() {
    let place = Place::new();
    place.copy_vector("python/keys/studioml_message.pem", "message.pem");
    place.copy_vector("python/keys/studioml_message.pub.pem", "message.pub.pem");
    place.copy_vector("python/keys/passphrase", "phrase");
    place.copy_vector("python/keys/studioml_signing.pub", "signing.pub");
    let secrets = "kubernetes secrets --private message.pem --public message.pub.pem --passphrase-file phrase";
    let made = place.run(secrets).exits(0).stdout_text();
    for text in
        ["studioml-runner-key-secret", "studioml-runner-passphrase-secret", "ssh-privatekey:", "ssh-passphrase:"]
    {
        assert!(made.contains(text), "{text} is not in {made}");
    }
    let signing = place.run("kubernetes signing --key rmq_cpu_=signing.pub").exits(0).stdout_text();
    assert!(signing.contains("rmq_cpu_:"), "{signing}");
    place.run("kubernetes signing --reports --key rmq_cpu_=message.pub.pem").exits(0);
    place.run("kubernetes signing --key rmq_cpu_=message.pub.pem").exits(3);
    place.run("kubernetes signing --key nonsense").exits(2);
    let deployment = place.run("kubernetes deployment").exits(0).stdout_text();
    assert!(deployment.contains("/runner/certs/message/encryption") && !deployment.contains("CLEAR_TEXT_MESSAGES"));
    assert!(deployment.contains("ssh-privatekey"), "{deployment}");
    let several = place.run("kubernetes deployment --several-keys").exits(0).stdout_text();
    assert!(!several.contains("ssh-privatekey"), "every file of the secret is mounted, none by name: {several}");
    let clear = place.run("kubernetes deployment --clear-text").exits(0);
    assert!(clear.stdout_text().contains("CLEAR_TEXT_MESSAGES"));
    assert!(clear.stderr.contains("warning"));
}

#[test]
fn a_client_configuration_names_the_keys() {
    let place = Place::new();
    place.copy_vector("python/keys/studioml_message.pub.pem", "keys/message.pub.pem");
    place.copy_vector("python/keys/studioml_signing", "keys/signing");
    place.copy_vector("python/keys/studioml_signing.pub", "signing.pub");
    place.copy_vector("requests/stock.json", "request.json");
    let paths = "\"public_key_path\": \"keys/message.pub.pem\", \"signing_key_path\": \"keys/signing\"";
    place.write("config.json", format!("{{ \"studio_ml_config\": {{ {paths} }} }}"));
    place.write("config.yaml", "public_key_path: keys/message.pub.pem\nsigning_key_path: keys/signing\n");
    place.write(
        "config.conf",
        "studio_ml_config {\n  public_key_path = keys/message.pub.pem\n  signing_key_path = keys/signing\n}\n",
    );
    for config in ["config.json", "config.yaml", "config.conf"] {
        let sealed = place.run(&format!("seal --config {config} request.json")).exits(0);
        place.run_with("verify --signer signing.pub", &sealed.stdout).exits(0);
    }

    place.write("bare.yaml", "verbose: debug\n");
    place.run("seal --config bare.yaml request.json").exits(1).says("--clear-text");
    place.run("seal --config no-such-file request.json").exits(4);
    // what cannot be had together is not silently left out
    for wanted in ["--sign keys/signing", "--recipient keys/message.pub.pem", "--envelope", "--unsigned"] {
        place.run(&format!("seal --config bare.yaml --clear-text {wanted} request.json")).exits(2);
    }
    let clear = place.run("seal --config bare.yaml --clear-text request.json").exits(0);
    assert_eq!(clear.stdout, place.read("request.json"));
    assert!(clear.stderr.contains("clear text"));
    place.run("seal --clear-text request.json").exits(2);
}

#[test]
fn the_private_key_of_a_secret_is_read_like_any_other() {
    let place = Place::new();
    place.copy_vector("python/keys/studioml_message.pem", "message.pem");
    place.copy_vector("python/keys/studioml_message.pub.pem", "message.pub.pem");
    place.copy_vector("python/keys/studioml_signing.pub", "signing.pub");
    place.copy_vector("python/keys/passphrase", "phrase");
    let secrets = "kubernetes secrets --passphrase-file phrase --public message.pub.pem --private";
    let made = place.run(&format!("{secrets} message.pem")).exits(0).stdout;
    assert_eq!(place.run_with(&format!("{secrets} -"), &place.read("message.pem")).exits(0).stdout, made);
    place.run(&format!("{secrets} missing")).exits(4).says("missing: No such file");
    place.run(&format!("{secrets} phrase")).exits(3).says("phrase: not a key file");
    place.chmod("message.pem", 0o640);
    place.run(&format!("{secrets} message.pem")).exits(3).says("chmod 600 message.pem");
    place.chmod("message.pem", 0o600);
    place.write("other", "another");
    let wrong = "kubernetes secrets --passphrase-file other --public message.pub.pem --private message.pem";
    place.run(wrong).exits(3).says("message.pem: wrong passphrase");
    let other = "kubernetes secrets --passphrase-file phrase --public phrase --private message.pem";
    place.run(other).exits(3).says("phrase: not a key file");
    place
        .run(&other.replace("public phrase", "public signing.pub"))
        .exits(3)
        .says("signing.pub: a key of kind Ed25519");
}

#[test]
fn a_secret_without_a_passphrase_is_said_to_keep_the_deployment_waiting() {
    let place = Place::new();
    place.run("keygen encryption -o plain --bits 3072 --no-passphrase --legacy-pem").exits(0);
    place.write("phrase", "another");
    let secrets = "kubernetes secrets --private plain.pem --public plain.pub.pem";
    let made = place.run(secrets).exits(0).says("there is no studioml-runner-passphrase-secret").stdout_text();
    assert!(!made.contains("studioml-runner-passphrase-secret"), "{made}");
    place.run(&format!("{secrets} --passphrase-file phrase")).exits(3).says("there is a passphrase for it");
    // one in the environment is for other keys
    place.shell(&format!("STUDIOML_PASSPHRASE_FILE=phrase se {secrets}")).exits(0);
}

#[test]
fn what_cannot_be_a_prefix_is_refused_before_anything_is_warned_of() {
    let place = Place::new();
    place.copy_vector("python/keys/studioml_signing.pub", "signing.pub");
    for (key, exit) in [("=signing.pub", 2), ("=missing", 2), ("rmq_cpu_=", 2), (".rmq=signing.pub", 3)] {
        place.run(&format!("kubernetes signing --key {key}")).exits(exit).keeps_quiet_of("warning");
    }
    place.run("kubernetes signing --key rmq_cpu=signing.pub").exits(0).says("warning: rmq_cpu:");
}
