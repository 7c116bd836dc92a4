//! Numbers of channels: a connection has so many, and loses one with each channel that an error has closed. A broker gives 2047,
//! which last for a while; here it gives few.

use std::time::Duration;

use lapin::BasicProperties;

use crate::brokers::World;
use crate::support::keys::{number_of, report, request};
use crate::support::process::Gateway;
use crate::support::rabbit::{Node, client_properties};
use crate::support::wait;

/// How many channels a connection may have that is made while this lives.
struct Limit(&'static Node);

impl Limit {
    fn new(node: &'static Node, channels: usize) -> Self {
        Self(node).set(channels)
    }

    fn set(self, channels: usize) -> Self {
        self.0.eval(&format!("application:set_env(rabbit, channel_max, {channels})."));
        self
    }
}

impl Drop for Limit {
    fn drop(&mut self) {
        self.0.eval("application:set_env(rabbit, channel_max, 2047).");
    }
}

/// What a gateway says of a connection that has none left.
fn worn_out(gateway: &Gateway) -> Vec<String> {
    let log = gateway.log();
    log.lines().filter(|line| line.contains("no number is left for a channel")).map(str::to_owned).collect()
}

#[test]
fn a_connection_without_any_is_made_again_and_to_look_for_queues_costs_none() {
    let world = World::alone();
    let (outer, inner) = (world.outer.client(), world.inner.client());
    let [outer_node, inner_node] = world.nodes();
    let _limits = [Limit::new(outer_node, 40), Limit::new(inner_node, 10)];
    let gateway = world.start();
    // no queue has a report queue, which every look finds; whether each is there inside is asked, and "no" closes a channel
    for number in 0..25 {
        let queue = format!("rmq_{number}");
        outer.declare(&queue, true);
        assert!(outer.publish(&queue, &world.experimenter.seal(&request(number, 300)), client_properties()));
        assert_eq!(number_of(&inner.wait_for(&queue).body), number);
    }
    let worn_out = worn_out(&gateway);
    assert!(!worn_out.is_empty(), "the limit was not met");
    assert!(worn_out.iter().all(|line| line.contains("side=inner")), "{worn_out:#?}");
}

#[test]
fn to_wait_for_a_turn_costs_none() {
    let world = World::alone();
    let (outer, inner) = (world.outer.client(), world.inner.client());
    let [_, inner_node] = world.nodes();
    let _limit = Limit::new(inner_node, 5);
    outer.declare_unbound("rmq_one_response", true);
    outer.declare("rmq_one", true);
    let report = |number: usize| {
        assert!(inner.publish_directly("rmq_one_response", &report(number), BasicProperties::default()));
        outer.wait_for("rmq_one_response");
    };
    let first = world.start();
    wait::until("the inner report queue", || inner.count("rmq_one_response"));
    report(1);
    let second = world.start();
    wait::until("a turn to wait for", || second.log().contains("somebody else reads from it").then_some(()));
    // it asks every second or so
    std::thread::sleep(Duration::from_secs(12));
    report(2);
    first.kill();
    report(3);
    let worn_out = worn_out(&second);
    assert!(worn_out.is_empty(), "{worn_out:#?}");
}
