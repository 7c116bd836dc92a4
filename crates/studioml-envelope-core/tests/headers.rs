//! The clear-text headers (docs/spec.md §2), which nobody has signed: what is read from them, and where they disagree with the
//! Request.
#![allow(clippy::unwrap_used, reason = "a test stops where something is not as expected")]

mod parties;

use parties::{envelope, shaped, vector};
use studioml_envelope_core::{DEFAULT_MAX_PLAINTEXT, Message, RequestError, UnauthenticatedHeaders};

fn headers(members: &str) -> UnauthenticatedHeaders {
    let mut json = envelope(&format!(r#"{members},"payload":"{}""#, shaped()));
    Message::parse(&mut json, DEFAULT_MAX_PLAINTEXT).unwrap().unauthenticated_headers().clone()
}

#[test]
fn each_header_has_its_accessor() {
    let headers = headers(
        r#""experiment":{"status":"waiting","pythonver":"3.8"},"time_added":1530054413.134781,
           "experiment_lifetime":"30m","resources_needed":{"cpus":1,"gpuMem":"0gb"}"#,
    );
    assert_eq!(headers.status().as_deref(), Some("waiting"));
    assert_eq!(headers.python_version().as_deref(), Some("3.8"));
    assert_eq!(headers.time_added(), Some("1530054413.134781"));
    assert_eq!(headers.experiment_lifetime().as_deref(), Some("30m"));
    assert_eq!(headers.resources_needed(), Some(r#"{"cpus":1,"gpuMem":"0gb"}"#));
}

#[test]
fn null_and_missing_are_both_absent() {
    let nulls = r#""experiment":{"status":null,"pythonver":null},"time_added":null,"experiment_lifetime":null,"resources_needed":null"#;
    for members in [nulls, r#""experiment":null"#, r#""experiment":{}"#, r#""x":1"#] {
        let headers = headers(members);
        assert_eq!(headers.status(), None, "{members}");
        assert_eq!(headers.python_version(), None);
        assert_eq!(headers.time_added(), None);
        assert_eq!(headers.experiment_lifetime(), None);
        assert_eq!(headers.resources_needed(), None);
    }
}

#[test]
fn headers_of_another_kind_are_no_error_and_no_value() {
    let headers = headers(r#""experiment":[1],"time_added":"now","experiment_lifetime":75,"resources_needed":"many""#);
    assert_eq!(headers.status(), None);
    assert_eq!(headers.python_version(), None);
    assert_eq!(headers.time_added(), Some("\"now\""));
    assert_eq!(headers.experiment_lifetime(), None);
    assert_eq!(headers.resources_needed(), Some("\"many\""));
}

#[test]
fn the_deployed_misspelling_is_read_where_the_right_name_is_missing_and_never_written() {
    assert_eq!(headers(r#""experiment":{"pthonver":"3.6"}"#).python_version().as_deref(), Some("3.6"));
    let both = headers(r#""experiment":{"pthonver":"3.6","pythonver":"3.8"}"#);
    assert_eq!(both.python_version().as_deref(), Some("3.8"));
    let null = headers(r#""experiment":{"pthonver":"3.6","pythonver":null}"#);
    assert_eq!(null.python_version().as_deref(), Some("3.6"));

    let request = br#"{"experiment":{"pthonver":"3.6","pythonver":"3.8"},"config":{}}"#;
    let copied = UnauthenticatedHeaders::from_request(request).unwrap();
    assert_eq!(copied.python_version().as_deref(), Some("3.8"));
    assert!(!format!("{copied:?}").contains("pthonver"));
}

#[test]
fn headers_are_copied_from_a_request_as_clients_do() {
    let request = br#"{"experiment":{"status":"waiting","pythonver":"3.8","time_added":1530054413.1347810,
        "resources_needed":{"cpus":1},"max_duration":"75s","key":"k"},"config":{"experimentLifetime":"30m"}}"#;
    let headers = UnauthenticatedHeaders::from_request(request).unwrap();
    assert_eq!(headers.status().as_deref(), Some("waiting"));
    assert_eq!(headers.time_added(), Some("1530054413.1347810"));
    assert_eq!(headers.experiment_lifetime().as_deref(), Some("30m"));
    assert_eq!(headers.resources_needed(), Some(r#"{"cpus":1}"#));
    assert_eq!(headers.disagreements(request), Ok(Vec::new()));

    let request = br#"{"experiment":{"max_duration":"75s"},"config":{"experimentLifetime":null}}"#;
    let headers = UnauthenticatedHeaders::from_request(request).unwrap();
    assert_eq!(headers.experiment_lifetime().as_deref(), Some("75s"));
    assert_eq!((headers.status(), headers.time_added(), headers.resources_needed()), (None, None, None));

    let stock = vector("requests/stock.json");
    let headers = UnauthenticatedHeaders::from_request(&stock).unwrap();
    assert_eq!(headers.disagreements(&stock), Ok(Vec::new()));
    assert_eq!(headers.status().as_deref(), Some("waiting"));
}

#[test]
fn headers_are_copied_from_objects_only() {
    for text in ["[]", "1", "null", "\"x\""] {
        let copied = UnauthenticatedHeaders::from_request(text.as_bytes()).map(|_| ());
        assert_eq!(copied, Err(RequestError::NotAnObject), "{text}");
    }
    let copied = UnauthenticatedHeaders::from_request(b"{").map(|_| ());
    assert!(matches!(copied, Err(RequestError::NotJson { .. })), "{copied:?}");
}

const REQUEST: &[u8] = br#"{"experiment":{"status":"waiting","pythonver":"3.8","time_added":1538073290.258281,
    "resources_needed":{"cpus":1,"gpus":0,"hdd":"6gb"},"max_duration":"75s"},"config":{"experimentLifetime":"30m"}}"#;

fn disagreements(members: &str) -> Vec<String> {
    headers(members).disagreements(REQUEST).unwrap()
}

#[test]
fn a_header_that_says_something_else_is_named() {
    for (members, expected) in [
        (r#""experiment":{"status":"running"}"#, &["experiment.status"][..]),
        (r#""experiment":{"pythonver":"2.7"}"#, &["experiment.pythonver"]),
        (r#""experiment":{"pthonver":"2.7"}"#, &["experiment.pythonver"]),
        (r#""experiment":{"status":"waiting","owner":"me"}"#, &["experiment.owner"]),
        (r#""experiment":7"#, &["experiment"]),
        (r#""time_added":1"#, &["time_added"]),
        (r#""time_added":"1538073290.258281""#, &["time_added"]),
        (r#""experiment_lifetime":"31m""#, &["experiment_lifetime"]),
        (r#""experiment_lifetime":75"#, &["experiment_lifetime"]),
        (r#""resources_needed":{"cpus":2,"gpus":1}"#, &["resources_needed.cpus", "resources_needed.gpus"]),
        (r#""resources_needed":{"cpus":1.5}"#, &["resources_needed.cpus"]),
        (r#""resources_needed":{"tpus":1}"#, &["resources_needed.tpus"]),
        (r#""experiment":{"pthonver":"2.7","pythonver":"3.7"}"#, &["experiment.pythonver"]),
        (r#""resources_needed":{"disks":["1gb",[]]}"#, &["resources_needed.disks"]),
        (r#""resources_needed":{"nice":-1,"spot":true}"#, &["resources_needed.nice", "resources_needed.spot"]),
        (r#""resources_needed":[]"#, &["resources_needed"]),
    ] {
        assert_eq!(disagreements(members), expected, "{members}");
    }
}

#[test]
fn what_means_the_same_agrees() {
    for members in [
        r#""experiment":{"status":"waiting","pythonver":"3.8"}"#,
        r#""experiment":{"pthonver":"3.8"}"#,
        // numbers by value, not by text
        r#""time_added":1.538073290258281e9"#,
        r#""resources_needed":{"cpus":1.0,"gpus":0.0}"#,
        // one client copies the one, another the other
        r#""experiment_lifetime":"30m""#,
        r#""experiment_lifetime":"75s""#,
        // defaults that clients fill in
        r#""resources_needed":{"gpuMem":"","cores":0,"note":null}"#,
        // what is absent says nothing
        r#""time_added":null,"experiment_lifetime":null,"resources_needed":null,"experiment":null"#,
        r#""resources_needed":{}"#,
        r#""unknown":"x""#,
    ] {
        assert_eq!(disagreements(members), Vec::<String>::new(), "{members}");
    }
}

#[test]
fn what_only_the_header_has_is_a_disagreement() {
    let request = br#"{"experiment":{},"config":{}}"#;
    let all = headers(
        r#""experiment":{"status":"waiting"},"time_added":1,"experiment_lifetime":"1m","resources_needed":{"cpus":1}"#,
    );
    let mut found = all.disagreements(request).unwrap();
    found.sort_unstable();
    assert_eq!(found, ["experiment.status", "experiment_lifetime", "resources_needed.cpus", "time_added"]);
}

/// `serde_json`'s own `Value` takes such an object for the JSON text in it.
#[test]
fn a_name_that_a_library_reserves_is_a_name() {
    let hidden = r#""experiment":{"$serde_json::private::RawValue":"{\"status\":\"waiting\"}"}"#;
    assert_eq!(disagreements(hidden), ["experiment.$serde_json::private::RawValue"]);
    let text = r#""resources_needed":{"cpus":{"$serde_json::private::RawValue":"1"}}"#;
    assert_eq!(disagreements(text), ["resources_needed.cpus"]);
}

#[test]
fn a_name_cannot_steer_a_terminal() {
    let long = "a".repeat(65);
    let members = format!(r#""resources_needed":{{"\u001b[2J\u0007\u009b\nx":1,"{long}":1}}"#);
    let found = disagreements(&members);
    assert_eq!(found, [r"resources_needed.\u{1b}[2J\u{7}\u{9b}\nx", &format!("resources_needed.{}", "a".repeat(64))]);
}

#[test]
fn what_no_verifier_lets_through_is_not_copied() {
    let deep = format!("{}1{}", "[".repeat(99), "]".repeat(99));
    let many = (0..70_000).map(|number| format!("\"{number}\":0")).collect::<Vec<_>>().join(",");
    for value in [r#"{"cpus":1,"cpus":2}"#, r#""\ud800""#, "1e400", &deep, &format!("{{{many}}}")] {
        for name in ["status", "resources_needed", "time_added", "max_duration"] {
            let request = format!(r#"{{"experiment":{{"pythonver":"3.8","{name}":{value}}},"config":{{}}}}"#);
            let copied = UnauthenticatedHeaders::from_request(request.as_bytes()).unwrap();
            let nothing = copied.status().is_none()
                && copied.resources_needed().is_none()
                && copied.time_added().is_none()
                && copied.experiment_lifetime().is_none();
            assert!(nothing, "{name}: {copied:?}");
        }
    }
}
