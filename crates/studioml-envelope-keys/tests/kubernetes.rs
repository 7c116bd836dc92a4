//! Manifests: they are what the Kubernetes schema says, have the seed's names to the letter, and what they mount is loaded by
//! the loader (docs/spec.md §6).

#![cfg(feature = "kubernetes")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod support;

use std::{fs, path::Path};

use k8s_openapi::api::{
    apps::v1::Deployment,
    core::v1::{ConfigMap, Secret},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use studioml_envelope_keys::{
    KeyFileError, Passphrase,
    directory::{MountedIdentities, ReportKeys, Selection, SigningKeys},
    kubernetes::{
        DeploymentOptions, ManifestError, QueueKeys, deployment, encryption_secrets, is_read_by_older_runners,
        queue_secret,
    },
};
use support::{PROVIDER, vector};

const PASSPHRASE: &[u8] = b"correct horse battery staple";

fn documents(yaml: &str) -> Vec<&str> {
    assert!(yaml.starts_with("---\n"));
    yaml.split("---\n").skip(1).collect()
}

/// Reads a document by the schema's own type. What the type does not know it would drop, so nothing may be missing when it
/// is written again.
fn typed<T: DeserializeOwned + Serialize>(document: &str) -> T {
    let value: Value = serde_saphyr::from_str(document).unwrap();
    let typed: T = serde_json::from_value(value.clone()).unwrap();
    assert_eq!(serde_json::to_value(&typed).unwrap(), value, "{document}");
    typed
}

/// What kubelet puts into the mount of a secret.
fn mount(secret: &Secret, directory: &Path) {
    fs::create_dir_all(directory).unwrap();
    for (name, contents) in secret.data.as_ref().unwrap() {
        fs::write(directory.join(name), &contents.0).unwrap();
    }
}

fn key_pair() -> (Vec<u8>, Vec<u8>) {
    (vector("keyfiles/rsa.pkcs1-aes128.pem"), vector("keyfiles/rsa.pub-pkcs1.pem"))
}

#[test]
fn the_key_pair_and_its_passphrase_are_two_secrets_and_load_when_mounted() {
    let (private, public) = key_pair();
    // as an editor leaves it; the secret has what unlocks the key
    let passphrase = Passphrase::from_file_contents([PASSPHRASE, b"\n"].concat());
    let yaml = encryption_secrets(&private, &public, Some(&passphrase), None, PROVIDER).unwrap();
    let documents = documents(str::from_utf8(yaml.expose_secret()).unwrap());
    let [key, passphrase] = documents.as_slice() else { panic!("{} documents", documents.len()) };
    let (key, passphrase): (Secret, Secret) = (typed(key), typed(passphrase));
    assert_eq!(key.metadata.name.as_deref(), Some("studioml-runner-key-secret"));
    assert_eq!(passphrase.metadata.name.as_deref(), Some("studioml-runner-passphrase-secret"));
    assert_eq!(key.data.as_ref().unwrap().keys().collect::<Vec<_>>(), ["ssh-privatekey", "ssh-publickey"]);
    assert_eq!(passphrase.data.as_ref().unwrap()["ssh-passphrase"].0, PASSPHRASE);

    let root = tempfile::tempdir().unwrap();
    mount(&key, &root.path().join("encryption"));
    mount(&passphrase, &root.path().join("passphrase"));
    let mounted = MountedIdentities::load(&root.path().join("encryption"), &root.path().join("passphrase"), PROVIDER);
    assert_eq!((mounted.identities().len(), mounted.findings()), (1, [].as_slice()));
}

#[test]
fn the_wrong_files_are_refused() {
    let (private, public) = key_pair();
    let passphrase = Passphrase::exact(PASSPHRASE.to_vec());
    let refused = |private: &[u8], public: &[u8], passphrase: Option<&Passphrase>| {
        encryption_secrets(private, public, passphrase, None, PROVIDER).unwrap_err().to_string()
    };
    let other = vector("python/keys/studioml_message.pub.pem");
    assert_eq!(refused(&private, &other, Some(&passphrase)), "the public key does not belong to the private key");
    assert_eq!(
        refused(&private, &public, Some(&Passphrase::exact(b"wrong".to_vec()))),
        "private key: wrong passphrase or damaged key file"
    );
    assert!(refused(&private, &public, None).starts_with("private key: the key is encrypted"));
    assert_eq!(
        refused(&private, &private, Some(&passphrase)),
        "public key: a private key file where a public key is needed"
    );
    let plain = vector("keyfiles/rsa.pkcs8.pem");
    assert_eq!(
        refused(&plain, &public, Some(&passphrase)),
        "the private key is not encrypted, and there is a passphrase for it"
    );
    let signing = vector("keyfiles/ed25519.openssh");
    assert_eq!(refused(&signing, &public, None), "private key: a key of kind Ed25519 where RSA is needed");
    assert_eq!(
        documents(
            str::from_utf8(encryption_secrets(&plain, &public, None, None, PROVIDER).unwrap().expose_secret()).unwrap()
        )
        .len(),
        1
    );
}

#[test]
fn formats_that_older_runners_do_not_read_are_known() {
    for (file, read) in [
        ("rsa.pkcs1-aes128.pem", true),
        ("rsa.sshkeygen-pem-enc", true),
        ("rsa.openssh-enc", false),
        ("rsa.pkcs8-scrypt-aes256.pem", false),
        ("rsa.pkcs1.pem", false),
        // legacy PEM, and a key that opens nothing
        ("ec.sec1-aes256.pem", false),
    ] {
        let private = vector(&format!("keyfiles/{file}"));
        assert_eq!(is_read_by_older_runners(&private, PROVIDER), Ok(read), "{file}");
    }
}

#[test]
fn queue_keys_load_when_mounted() {
    let (signer, report) = (vector("keyfiles/ed25519.ssh-line"), vector("keyfiles/rsa.pub-pkcs1.pem"));
    let ec = vector("keyfiles/ec.spki.pem");
    let root = tempfile::tempdir().unwrap();

    let yaml =
        queue_secret(QueueKeys::Signing, [("rmq_a_", signer.as_slice()), ("sqs_b_", &ec)], Some("studioml")).unwrap();
    let secret: Secret = typed(documents(&yaml)[0]);
    assert_eq!(secret.metadata.name.as_deref(), Some("studioml-signing"));
    assert_eq!(secret.metadata.namespace.as_deref(), Some("studioml"));
    assert_eq!(secret.data.as_ref().unwrap().keys().collect::<Vec<_>>(), ["info", "rmq_a_", "sqs_b_"]);
    mount(&secret, &root.path().join("signing"));
    let keys = SigningKeys::load(&root.path().join("signing"), PROVIDER).unwrap();
    assert_eq!((keys.len(), keys.findings()), (2, [].as_slice()));
    assert!(matches!(keys.select("sqs_b_1"), Selection::Found { .. }));

    let yaml = queue_secret(QueueKeys::Reports, [("rmq_a_", report.as_slice())], None).unwrap();
    let secret: Secret = typed(documents(&yaml)[0]);
    assert_eq!(secret.metadata.name.as_deref(), Some("studioml-report-keys"));
    mount(&secret, &root.path().join("reports"));
    let keys = ReportKeys::load(&root.path().join("reports"), PROVIDER).unwrap();
    assert!(matches!(keys.select("rmq_a_1_response"), Selection::Found { .. }));
}

#[test]
fn queue_keys_that_would_not_load_are_refused() {
    let (signer, rsa) = (vector("keyfiles/ed25519.ssh-line"), vector("keyfiles/rsa.ssh-line"));
    let refused = |files: &[(&str, &[u8])]| {
        queue_secret(QueueKeys::Signing, files.iter().copied(), None).unwrap_err().to_string()
    };
    for (prefix, reason) in [
        ("rmq", "it has fewer than 4 characters"),
        (&"a".repeat(254), "it has more than 253 characters"),
        ("rmq_ä_", "Kubernetes takes letters, digits, '-', '_' and '.'"),
        ("rmq_a/b", "Kubernetes takes letters, digits, '-', '_' and '.'"),
        ("..data", "files of this name are skipped"),
        ("info", "files of this name are skipped"),
    ] {
        let shown: String = prefix.chars().take(64).collect();
        assert_eq!(refused(&[(prefix, &signer)]), format!("{shown:?} cannot be a queue-name prefix here: {reason}"));
    }
    assert!(queue_secret(QueueKeys::Signing, [("a".repeat(253).as_str(), signer.as_slice())], None).is_ok());
    assert_eq!(refused(&[]), "no keys");
    assert_eq!(refused(&[("rmq_a_", &signer), ("rmq_a_", &signer)]), "\"rmq_a_\" is given more than once");
    assert_eq!(refused(&[("rmq_a_", &rsa)]), "rmq_a_: a key of kind RSA where Ed25519 or P-256 is needed");
    let private = vector("keyfiles/ed25519.openssh");
    assert_eq!(
        queue_secret(QueueKeys::Signing, [("rmq_a_", private.as_slice())], None).unwrap_err(),
        ManifestError::KeyFile { file: "rmq_a_".into(), error: KeyFileError::PrivateWherePublic },
        "a private key never gets into a secret for verifiers"
    );
    let large = signer.repeat(8000);
    assert!(refused(&[("rmq_a_", &large), ("rmq_b_", &large)]).ends_with("a secret holds 1048576"));
    for namespace in ["", "Upper", "under_score", "-a", "a-", &"a".repeat(64), "a\nb: c"] {
        let error = queue_secret(QueueKeys::Signing, [("rmq_a_", signer.as_slice())], Some(namespace)).unwrap_err();
        assert!(matches!(error, ManifestError::Namespace { .. }), "{namespace}");
    }
}

#[test]
fn the_deployment_has_the_volumes_and_mounts_of_the_seed() {
    let yaml = deployment("studioml/studio-go-runner:0.9.27", DeploymentOptions::default(), None).unwrap();
    assert!(!yaml.contains("CLEAR_TEXT_MESSAGES"));
    let [document] = documents(&yaml)[..] else { panic!("more than one document") };
    let _: Deployment = typed(document);
    // the seed's own text, without its ellipses, names, volumes and mounts in its order
    let seed: Value = serde_saphyr::from_str(
        r#"
apiVersion: apps/v1
kind: Deployment
metadata:
 name: studioml-go-runner-deployment
 labels:
   app: studioml-go-runner
spec:
 template:
   spec:
      containers:
      - name: studioml-go-runner
        volumeMounts:
        - name: message-encryption
          mountPath: "/runner/certs/message/encryption"
          readOnly: true
        - name: encryption-passphrase
          mountPath: "/runner/certs/message/passphrase"
          readOnly: true
      volumes:
        - name: message-encryption
          secret:
            optional: false
            secretName: studioml-runner-key-secret
            items:
            - key: ssh-privatekey
              path: ssh-privatekey
            - key: ssh-publickey
              path: ssh-publickey
        - name: encryption-passphrase
          secret:
            optional: false
            secretName: studioml-runner-passphrase-secret
            items:
            - key: ssh-passphrase
              path: ssh-passphrase
"#,
    )
    .unwrap();
    let written: Value = serde_saphyr::from_str(document).unwrap();
    assert_includes(&written, &seed, "");
    let mounts = &written["spec"]["template"]["spec"]["containers"][0]["volumeMounts"];
    assert_eq!(mounts[2]["mountPath"], "/runner/certs/queues/signing");
    assert_eq!(mounts[3]["mountPath"], "/runner/certs/queues/response-encrypt");
}

/// Everything in `part` stands in `whole`; lists begin alike.
fn assert_includes(whole: &Value, part: &Value, at: &str) {
    match (whole, part) {
        (Value::Object(whole), Value::Object(part)) => {
            for (name, value) in part {
                assert_includes(&whole[name], value, &format!("{at}.{name}"));
            }
        }
        (Value::Array(whole), Value::Array(part)) => {
            assert!(whole.len() >= part.len(), "{at}");
            for (index, value) in part.iter().enumerate() {
                assert_includes(&whole[index], value, &format!("{at}[{index}]"));
            }
        }
        (whole, part) => assert_eq!(whole, part, "{at}"),
    }
}

#[test]
fn clear_text_is_written_only_when_asked_for_and_as_a_string() {
    let mut options = DeploymentOptions::default();
    options.clear_text_messages = true;
    let yaml = deployment("runner", options, Some("studioml")).unwrap();
    let [config_map, runner] = documents(&yaml)[..] else { panic!("not two documents") };
    let config_map: ConfigMap = typed(config_map);
    assert_eq!(config_map.data.unwrap()["CLEAR_TEXT_MESSAGES"], "true");
    assert!(yaml.contains("CLEAR_TEXT_MESSAGES: \"true\"") || yaml.contains("CLEAR_TEXT_MESSAGES: 'true'"));
    let runner: Deployment = typed(runner);
    let spec = runner.spec.unwrap().template.spec.unwrap();
    let source = &spec.containers[0].env_from.as_ref().unwrap()[0];
    assert_eq!(Some(source.config_map_ref.as_ref().unwrap().name.clone()), config_map.metadata.name);
    assert_eq!(runner.metadata.namespace.as_deref(), Some("studioml"));
}

#[test]
fn for_a_rotation_every_file_of_the_secrets_is_mounted() {
    let mut options = DeploymentOptions::default();
    options.several_keys = true;
    let yaml = deployment("runner", options, None).unwrap();
    let runner: Deployment = typed(documents(&yaml)[0]);
    let volumes = runner.spec.unwrap().template.spec.unwrap().volumes.unwrap();
    assert_eq!(volumes.len(), 4);
    for volume in volumes {
        assert_eq!(volume.secret.unwrap().items, None, "{}", volume.name);
    }
}

/// An image's name is text from the command line.
#[test]
fn nothing_breaks_out_of_its_place() {
    for image in ["a: b\nkind: Pod", "#", "- x", "true", "1", "'", "\"", "a\n---\nkind: Pod", "{}", "\u{feff}", "~"] {
        let yaml = deployment(image, DeploymentOptions::default(), None).unwrap();
        let document: Value = serde_saphyr::from_str(yaml.strip_prefix("---\n").unwrap()).unwrap();
        assert_eq!(document["kind"], "Deployment", "{image:?}");
        assert_eq!(document["spec"]["template"]["spec"]["containers"][0]["image"], image, "{image:?}");
    }
}
