//! The way through: requests in, reports out, and what may not pass.

use std::process::Command;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use lapin::BasicProperties;
use sha2::{Digest, Sha256};
use studioml_envelope::Opener;

use crate::brokers::World;
use crate::support::keys::{number_of, report, report_key, request};
use crate::support::poison::{self, Item};
use crate::support::rabbit::{client_properties, python};
use crate::support::{provider, wait};

#[test]
fn what_the_python_client_sends_comes_out_clear_with_its_headers() {
    let world = World::new();
    let sent = request(1, 4096);
    let sealed = world.experimenter.seal(&sent);
    let file = world.root().join("message.json");
    std::fs::write(&file, &sealed).unwrap();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/amqp/client.py");
    let published =
        Command::new(python()).arg(script).args([&world.outer.url, "rmq_python"]).arg(&file).output().unwrap();
    assert!(published.status.success(), "{}", String::from_utf8_lossy(&published.stderr));

    let _gateway = world.start();
    let inner = world.inner.client();
    let message = inner.wait_for("rmq_python");
    assert_eq!(message.body, sent, "the decrypted bytes, unchanged");
    let envelope: serde_json::Value = serde_json::from_slice(&sealed).unwrap();
    let digest = Sha256::digest(envelope["message"]["payload"].as_str().unwrap().as_bytes());
    assert_eq!(message.properties.message_id().as_ref().unwrap().as_str(), hex::encode(digest));
    assert_eq!(*message.properties.delivery_mode(), Some(2), "persistent");
    assert_eq!(message.header("x-studioml-source-queue").as_deref(), Some("rmq_python"));
    assert_eq!(message.header("x-studioml-signer"), Some(world.experimenter.fingerprint()));
    assert!(message.header("x-studioml-time").is_some());
    wait::until("the outer queue to be empty", || (world.outer.client().count("rmq_python") == Some(0)).then_some(()));
}

#[test]
fn reports_come_out_sealed_in_order_to_a_queue_that_nobody_bound() {
    let world = World::new();
    let (outer, inner) = (world.outer.client(), world.inner.client());
    outer.declare_unbound("rmq_one_response", false);
    outer.declare("rmq_one", false);
    let gateway = world.start();
    wait::until("the inner queues", || inner.count("rmq_one")); // made and bound after its report queue
    for number in 0..100 {
        // by the exchange, as runners do
        assert!(inner.publish("rmq_one_response", &report(number), BasicProperties::default()));
    }
    let opener = Opener::new(&provider(), [report_key()]).unwrap();
    for number in 0..100 {
        let mut message = outer.wait_for("rmq_one_response");
        assert_eq!(message.properties.content_type().as_ref().unwrap().as_str(), "text/plain");
        let opened = opener.open_report(&mut message.body, 1 << 20).unwrap();
        assert_eq!(opened.unauthenticated_plaintext(), report(number));
    }
    // what is no report stays inside
    assert!(inner.publish("rmq_one_response", b"no report", BasicProperties::default()));
    let rejected = inner.wait_for("studioml-gateway-rejected");
    assert_eq!(
        (rejected.body.as_slice(), rejected.header("x-studioml-reason")),
        (&b"no report"[..], Some("not-a-report".into()))
    );
    assert_eq!(outer.count("studioml-gateway-rejected"), None);
    gateway.terminate();
}

#[test]
fn each_poisoned_message_gets_one_reject_entry_as_it_came_and_the_next_one_flows() {
    let mut world = World::new();
    let (mounts, queue) = poison::mounts(world.root());
    world.mounts = mounts;
    world.configure("");
    let (outer, inner) = (world.outer.client(), world.inner.client());
    outer.declare(&queue, false);
    let gateway = world.start();
    let mut rejected: f64 = 0.0;
    for Item { name, contents, is_request } in poison::items() {
        assert!(outer.publish(&queue, &contents, client_properties()));
        if is_request {
            continue;
        }
        rejected += 1.0;
        let entry = outer.wait_for("studioml-gateway-rejected");
        assert!(entry.body == contents, "{name} is not what was sent");
        assert_eq!(entry.header("x-studioml-source-queue").as_ref(), Some(&queue));
        for header in ["x-studioml-reason", "x-studioml-detail", "x-studioml-rejected-at"] {
            assert!(entry.header(header).is_some(), "{name}: {header}");
        }
        assert_eq!(entry.properties.content_type().as_ref().unwrap().as_str(), "application/json");
    }
    wait::until("the outer queue to be empty", || (outer.count(&queue) == Some(0)).then_some(()));
    let total = || gateway.metric("studioml_gateway_messages_total", &["result=\"rejected\""]);
    wait::until("all to be counted", || (total() >= rejected).then_some(()));
    assert_eq!(total(), rejected, "one entry each");
    assert_eq!(outer.count("studioml-gateway-rejected"), Some(0));
    // all that were let through were one message in different envelopes
    assert_eq!(inner.count(&queue), Some(1));
}

#[test]
fn a_deleted_outer_queue_takes_the_inner_one_along() {
    let world = World::new();
    let (outer, inner) = (world.outer.client(), world.inner.client());
    outer.declare_unbound("rmq_one_response", false);
    for queue in ["rmq_one", "rmq_other"] {
        outer.declare(queue, false);
        assert!(outer.publish(queue, &world.experimenter.seal(&request(1, 300)), client_properties()));
    }
    let gateway = world.start();
    for queue in ["rmq_one", "rmq_other"] {
        wait::until("the request", || (inner.count(queue) == Some(1)).then_some(()));
    }
    wait::until("the inner report queue", || inner.count("rmq_one_response"));
    outer.delete("rmq_one");
    outer.delete("rmq_one_response");
    for queue in ["rmq_one", "rmq_one_response"] {
        wait::until("the inner queue to go", || inner.count(queue).is_none().then_some(()));
    }
    assert_eq!(inner.count("rmq_other"), Some(1));
    // and it may come back
    outer.declare("rmq_one", false);
    assert!(outer.publish("rmq_one", &world.experimenter.seal(&request(5, 300)), client_properties()));
    assert_eq!(number_of(&inner.wait_for("rmq_one").body), 5);
    drop(gateway);
}

#[test]
fn a_queue_that_is_deleted_while_its_messages_are_carried_is_aborted() {
    let world = World::new();
    let (outer, inner) = (world.outer.client(), world.inner.client());
    outer.declare("rmq_one", false);
    for number in 0..400 {
        assert!(outer.publish("rmq_one", &world.experimenter.seal(&request(number, 300)), client_properties()));
    }
    let gateway = world.start();
    wait::until("the first request", || inner.count("rmq_one").filter(|count| *count > 0));
    outer.delete("rmq_one");
    wait::until("the inner queue to go", || inner.count("rmq_one").is_none().then_some(()));
    // what was under way when it went is neither carried in later nor held for ever
    let in_flight = || gateway.metric("studioml_gateway_in_flight", &["direction=\"requests\""]);
    wait::until("nothing in flight", || (in_flight() == 0.0).then_some(()));
    gateway.wait_until_ready();
    assert_eq!(inner.count("rmq_one"), None);
}

#[test]
fn reports_keep_their_order_between_two_gateways_when_one_is_killed() {
    let world = World::new();
    let (outer, inner) = (world.outer.client(), world.inner.client());
    outer.declare_unbound("rmq_one_response", false);
    outer.declare("rmq_one", false);
    let mut gateways = vec![world.start(), world.start()];
    for gateway in &gateways {
        gateway.wait_until_ready();
    }
    wait::until("the inner queues", || inner.count("rmq_one"));
    let opener = Opener::new(&provider(), [report_key()]).unwrap();
    let mut arrived = Vec::new();
    for number in 0..600 {
        assert!(inner.publish_directly("rmq_one_response", &report(number), BasicProperties::default()));
        if number % 200 == 100 {
            gateways.remove(0).kill();
            gateways.push(world.start());
        }
    }
    wait::until("the reports", || {
        for mut message in outer.take_all("rmq_one_response") {
            let opened = opener.open_report(&mut message.body, 1 << 20).unwrap();
            let report: serde_json::Value = serde_json::from_slice(opened.unauthenticated_plaintext()).unwrap();
            arrived.push(report["experimentId"].as_str().unwrap().parse::<usize>().unwrap());
        }
        (arrived.last() == Some(&599)).then_some(())
    });
    // what was published and not acknowledged when a gateway was killed comes again; nothing overtakes
    let mut seen = std::collections::BTreeSet::new();
    arrived.retain(|number| seen.insert(*number));
    assert_eq!(arrived, (0..600).collect::<Vec<_>>());
}

#[test]
fn queues_without_a_key_and_without_a_binding_are_left_alone() {
    let world = World::new();
    let (outer, inner) = (world.outer.client(), world.inner.client());
    outer.declare("sqs_one", false);
    outer.declare_unbound("rmq_unbound", false);
    outer.declare("rmq_one", false);
    assert!(outer.publish("sqs_one", &world.experimenter.seal(&request(1, 300)), client_properties()));
    assert!(outer.publish_directly("rmq_unbound", &world.experimenter.seal(&request(2, 300)), client_properties()));
    assert!(outer.publish("rmq_one", &world.experimenter.seal(&request(3, 300)), client_properties()));
    let gateway = world.start();
    assert_eq!(number_of(&inner.wait_for("rmq_one").body), 3);
    gateway.wait_until_ready();
    assert_eq!((outer.count("sqs_one"), outer.count("rmq_unbound")), (Some(1), Some(1)));
    assert_eq!((inner.count("sqs_one"), inner.count("rmq_unbound")), (None, None));
}

#[test]
fn an_inner_queue_that_is_deleted_mid_stream_is_made_again() {
    let world = World::new();
    let (outer, inner) = (world.outer.client(), world.inner.client());
    outer.declare("rmq_one", true);
    let gateway = world.start();
    assert!(outer.publish("rmq_one", &world.experimenter.seal(&request(0, 300)), client_properties()));
    inner.wait_for("rmq_one");
    inner.delete("rmq_one");
    for number in 1..20 {
        assert!(outer.publish("rmq_one", &world.experimenter.seal(&request(number, 300)), client_properties()));
    }
    let mut numbers: Vec<usize> = (1..20).map(|_| number_of(&inner.wait_for("rmq_one").body)).collect();
    numbers.sort();
    assert_eq!(numbers, (1..20).collect::<Vec<_>>());
    assert!(gateway.metric("studioml_gateway_publish_failures_total", &["returned"]) > 0.0);
}

#[test]
fn a_message_that_was_published_before_is_not_published_again() {
    let world = World::new();
    let (outer, inner) = (world.outer.client(), world.inner.client());
    outer.declare("rmq_one", false);
    let sealed = world.experimenter.seal(&request(0, 300));
    let gateway = world.start();
    for _ in 0..5 {
        assert!(outer.publish("rmq_one", &sealed, client_properties()));
    }
    let duplicates = || gateway.metric("studioml_gateway_messages_total", &["result=\"duplicate\""]);
    wait::until("the duplicates", || (duplicates() == 4.0).then_some(()));
    assert_eq!(inner.count("rmq_one"), Some(1));
}

#[test]
fn no_line_of_the_log_holds_a_secret_or_a_message_at_any_level() {
    let mut world = World::new();
    let outer = world.outer.client();
    let (node, user) = (world.outer_node(), format!("gateway-of-{}", world.outer.name));
    let (users, account) = (format!("users/{user}"), r#"{"password":"a-secret-word","tags":"administrator"}"#);
    wait::until("the user", || node.management("PUT", &users, Some(account)));
    let (path, all) =
        (format!("permissions/{}/{user}", world.outer.name), r#"{"configure":".*","write":".*","read":".*"}"#);
    wait::until("the rights", || node.management("PUT", &path, Some(all)));
    world.outer.url = world.outer.url.replace("guest:guest", &format!("{user}:a-secret-word"));
    world.configure("[log]\nlevel = \"trace,lapin=trace,amq_protocol_tcp=trace,ureq=trace\"\n");
    outer.declare("rmq_one", false);
    let (sent, junk) = (request(1, 300), b"what nobody is to read in a log".to_vec());
    let sealed = world.experimenter.seal(&sent);
    assert!(outer.publish("rmq_one", &junk, client_properties()));
    assert!(outer.publish("rmq_one", &sealed, client_properties()));
    let gateway = world.start();
    world.inner.client().wait_for("rmq_one");
    outer.wait_for("studioml-gateway-rejected");
    let credentials = STANDARD.encode(format!("{user}:a-secret-word"));
    let payload = &sealed[sealed.len() / 2..][..60];
    let log = wait::until("the line of the reject", || Some(gateway.log()).filter(|log| log.contains(" rejected ")));
    for secret in [b"a-secret-word", credentials.as_bytes(), &sent[..40], &junk, payload] {
        let (text, numbers) = (String::from_utf8_lossy(secret), format!("{secret:?}"));
        // as text, and as a list of bytes
        assert!(!log.contains(&*text) && !log.contains(numbers.trim_matches(['[', ']'])), "{text} is in the log");
    }
    gateway.terminate();
    node.management("DELETE", &users, None);
}

#[test]
fn a_reject_queue_that_the_gateway_may_not_use_pauses_its_queue_and_loses_nothing() {
    const REJECTED: &str = "studioml-gateway-rejected";
    let mut world = World::new();
    let outer = world.outer.client();
    let user = format!("gateway-of-{}", world.outer.name);
    let node = world.outer_node();
    let allow = |rights: &str| {
        let path = format!("permissions/{}/{user}", world.outer.name);
        wait::until("the rights", || node.management("PUT", &path, Some(rights)));
    };
    let account = r#"{"password":"secret","tags":"management"}"#;
    wait::until("the user", || node.management("PUT", &format!("users/{user}"), Some(account)));
    allow(r#"{"configure":"","write":"","read":".*"}"#);
    world.outer.url = world.outer.url.replace("guest:guest", &format!("{user}:secret"));
    world.configure("");

    outer.declare("rmq_q", true);
    outer.declare("rmq_other", true);
    let persistent = || client_properties().with_delivery_mode(2);
    assert!(outer.publish("rmq_q", b"no envelope", persistent()));
    let gateway = world.start();
    let is_paused = || {
        let (status, text) = gateway.get("/readyz");
        (status == 503 && text.contains("queue rmq_q is paused: reject-queue-refuses")).then_some(())
    };
    wait::until("a pause for want of the right to make the reject queue", is_paused);
    assert_eq!(outer.count(REJECTED), None);
    outer.declare_unbound(REJECTED, true);
    wait::until("a try with a reject queue that is there", || {
        gateway.log().contains("it may not be written to").then_some(())
    });
    wait::until("a pause for want of the right to write to it", is_paused);
    // others go on
    assert!(outer.publish("rmq_other", &world.experimenter.seal(&request(7, 100)), persistent()));
    assert_eq!(number_of(&world.inner.client().wait_for("rmq_other").body), 7);
    assert_eq!(outer.count(REJECTED), Some(0));

    allow(r#"{"configure":"","write":".*","read":".*"}"#);
    assert!(outer.publish("rmq_q", &world.experimenter.seal(&request(8, 100)), persistent()));
    let rejected = outer.wait_for(REJECTED);
    assert_eq!(rejected.body, b"no envelope");
    assert_eq!(rejected.header("x-studioml-reason").as_deref(), Some("malformed"));
    assert_eq!(number_of(&world.inner.client().wait_for("rmq_q").body), 8);
    gateway.wait_until_ready();
    node.management("DELETE", &format!("users/{user}"), None);
}
