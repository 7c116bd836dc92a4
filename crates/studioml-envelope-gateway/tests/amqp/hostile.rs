//! Messages and queues that are made to do harm: by whoever may publish at the outer side, and make queues there.

use std::time::Duration;

use lapin::types::{AMQPValue, FieldTable};

use crate::brokers::World;
use crate::raw;
use crate::support::keys::{number_of, request};
use crate::support::process::Gateway;
use crate::support::rabbit::client_properties;
use crate::support::{long, wait};

/// A queue that is all right, and one that somebody harms.
const FINE: &str = "rmq_fine";
const HARMED: &str = "rmq_harmed";
/// How many requests stand before a message that cannot be parsed, and how many behind it.
const BEFORE: usize = 100;
const BEHIND: usize = 5;
const REJECTED: &str = "studioml-gateway-rejected";

#[test]
fn a_message_that_cannot_be_parsed_harms_its_own_queue_alone_and_is_reported() {
    let world = World::new();
    let (outer, inner) = (world.outer.client(), world.inner.client());
    for queue in [FINE, HARMED] {
        outer.declare(queue, true);
    }
    raw::publish(&world.outer, HARMED, raw::MESSAGE_ID, &raw::short(b"\xff"), b"{}");
    let gateway = world.start();
    wait::until("the obstacle", || gateway.get("/readyz").1.contains("queue rmq_harmed breaks its").then_some(()));
    let lost = || gateway.log().lines().filter(|line| line.contains("the connection is lost")).count();
    let before = lost();
    for number in 0..20 {
        assert!(outer.publish(FINE, &world.experimenter.seal(&request(number, 300)), client_properties()));
        assert_eq!(number_of(&inner.wait_for(FINE).body), number);
    }
    assert_eq!(lost(), before, "the others' connection is not harmed any more");

    // without the message the queue flows again
    outer.purge(HARMED);
    assert!(outer.publish(HARMED, &world.experimenter.seal(&request(7, 300)), client_properties()));
    assert_eq!(number_of(&inner.wait_for(HARMED).body), 7);

    // and after some minutes both share a connection again
    if long() {
        let shares = |queue: &str| {
            let line =
                |line: &str| line.contains(&format!("queue={queue} ")) && line.contains("share a connection again");
            gateway.log().lines().any(line)
        };
        let all_share = || (shares(FINE) && shares(HARMED)).then_some(());
        wait::within(Duration::from_secs(300), "the connections to be shared again", all_share);
        gateway.wait_until_ready();
        for (number, queue) in [(8, FINE), (9, HARMED)] {
            assert!(outer.publish(queue, &world.experimenter.seal(&request(number, 300)), client_properties()));
            assert_eq!(number_of(&inner.wait_for(queue).body), number);
        }
    }
}

#[test]
fn what_stands_before_a_message_that_cannot_be_parsed_is_carried_and_leaves_it_at_the_head() {
    let world = World::new();
    let (outer, inner) = (world.outer.client(), world.inner.client());
    outer.declare(HARMED, true);
    for number in 0..BEFORE {
        assert!(outer.publish(HARMED, &world.experimenter.seal(&request(number, 300)), client_properties()));
    }
    raw::publish(&world.outer, HARMED, raw::MESSAGE_ID, &raw::short(b"\xff"), b"{}");
    for number in 0..BEHIND {
        assert!(outer.publish(HARMED, &world.experimenter.seal(&request(BEFORE + number, 300)), client_properties()));
    }
    let gateway = world.start();
    let waiting = |count: Option<u32>, wanted: usize| count.is_some_and(|count| count as usize == wanted);
    let rest_is_left = || waiting(outer.count(HARMED), 1 + BEHIND);
    // one at a time now: the rest could be passed by while many are under way
    let all_has_come = || {
        let breaks = gateway.get("/readyz").1.contains("queue rmq_harmed breaks its");
        breaks && waiting(inner.count(HARMED), BEFORE) && rest_is_left()
    };
    wait::within(Duration::from_secs(240), "the rest", || all_has_come().then_some(()));
    gateway.terminate();
    wait::until("the rest to stay", || rest_is_left().then_some(()));
    let mut arrived: Vec<usize> = inner.take_all(HARMED).iter().map(|message| number_of(&message.body)).collect();
    arrived.sort_unstable();
    assert_eq!(arrived, (0..BEFORE).collect::<Vec<_>>());
}

#[test]
fn headers_that_are_nested_without_end_cost_the_message_and_not_the_process() {
    let world = World::new();
    let (outer, inner) = (world.outer.client(), world.inner.client());
    outer.declare(HARMED, true);
    // FRAME_MAX is 128 KiB: about as deep as it gets
    let nested = (0..25_000).fold(vec![b'V'], |inner, _| [b"A", raw::long(&inner).as_slice()].concat());
    let headers = raw::long(&[raw::short(b"x"), nested].concat());
    raw::publish(&world.outer, HARMED, raw::HEADERS, &headers, b"no envelope");
    assert!(outer.publish(HARMED, &world.experimenter.seal(&request(7, 300)), client_properties()));
    // as the manifests set it; a build for tests takes more
    let _gateway = Gateway::start_with(&world.root().join("gateway.toml"), &[("RUST_MIN_STACK", "1000000000")]);
    assert_eq!(outer.wait_for(REJECTED).body, b"no envelope");
    assert_eq!(number_of(&inner.wait_for(HARMED).body), 7);
}

#[test]
fn headers_that_fill_a_frame_leave_room_for_the_reason() {
    let world = World::new();
    let outer = world.outer.client();
    outer.declare(HARMED, true);
    let value = [b"S", raw::long(&[b'h'; 130_950]).as_slice()].concat();
    let headers = raw::long(&[raw::short(b"x"), value].concat());
    raw::publish(&world.outer, HARMED, raw::HEADERS, &headers, b"no envelope");
    let _gateway = world.start();
    let rejected = outer.wait_for(REJECTED);
    assert_eq!(rejected.body, b"no envelope");
    assert_eq!(rejected.header("x-studioml-reason").as_deref(), Some("malformed"));
    assert_eq!(rejected.header("x"), None);
}

#[test]
fn a_message_that_is_put_aside_goes_nowhere_else() {
    let world = World::new();
    let (outer, inner) = (world.outer.client(), world.inner.client());
    outer.declare(HARMED, true);
    outer.declare_unbound("somebody_elses", true);
    // a broker copies a message to the queues that are named in this header, by the rights of whoever publishes it
    let text = |text: &str| AMQPValue::LongString(text.into());
    let mut headers = FieldTable::default();
    headers.insert("CC".into(), AMQPValue::FieldArray(vec![text(HARMED), text("somebody_elses")].into()));
    headers.insert("own".into(), text("kept"));
    assert!(outer.publish(HARMED, b"no envelope", client_properties().with_headers(headers)));
    assert!(outer.publish(HARMED, &world.experimenter.seal(&request(7, 300)), client_properties()));
    let _gateway = world.start();
    let rejected = outer.wait_for(REJECTED);
    assert_eq!(number_of(&inner.wait_for(HARMED).body), 7);
    assert_eq!((rejected.header("own").as_deref(), rejected.header("CC")), (Some("kept"), None));
    assert_eq!([HARMED, REJECTED, "somebody_elses"].map(|queue| outer.count(queue)), [Some(0); 3]);
}

#[test]
fn a_request_that_is_too_large_for_the_inner_broker_is_rejected_and_the_next_one_flows() {
    let world = World::alone();
    let (outer, inner) = (world.outer.client(), world.inner.client());
    outer.declare(FINE, true);
    let [_, node] = world.nodes();
    let limit = |bytes: usize| node.eval(&format!("application:set_env(rabbit, max_message_size, {bytes})."));
    limit(10_000);
    let _gateway = world.start();
    let large = world.experimenter.seal(&request(1, 20_000));
    assert!(outer.publish(FINE, &large, client_properties()));
    let rejected = outer.wait_for(REJECTED);
    assert_eq!(rejected.header("x-studioml-reason").as_deref(), Some("too-large"));
    assert!(rejected.body == large, "it is not what was sent");
    assert!(outer.publish(FINE, &world.experimenter.seal(&request(2, 300)), client_properties()));
    assert_eq!(number_of(&inner.wait_for(FINE).body), 2);
    limit(134_217_728);
}

#[test]
fn a_queue_that_is_somebodys_alone_does_not_keep_others_from_being_carried() {
    let world = World::new();
    let (outer, inner) = (world.outer.client(), world.inner.client());
    outer.declare_exclusive("rmq_alone_response");
    outer.declare("rmq_alone", true);
    outer.declare(FINE, true);
    let gateway = world.start();
    assert!(outer.publish(FINE, &world.experimenter.seal(&request(3, 300)), client_properties()));
    assert_eq!(number_of(&inner.wait_for(FINE).body), 3);
    gateway.wait_until_ready();
}

#[test]
fn an_inner_queue_that_may_not_be_deleted_does_not_keep_others_from_being() {
    let mut world = World::new();
    let (outer, inner) = (world.outer.client(), world.inner.client());
    let user = format!("gateway-of-{}", world.inner.name);
    let node = world.inner_node();
    let account = r#"{"password":"secret","tags":"management"}"#;
    wait::until("the user", || node.management("PUT", &format!("users/{user}"), Some(account)));
    let rights = r#"{"configure":"^(rmq_b|StudioML.topic)$","write":".*","read":".*"}"#;
    let path = format!("permissions/{}/{user}", world.inner.name);
    wait::until("the rights", || node.management("PUT", &path, Some(rights)));
    world.inner.url = world.inner.url.replace("guest:guest", &format!("{user}:secret"));
    world.configure("");

    for queue in ["rmq_a", "rmq_b"] {
        outer.declare(queue, true);
        inner.declare(queue, true);
    }
    let gateway = world.start();
    for queue in ["rmq_a", "rmq_b"] {
        assert!(outer.publish(queue, &world.experimenter.seal(&request(1, 300)), client_properties()));
        wait::until("the request", || (inner.count(queue) == Some(1)).then_some(()));
    }
    outer.delete("rmq_a");
    outer.delete("rmq_b");
    wait::until("the inner queue to go", || inner.count("rmq_b").is_none().then_some(()));
    wait::until("the obstacle", || gateway.get("/readyz").1.contains("queue rmq_a is not seen outside").then_some(()));
    // and queues are looked for as before
    outer.declare(FINE, true);
    inner.declare(FINE, true);
    assert!(outer.publish(FINE, &world.experimenter.seal(&request(3, 300)), client_properties()));
    assert_eq!(number_of(&inner.wait_for(FINE).body), 3);
    node.management("DELETE", &format!("users/{user}"), None);
}
