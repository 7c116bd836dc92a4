//! `gateway --check` says all that is wrong, in one go.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "test code")]

mod support;

use std::path::Path;

use studioml_envelope_gateway::check;
use studioml_envelope_gateway::check::Severity;
use support::keys::{Experimenter, Mounts, public_pem, report_key};
use support::process::write_config;
use support::provider;

fn directories(mounts: &Mounts, rest: &str) -> String {
    format!(
        "[outer]\nkind = \"dir\"\nroot = \"outer\"\n[inner]\nkind = \"dir\"\nroot = \"inner\"\n{}{rest}",
        mounts.toml()
    )
}

#[test]
fn what_is_in_order_is_sound_and_told() {
    let directory = tempfile::tempdir().unwrap();
    let mut mounts = Mounts::new(directory.path());
    let experimenter = Experimenter::new();
    mounts.signing.put("rmq_", &experimenter.public_line());
    mounts.reports.put("rmq_", &public_pem(report_key()));
    let report = check(&write_config(directory.path(), &directories(&mounts, "")), &provider());
    assert!(report.is_sound(), "{report}");
    assert!(report.to_string().contains(&experimenter.fingerprint()), "{report}");
    assert!(!directory.path().join("outer").exists(), "a check makes nothing");
}

#[test]
fn everything_that_is_wrong_is_said_in_one_go() {
    let directory = tempfile::tempdir().unwrap();
    let mut mounts = Mounts::empty(directory.path());
    mounts.encryption.put("ssh-privatekey", b"no key");
    mounts.signing.put("rmq_", b"no key either");
    mounts.reports.put("rmq_x", &public_pem(report_key()));
    std::fs::write(directory.path().join("outer"), "a file").unwrap();
    let rest = "[limits]\nprefetch = 0\n[log]\nlevel = \"a=b=c\"\n[http]\nlisten = \"x\"\n";
    let report = check(&write_config(directory.path(), &directories(&mounts, rest)), &provider());
    assert!(!report.is_sound());
    let text = report.to_string();
    for expected in [
        "error: limits.prefetch",
        "error: http.listen",
        "error: log.level",
        "error: keys.encryption: ssh-privatekey",
        "error: keys.encryption: no private key is loaded",
        "error: keys.signing: rmq_",
        "error: outer.root:",
        "warning: keys.reports: rmq_x",
        "warning: inner.root:",
    ] {
        assert!(text.contains(expected), "{expected} is missing in\n{text}");
    }
    assert!(report.findings.is_sorted_by_key(|finding| finding.severity), "errors first");
}

#[test]
fn a_file_that_cannot_be_read_is_an_error_of_its_own() {
    let report = check(Path::new("/nowhere/gateway.toml"), &provider());
    assert_eq!(report.findings.len(), 1);
    assert_eq!(report.findings[0].severity, Severity::Error);
    assert!(report.to_string().contains("/nowhere/gateway.toml"), "{report}");
}

#[test]
fn brokers_are_shown_without_their_passwords() {
    let directory = tempfile::tempdir().unwrap();
    let mounts = Mounts::new(directory.path());
    let text = format!(
        "[outer]\nkind = \"amqp\"\nurl = \"amqp://user:secret-word@broker.example:5673/jobs\"\n\
         [inner]\nkind = \"amqp\"\nurl_env = \"STUDIOML_NO_SUCH_VARIABLE\"\n{}",
        mounts.toml()
    );
    let report = check(&write_config(directory.path(), &text), &provider()).to_string();
    assert!(report.contains("note: outer: broker.example:5673 vhost jobs"), "{report}");
    assert!(report.contains("error: inner: the variable STUDIOML_NO_SUCH_VARIABLE is not set"), "{report}");
    assert!(!report.contains("secret-word") && !report.contains("user"), "{report}");
}

#[test]
fn a_file_that_cannot_be_used_does_not_hide_what_else_is_wrong() {
    let directory = tempfile::tempdir().unwrap();
    let mut mounts = Mounts::empty(directory.path());
    mounts.encryption.put("ssh-privatekey", b"no key");
    let rest = "[limits]\nprefetch = \"many\"\n[http]\nlisten = \"x\"\n[log]\nlevle = \"info\"\n[extra]\n";
    let check = |text: &str| check(&write_config(directory.path(), text), &provider());
    let all = [
        "error: keys.encryption: ssh-privatekey",
        "invalid type: string \"many\"",
        "unknown field `levle`",
        "unknown field `extra`",
    ];
    // one that leaves both sides readable, and one that does not
    let readable = directories(&mounts, rest);
    let unreadable = readable.replace("kind = \"dir\"\nroot = \"inner\"", "kind = \"dir\"\nrot = \"inner\"");
    for (text, also) in [(&readable, "error: http.listen"), (&unreadable, "unknown field `rot`")] {
        let report = check(text).to_string();
        for expected in all.iter().chain([&also]) {
            assert_eq!(report.matches(expected).count(), 1, "{expected} is to stand once in\n{report}");
        }
        assert!(report.contains("gateway.toml: line "), "{report}");
    }
    // and what stands in a part that cannot be read is not shown
    let text = readable.replace("root = \"outer\"", "root = 5\nurl = \"amqp://user:secret-word@host\"");
    let report = check(&text).to_string();
    assert!(report.contains("error: keys.encryption: ssh-privatekey") && !report.contains("secret-word"), "{report}");
}
