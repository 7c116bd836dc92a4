//! The keys that a StudioML configuration names, in every form that clients write.
//!
//! Variables are those of the process: `HOME` and `CARGO_MANIFEST_DIR`, which cargo sets for every test, and one that is not.

#![cfg(feature = "client-config")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use studioml_envelope_keys::client_config::{ClientConfig, ConfigError, MAX_CONFIG_FILE};

fn read(name: &str, text: &str) -> Result<(PathBuf, ClientConfig), ConfigError> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(name);
    fs::write(&path, text).unwrap();
    Ok((directory.path().to_owned(), ClientConfig::read(&path)?))
}

fn public_key_path(name: &str, text: &str) -> Option<PathBuf> {
    read(name, text).unwrap_or_else(|error| panic!("{name}: {error}\n{text}")).1.public_key_path
}

#[test]
fn every_form_names_the_same_key() {
    let key = Some(PathBuf::from("/home/user/keys/my-key.pem"));
    for (name, text) in [
        (
            "config.json",
            r#"{ "studio_ml_config": { "public_key_path": "/home/user/keys/my-key.pem", "x": [1, null] } }"#,
        ),
        ("config.json", r#"{ "public_key_path": "/home/user/keys/my-key.pem" }"#),
        ("config.yaml", "database:\n  type: http\npublic_key_path: /home/user/keys/my-key.pem # mine\n"),
        ("config.yml", "studio_ml_config:\n    cloud: null\n    public_key_path: '/home/user/keys/my-key.pem'\n"),
        ("config.yaml", "studio_ml_config: {public_key_path: /home/user/keys/my-key.pem}"),
        ("experiment.hocon", "studio_ml_config { public_key_path = /home/user/keys/my-key.pem }"),
        (
            "experiment.conf",
            "keys = /home/user/keys\n# c\nstudio_ml_config : {\n  public_key_path : ${keys}/my-key.pem,\n}\n",
        ),
        ("experiment.conf", "studio_ml_config.public_key_path = \"/home/user/keys/my-key.pem\" // mine"),
        // a mapping of YAML too, where it has no member within another
        ("experiment.conf", "studio_ml_config.public_key_path : /home/user/keys/my-key.pem"),
        // a name that says nothing
        ("config", r#"{ "studio_ml_config": { "public_key_path": "/home/user/keys/my-key.pem" } }"#),
        ("config", "studio_ml_config:\n  public_key_path: /home/user/keys/my-key.pem\n"),
        ("config", "studio_ml_config {\n  public_key_path = /home/user/keys/my-key.pem\n}\n"),
        ("config", "{ studio_ml_config { public_key_path = /home/user/keys/my-key.pem } }"),
        // JSON with what JSON does not have
        ("config.json", "{\n  // the runner's key\n  \"public_key_path\": \"/home/user/keys/my-key.pem\",\n}"),
    ] {
        assert_eq!(public_key_path(name, text), key, "{name}\n{text}");
    }
}

#[test]
fn what_stands_under_studio_ml_config_goes_first() {
    let text = "public_key_path: /top\nsigning_key_path: /top-signing\nstudio_ml_config:\n  public_key_path: /nested\n";
    let (_, config) = read("config.yaml", text).unwrap();
    assert_eq!(config.public_key_path.as_deref(), Some(Path::new("/nested")));
    assert_eq!(config.signing_key_path.as_deref(), Some(Path::new("/top-signing")));
}

#[test]
fn paths_are_relative_to_the_file_and_expanded() {
    let (directory, config) =
        read("config.yaml", "public_key_path: keys/my.pem\nsigning_key_path: ../signing").unwrap();
    assert_eq!(config.public_key_path, Some(directory.join("keys/my.pem")));
    assert_eq!(config.signing_key_path, Some(directory.join("../signing")));

    let home = PathBuf::from(env::var("HOME").unwrap());
    let manifest = PathBuf::from(env::var("CARGO_MANIFEST_DIR").unwrap());
    for (name, text, expected) in [
        ("config.yaml", "public_key_path: ~/keys/k.pem", home.join("keys/k.pem")),
        ("config.json", r#"{"public_key_path": "~/keys/k.pem"}"#, home.join("keys/k.pem")),
        ("config.conf", "public_key_path = \"~/keys/k.pem\"", home.join("keys/k.pem")),
        ("config.yaml", "public_key_path: ${CARGO_MANIFEST_DIR}/k.pem", manifest.join("k.pem")),
        ("config.yaml", "public_key_path: $CARGO_MANIFEST_DIR/k.pem", manifest.join("k.pem")),
        ("config.json", r#"{"public_key_path": "${CARGO_MANIFEST_DIR}/k.pem"}"#, manifest.join("k.pem")),
        ("config.conf", "public_key_path = ${CARGO_MANIFEST_DIR}/k.pem", manifest.join("k.pem")),
        ("config.conf", "public_key_path = \"${CARGO_MANIFEST_DIR}/k.pem\"", manifest.join("k.pem")),
    ] {
        assert_eq!(public_key_path(name, text), Some(expected), "{text}");
    }
}

#[test]
fn a_variable_that_is_not_set_is_named() {
    let error = read("config.yaml", "public_key_path: ${STUDIOML_NOT_SET_HERE}/k.pem").unwrap_err();
    assert_eq!(error.to_string(), "public_key_path uses the variable STUDIOML_NOT_SET_HERE, which is not set");
    assert!(matches!(error, ConfigError::UndefinedVariable { member: "public_key_path", .. }));
}

/// HOCON resolves all of a file: what is wrong may have nothing to do with keys.
#[test]
fn what_a_hocon_configuration_lacks_is_named() {
    for (name, text, expected) in [
        (
            "config.conf",
            "public_key_path = /k.pem\nbucket = ${STUDIOML_NOT_SET_HERE}",
            "${STUDIOML_NOT_SET_HERE} is neither in the configuration nor in the environment (HOCON)",
        ),
        (
            "config",
            "studio_ml_config { public_key_path = ${STUDIOML_NOT_SET_HERE} }",
            "${STUDIOML_NOT_SET_HERE} is neither in the configuration nor in the environment (HOCON)",
        ),
        (
            "config.conf",
            "include required(file(\"missing.conf\"))\npublic_key_path = /k.pem",
            "include required(file(\"missing.conf\")) names a file that cannot be used (HOCON)",
        ),
        (
            "config.conf",
            "include required(\"missing\u{7}\u{7f}.conf\")",
            "include required(\"missing.conf\") names a file that cannot be used (HOCON)",
        ),
    ] {
        assert_eq!(read(name, text).unwrap_err().to_string(), expected, "{text}");
    }
    let optional = "public_key_path = /k.pem\nbucket = ${?STUDIOML_NOT_SET_HERE}\ninclude \"missing.conf\"";
    assert_eq!(public_key_path("config.conf", optional), Some(PathBuf::from("/k.pem")));
}

#[test]
fn a_configuration_without_a_key_names_none() {
    for (name, text) in [
        ("config.json", "{}"),
        ("config.json", r#"{"studio_ml_config": {}}"#),
        ("config.json", r#"{"studio_ml_config": null, "public_key_path": null}"#),
        ("config.yaml", "server: {authentication: None}\npublic_key_path:\n"),
        ("config.yaml", "public_key_path: ''"),
        ("config.conf", "a = 1"),
    ] {
        assert_eq!(read(name, text).unwrap().1, ClientConfig::default(), "{text}");
    }
}

#[test]
fn what_is_no_configuration_is_refused_and_not_taken_for_one_without_keys() {
    for (name, text) in [
        ("config.json", r#"{"public_key_path": 1}"#),
        ("config.json", r#"{"public_key_path": ["a"]}"#),
        ("config.json", r#"{"studio_ml_config": "x"}"#),
        ("config.json", "{"),
        ("config.yaml", "public_key_path: [a]"),
        ("config.yaml", "a: b: c"),
        // HOCON, in a file that says it is YAML
        ("config.yaml", "public_key_path = /keys/a.pem"),
        ("config.yaml", "- a"),
        ("config.conf", "{"),
        ("config", "{ \"public_key_path\": \"a\""),
    ] {
        assert!(
            matches!(read(name, text), Err(ConfigError::Malformed { .. })),
            "{name} {text}: {:?}",
            read(name, text)
        );
    }
    let error = read("config.json", "{\n  \"public_key_path\": 1}").unwrap_err().to_string();
    assert!(error.contains("line 2"), "{error}");
    // what begins as JSON does is judged as JSON, also under a name that says nothing
    let error = read("config", "{ \"public_key_path\": \"a\"").unwrap_err();
    assert!(matches!(error, ConfigError::Malformed { format: "JSON", .. }), "{error}");
    // and everything else as YAML, which a client's configuration mostly is
    let error = read("config", "public_key_path: [a]").unwrap_err();
    assert!(matches!(error, ConfigError::Malformed { format: "YAML", line: 1, .. }), "{error}");
    assert!(matches!(ClientConfig::read(Path::new("/missing/config.yaml")), Err(ConfigError::Io(_))));
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("config");
    fs::write(&path, b"\xff").unwrap();
    assert!(matches!(ClientConfig::read(&path), Err(ConfigError::NotUtf8)));
    fs::File::create(&path).unwrap().set_len(1 << 33).unwrap();
    assert!(matches!(ClientConfig::read(&path), Err(ConfigError::TooLarge { .. })));
}

#[test]
fn four_mebibytes_are_read_and_no_more() {
    assert_eq!(MAX_CONFIG_FILE, 4_194_304);
    let of_length = |length: usize| format!("{{}}{}", " ".repeat(length - 2));
    assert_eq!(read("config.json", &of_length(MAX_CONFIG_FILE)).unwrap().1, ClientConfig::default());
    let refused = read("config.json", &of_length(MAX_CONFIG_FILE + 1));
    assert!(matches!(refused, Err(ConfigError::TooLarge { maximum: MAX_CONFIG_FILE })));
}

mod never_panics {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]

        #[test]
        fn on_any_text(text in "[a-z_{}\\[\\]:=,\"'$#/ \n~&*!|>-]{0,120}", name in prop::sample::select(vec!["c", "c.json", "c.yaml", "c.conf"])) {
            let _ = read(name, &text);
        }
    }
}
