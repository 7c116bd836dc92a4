//! `gateway`: a configuration is checked in one go, and a sealed Request comes out in clear on the other side.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

mod support;

use std::{
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use support::Place;

const CONFIG: &str = r#"
[outer]
kind = "dir"
root = "outer"
[inner]
kind = "dir"
root = "inner"
[keys]
encryption = "encryption"
passphrase = "passphrase"
signing = "signing"
reports = "reports"
[http]
listen = "127.0.0.1:0"
"#;

fn place() -> Place {
    let place = Place::new();
    place.write("gateway.toml", CONFIG);
    place.copy_vector("python/keys/studioml_message.pem", "encryption/ssh-privatekey");
    place.copy_vector("python/keys/studioml_message.pub.pem", "encryption/ssh-publickey");
    place.copy_vector("python/keys/passphrase", "passphrase/ssh-passphrase");
    place.copy_vector("signing-dir/rmq_cpu_andrei_", "signing/rmq_cpu_andrei_");
    std::fs::create_dir_all(place.file("reports")).unwrap();
    place
}

#[test]
fn a_check_says_all_that_is_wrong_in_one_go() {
    let place = place();
    place.run("gateway --config gateway.toml --check").exits(0);
    place.write("signing/rmq_cpu_andrei_", "garbage");
    place.write("encryption/ssh-privatekey", "garbage");
    let report = place.run("gateway --config gateway.toml --check").exits(3).stdout_text();
    assert!(report.contains("rmq_cpu_andrei_") && report.contains("ssh-privatekey"), "{report}");
    place.write("signing/rmq_\u{9b}31m_", "garbage");
    let report = place.run("gateway --config gateway.toml --check").exits(3).stdout_text();
    assert!(report.lines().all(|line| !line.contains(char::is_control)), "{report:?}");
    place.write("gateway.toml", "[outer]\nkind = \"nothing\"\n");
    place.run("gateway --config gateway.toml --check").exits(3);
    place.run("gateway --config gateway.toml").exits(3).says("--check");
    place.run("gateway").exits(2);
}

#[test]
fn a_sealed_request_comes_out_in_clear() {
    let place = place();
    place.copy_vector("python/stock.envelope.json", "outer/rmq_cpu_andrei_q1/0001");
    let mut gateway = Command::new(env!("CARGO_BIN_EXE_studioml-envelope"))
        .args(["gateway", "--config", "gateway.toml"])
        .current_dir(place.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let clear = place.file("inner/rmq_cpu_andrei_q1/0001");
    let deadline = Instant::now() + Duration::from_secs(60);
    while !clear.exists() {
        assert!(Instant::now() < deadline, "the Request did not arrive");
        assert_eq!(gateway.try_wait().unwrap(), None, "the gateway ended");
        std::thread::yield_now();
    }
    place.copy_vector("python/stock.envelope.plaintext", "expected");
    assert!(std::fs::read(&clear).unwrap() == place.read("expected"), "the bytes that were sealed");
    place.tool("kill", &[&gateway.id().to_string()]);
    assert!(gateway.wait().unwrap().success(), "SIGTERM ends it in order");
}

#[test]
fn what_keeps_it_from_starting_is_said_once_and_by_its_kind() {
    let place = place();
    let fails = |arguments: &str, exit: i32, words: &[&str]| {
        let text = place.run(&format!("gateway --config {arguments}")).exits(exit).stderr;
        // the service may have had something to say before
        let cause = text.lines().find(|line| line.starts_with("studioml-envelope: ")).unwrap_or_default();
        for word in words {
            assert_eq!(cause.matches(word).count(), 1, "{arguments}: {word} in {text}");
        }
    };
    for check in ["", " --check"] {
        fails(&format!("missing.toml{check}"), 4, &["missing.toml", "No such file"]);
        fails(&format!("outer{check}"), 4, &["outer"]); // a directory
    }
    place.write("bad.toml", "[outer]\nkind = \"nothing\"\n");
    fails("bad.toml", 3, &["bad.toml", "line 2"]);
    place.write("binary.toml", [0xff, 0xfe]);
    fails("binary.toml", 3, &["binary.toml", "not UTF-8"]);
    place.write("values.toml", CONFIG.replace("127.0.0.1:0", "nowhere") + "[limits]\nprefetch = 0\n");
    fails("values.toml", 3, &["values.toml", "limits.prefetch", "and 1 more"]);
    place.write("level.toml", format!("{CONFIG}[log]\nlevel = \"gateway=loudest\"\n"));
    fails("level.toml", 3, &["level.toml", "log.level"]);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    place.write("taken.toml", CONFIG.replace("127.0.0.1:0", &taken.local_addr().unwrap().to_string()));
    fails("taken.toml", 4, &["taken.toml", "http.listen"]);
    place.write(
        "authorities.toml",
        CONFIG.replace(
            "kind = \"dir\"\nroot = \"outer\"",
            "kind = \"amqp\"\nurl = \"amqps://somebody@localhost/outer\"\nca_file = \"missing.pem\"",
        ),
    );
    fails("authorities.toml", 4, &["authorities.toml", "missing.pem"]);
}

#[test]
fn a_check_says_several_faults_at_once() {
    let place = place();
    place.write("faults.toml", CONFIG.replace("127.0.0.1:0", "nowhere").replace(
        "kind = \"dir\"\nroot = \"outer\"",
        "kind = \"amqp\"\nurl = \"amqps://somebody@localhost/outer\"\nca_file = \"missing.pem\"\npublish_channels = 0",
    ) + "[limits]\nprefetch = 0\n[log]\nlevel = \"gateway=loudest\"\n");
    place.write("signing/rmq_cpu_andrei_", "garbage");
    let report = place.run("gateway --config faults.toml --check").exits(3).stdout_text();
    let faults =
        ["http.listen", "limits.prefetch", "log.level", "outer.publish_channels", "missing.pem", "rmq_cpu_andrei_"];
    for fault in faults {
        let lines = report.lines().filter(|line| line.starts_with("error: ") && line.contains(fault));
        assert_eq!(lines.count(), 1, "{fault}: {report}");
    }
}
