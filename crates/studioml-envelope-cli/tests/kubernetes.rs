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
