use super::*;

const SMALL: &str = r#"
[outer]
kind = "dir"
root = "outer"
[inner]
kind = "dir"
root = "/srv/inner"
"#;

fn parse(text: &str) -> Result<Config, ConfigError> {
    Config::parse(text, Path::new("/etc/gateway"), None)
}

fn amqp(url: &str) -> AmqpConfig {
    let text = format!("[outer]\nkind = \"amqp\"\nurl = \"{url}\"\n[inner]\nkind = \"dir\"\nroot = \"inner\"");
    match parse(&text).unwrap().outer {
        OuterConfig::Amqp(config) => config,
        other => panic!("{other:?}"),
    }
}

#[test]
fn defaults_are_the_seeds_mounts_and_paths_are_relative_to_the_file() {
    let config = parse(SMALL).unwrap();
    assert_eq!(config.problems(), Vec::<String>::new());
    assert!(!config.clear_text_messages);
    assert_eq!(config.fingerprint, FingerprintPolicy::Refuse);
    assert_eq!(config.keys.signing, Path::new("/runner/certs/queues/signing"));
    assert_eq!(config.rejects.queue, "studioml-gateway-rejected");
    let (OuterConfig::Dir(outer), InnerConfig::Dir(inner)) = (&config.outer, &config.inner) else { panic!() };
    assert_eq!(outer.root, Path::new("/etc/gateway/outer"));
    assert_eq!(inner.root, Path::new("/srv/inner"));
}

#[test]
fn what_means_nothing_is_refused_with_its_place() {
    for (text, where_) in [
        (format!("clear_text = true\n{SMALL}"), "line 1: "),
        (format!("{SMALL}\n[http]\nlisten = 5"), "line 10: "),
        (SMALL.replace("root = \"outer\"", "rot = \"outer\""), "line 2: "),
        (SMALL.replacen("kind = \"dir\"", "kind = \"sqs\"", 1), "line 3: "),
        ("[outer]".to_owned(), "line 1: "),
    ] {
        let error = parse(&text).unwrap_err().to_string();
        assert!(error.starts_with(where_), "{error}");
    }
}

#[test]
fn the_variable_overrides_the_file() {
    for (variable, expected) in [(None, true), (Some("true"), true), (Some("false"), false), (Some("TRUE"), true)] {
        let config = Config::parse(&format!("clear_text_messages = true\n{SMALL}"), Path::new("/"), variable).unwrap();
        assert_eq!(config.clear_text_messages, expected);
    }
    let error = Config::parse(SMALL, Path::new("/"), Some("yes")).unwrap_err();
    assert!(matches!(error, ConfigError::ClearTextVariable));
}

#[test]
fn everything_wrong_is_said_in_one_go() {
    let text = SMALL.replace("\"/srv/inner\"", "\"outer/below\"\nqueues = \"(\"")
        + "[limits]\nprefetch = 0\nmessage_bytes = 5\n[http]\nlisten = \"here\"\n[rejects]\nmax_count = 0\nmax_age_seconds = 315360001";
    let problems = parse(&text).unwrap().problems().join("\n");
    let expected = [
        "limits.prefetch",
        "limits.message_bytes",
        "http.listen",
        "rejects.max_count",
        "rejects.max_age_seconds must not be above",
        "inner.queues",
        "inside the other",
    ];
    for what in expected {
        assert!(problems.contains(what), "{what} is missing in\n{problems}");
    }
}

#[test]
fn urls_are_read_as_the_deployed_client_means_them() {
    for (url, user, port, vhost) in [
        ("amqp://host", "guest", 5672, "/"),
        ("amqp://host/", "guest", 5672, "/"),
        ("amqp://user:p%40ss@host:5673/%2f?connection_attempts=30&retry_delay=.5&socket_timeout=5", "user", 5673, "/"),
        ("amqps://user:pass@host/jobs", "user", 5671, "jobs"),
        ("amqp://user:pass@[::1]:99/a%20b", "user", 99, "a b"),
    ] {
        let address = BrokerUrl::new(url.to_owned()).parsed().unwrap();
        assert_eq!((address.user.as_str(), address.port, address.vhost.as_str()), (user, port, vhost), "{url}");
    }
    assert!(BrokerUrl::new("amqp://user:secret-word@host:99999/".to_owned()).parsed().is_err());
}

#[test]
fn passwords_come_from_elsewhere_and_are_never_shown() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("password");
    std::fs::write(&file, "pass:w/rd@1\n").unwrap();
    let mut config = amqp("amqps://user@host/vhost");
    config.url_file = Some(file.clone());
    let url = config.resolve().unwrap();
    assert_eq!(url.parsed().unwrap().password.as_str(), "pass:w/rd@1");
    let shown = format!("{url} {url:?} {:?} {config:?}", url.parsed().unwrap());
    assert!(!shown.contains("w/rd") && !shown.contains("w%2Frd") && !shown.contains("user"), "{shown}");

    std::fs::write(&file, "100%25é").unwrap();
    assert_eq!(config.resolve().unwrap().parsed().unwrap().password.as_str(), "100%25é");

    std::fs::write(&file, "amqps://user:secret-word@host/vhost").unwrap();
    assert!(config.resolve().is_err());
    config.url = None;
    assert_eq!(config.resolve().unwrap().parsed().unwrap().password.as_str(), "secret-word");
    std::fs::write(&file, "ampq//user:secret-word@host").unwrap();
    assert!(!config.resolve().unwrap_err().contains("secret-word"));
}

#[test]
fn a_damaged_file_does_not_show_its_urls() {
    for line in [
        "url = \"amqp://u:secret-word@h\" x",
        "url = amqp://u:secret-word@h",
        "kind = \"amqp://u:secret-word@h\"",
        "kind = \"amqp:/u:secret-word@h\"",
    ] {
        let error = parse(&format!("[outer]\n{line}")).unwrap_err().to_string();
        assert!(!error.contains("secret-word"), "{error}");
    }
}

#[test]
fn a_password_behind_a_misplaced_slash_is_not_shown() {
    let url = BrokerUrl::new("amqps://user/secret-word@host/vhost".to_owned());
    assert_eq!(url.to_string(), "user:5671 vhost (with an @: not shown)");
}

#[test]
fn both_sides_at_the_same_place_are_refused() {
    let both = |outer: &str, inner: &str| {
        let text = format!("[outer]\nkind = \"amqp\"\nurl = \"{outer}\"\n[inner]\nkind = \"amqp\"\nurl = \"{inner}\"");
        parse(&text).unwrap().problems()
    };
    assert_eq!(both("amqp://a:b@host/", "amqp://c:d@HOST:5672/%2f").len(), 1);
    assert_eq!(both("amqp://localhost/", "amqp://127.0.0.1").len(), 1);
    assert_eq!(both("amqp://host/outer", "amqp://host/inner"), Vec::<String>::new());
    // one broker listens with TLS and without
    for (outer, inner) in [("amqps://host/v", "amqp://host/v"), ("amqp://host:5673/v", "amqps://host/v")] {
        assert_eq!(both(outer, inner).len(), 1, "{outer} {inner}");
    }
    // two of one host
    for (outer, inner) in [("amqp://host/v", "amqp://host:5673/v"), ("amqps://host:30671/v", "amqp://host:30672/v")] {
        assert_eq!(both(outer, inner), Vec::<String>::new(), "{outer} {inner}");
    }

    let directory = tempfile::tempdir().unwrap();
    std::fs::create_dir(directory.path().join("real")).unwrap();
    std::os::unix::fs::symlink("real", directory.path().join("link")).unwrap();
    let text = SMALL.replace("\"outer\"", "\"real/queues\"").replace("\"/srv/inner\"", "\"link/queues\"");
    let config = Config::parse(&text, directory.path(), None).unwrap();
    assert_eq!(config.problems().len(), 1, "{:?}", config.problems());

    // by way of a directory that is not there yet, and will be
    for inner in ["new/../outer", "new/further/../../outer/below", "link/../outer"] {
        let config = Config::parse(&SMALL.replace("/srv/inner", inner), directory.path(), None).unwrap();
        assert_eq!(config.problems().len(), 1, "{inner}: {:?}", config.problems());
    }
}

#[test]
fn numbers_that_cannot_work_are_refused() {
    let channel = "[outer]\nkind = \"channel\"\nlisten = \"127.0.0.1:0\"\nkey = \"key\"\n\
                   [inner]\nkind = \"dir\"\nroot = \"inner\"\n"
        .to_owned();
    let peer = |queue: &str| {
        let fingerprint = "SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU";
        format!("[[outer.peers]]\nfingerprint = \"{fingerprint}\"\nqueue = \"{queue}\"\n")
    };
    for (text, problem) in [
        (format!("{SMALL}stale_lock_seconds = 0"), "inner.stale_lock_seconds"),
        (format!("{SMALL}[limits]\nin_flight = 4611686018427387904"), "limits.in_flight"),
        (format!("{SMALL}[rejects]\nmax_bytes = 134217727"), "limits.message_bytes"),
        (channel.clone() + &peer("rmq_a") + &peer("rmq_b"), "two queues"),
    ] {
        let problems = parse(&text).unwrap().problems();
        assert!(problems.len() == 1 && problems[0].contains(problem), "{problem}: {problems:?}");
    }
    for text in [format!("{SMALL}[rejects]\nmax_bytes = 134217728"), channel + &peer("rmq_a") + &peer("rmq_a")] {
        assert_eq!(parse(&text).unwrap().problems(), Vec::<String>::new());
    }
}

#[test]
fn a_configuration_is_read_up_to_its_limit() {
    let refused = Config::read(Path::new("/dev/zero")).unwrap_err().to_string();
    assert_eq!(refused, "/dev/zero: larger than 4194304 bytes");
    let urls = amqp("amqp://localhost");
    let urls = AmqpConfig { url: None, url_file: Some("/dev/zero".into()), ca_file: Some("/dev/zero".into()), ..urls };
    assert!(urls.resolve().unwrap_err().contains("larger than"));
    assert!(crate::amqp::read_authorities(&urls).unwrap_err().to_string().contains("larger than"));
}
