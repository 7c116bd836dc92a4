//! Brokers that are killed, stalled and blocked under load, and gateways that are killed between them.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use lapin::BasicProperties;
use rustix::process::Signal;
use studioml_envelope::Opener;

use crate::brokers::World;
use crate::support::keys::{number_of, report, report_key, request};
use crate::support::process::Gateway;
use crate::support::rabbit::{Client, client_properties};
use crate::support::{long, provider, short_or_long, wait};

/// Persistent, as an experimenter who asks for it publishes: a broker that is killed loses everything else.
fn persistent() -> BasicProperties {
    client_properties().with_delivery_mode(2)
}

/// Numbered requests in and reports out, over some durable queues, and the account of what arrived.
struct Traffic<'w> {
    world: &'w World,
    queues: Vec<String>,
    /// Numbers that were confirmed to whoever sent them.
    sent: [AtomicUsize; 2],
    arrived: Mutex<[HashMap<usize, u32>; 2]>,
    stop: AtomicBool,
    /// The experimenter's end of the reports, made once: to check an RSA key takes longer than to open with it.
    opener: Opener,
}

impl<'w> Traffic<'w> {
    fn new(world: &'w World, queues: usize) -> Self {
        let queues: Vec<String> = (0..queues).map(|number| format!("rmq_{number}")).collect();
        let outer = world.outer.client();
        for queue in &queues {
            outer.declare_unbound(&format!("{queue}_response"), true);
            outer.declare(queue, true);
        }
        let (sent, arrived) = (Default::default(), Mutex::default());
        let opener = Opener::new(&provider(), [report_key()]).unwrap();
        Self { world, queues, sent, arrived, stop: AtomicBool::new(false), opener }
    }

    /// Sends the next message of a direction until it is confirmed.
    fn send(&self, client: &mut Client, direction: usize) {
        let number = self.sent[direction].load(Ordering::SeqCst);
        let queue = &self.queues[number % self.queues.len()];
        let sent = match direction {
            0 => client.publish(queue, &self.world.experimenter.seal(&request(number, 1500)), persistent()),
            _ => client.publish_directly(&format!("{queue}_response"), &report(number), persistent()),
        };
        if sent {
            self.sent[direction].fetch_add(1, Ordering::SeqCst);
        } else if !self.stop.load(Ordering::Relaxed) {
            client.reconnect();
        }
    }

    fn sender(&self, direction: usize, most: usize) {
        let vhost = if direction == 0 { &self.world.outer } else { &self.world.inner };
        let mut client = vhost.client();
        while !self.stop.load(Ordering::Relaxed) && self.sent(direction) < most {
            if self.sent(direction) < self.arrived(direction) + 300 {
                self.send(&mut client, direction);
            } else {
                std::thread::sleep(Duration::from_millis(2)); // the receiver's turn
            }
        }
    }

    fn receiver(&self, direction: usize) {
        let vhost = if direction == 0 { &self.world.inner } else { &self.world.outer };
        let mut client = vhost.client();
        while !self.stop.load(Ordering::Relaxed) {
            if self.receive(&client, direction) == 0 {
                std::thread::sleep(Duration::from_millis(2)); // who only looks takes the gateway's cores
                if client.count(&self.queue_of(direction, 0)).is_none() {
                    client.reconnect();
                }
            }
        }
    }

    fn queue_of(&self, direction: usize, number: usize) -> String {
        let queue = &self.queues[number];
        if direction == 0 { queue.clone() } else { format!("{queue}_response") }
    }

    fn receive(&self, client: &Client, direction: usize) -> usize {
        let mut received = 0;
        for number in 0..self.queues.len() {
            for mut message in client.take_all(&self.queue_of(direction, number)) {
                let number = match direction {
                    0 => number_of(&message.body),
                    _ => {
                        let opened = self.opener.open_report(&mut message.body, 1 << 20).unwrap();
                        let report: serde_json::Value =
                            serde_json::from_slice(opened.unauthenticated_plaintext()).unwrap();
                        report["experimentId"].as_str().unwrap().parse().unwrap()
                    }
                };
                *self.arrived.lock().unwrap()[direction].entry(number).or_default() += 1;
                received += 1;
            }
        }
        received
    }

    fn sent(&self, direction: usize) -> usize {
        self.sent[direction].load(Ordering::SeqCst)
    }

    fn arrived(&self, direction: usize) -> usize {
        self.arrived.lock().unwrap()[direction].len()
    }

    /// Waits until so many more have arrived in both directions.
    fn wait_for_more(&self, more: usize) {
        let before = [self.arrived(0), self.arrived(1)];
        wait::within(Duration::from_secs(180), "traffic in both directions", || {
            (0..2).all(|direction| self.arrived(direction) >= before[direction] + more).then_some(())
        });
    }

    /// Runs `disturb` while messages are sent and received.
    fn run(&self, most: usize, disturb: impl FnOnce(&Self)) {
        self.stop.store(false, Ordering::Relaxed);
        std::thread::scope(|scope| {
            let _stop = wait::Stop(&self.stop);
            for direction in 0..2 {
                scope.spawn(move || self.sender(direction, most));
                scope.spawn(move || self.receiver(direction));
            }
            disturb(self);
        });
    }

    /// Waits until everything that was confirmed to its sender has arrived; returns how many arrived more than once.
    fn settle(&self) -> usize {
        let (inner, outer) = (self.world.inner.client(), self.world.outer.client());
        wait::within(Duration::from_secs(180), "everything to arrive", || {
            self.receive(&inner, 0);
            self.receive(&outer, 1);
            let arrived = self.arrived.lock().unwrap();
            let all = |direction: usize| (0..self.sent(direction)).all(|n| arrived[direction].contains_key(&n));
            (all(0) && all(1)).then_some(())
        });
        let arrived = self.arrived.lock().unwrap();
        arrived.iter().flat_map(HashMap::values).map(|times| *times as usize - 1).sum()
    }
}

#[test]
fn nothing_is_lost_when_brokers_are_killed_stalled_or_blocked() {
    let world = World::alone();
    let [outer, inner] = world.nodes();
    let traffic = Traffic::new(&world, 3);
    // as the deployed client declares it: gone with the broker
    let client = world.outer.client();
    client.declare("rmq_passing", false);
    assert!(client.publish("rmq_passing", &world.experimenter.seal(&request(0, 300)), persistent()));
    let gateway = world.start();
    let client = world.inner.client();
    wait::until("the passing request", || (client.count("rmq_passing") == Some(1)).then_some(()));
    drop(client);
    traffic.run(usize::MAX, |traffic| {
        traffic.wait_for_more(50);
        println!("inner broker killed");
        inner.kill();
        inner.start_again();
        traffic.wait_for_more(50);

        println!("outer broker killed");
        outer.kill();
        outer.start_again();
        traffic.wait_for_more(50);
        assert_eq!(world.outer.client().count("rmq_passing"), None, "it was not to be durable");

        println!("both brokers killed");
        inner.kill();
        outer.kill();
        outer.start_again();
        inner.start_again();
        traffic.wait_for_more(50);

        println!("inner broker blocked by an alarm");
        inner.memory_alarm(true);
        wait::until("the gateway to notice", || gateway.get("/readyz").1.contains("inner: out of reach").then_some(()));
        inner.memory_alarm(false);
        traffic.wait_for_more(50);

        println!("outer broker blocked by an alarm");
        outer.memory_alarm(true);
        wait::until("the gateway to notice", || gateway.get("/readyz").1.contains("outer: out of reach").then_some(()));
        outer.memory_alarm(false);
        traffic.wait_for_more(50);

        println!("outer broker stalled");
        outer.signal(Signal::STOP);
        std::thread::sleep(Duration::from_secs(short_or_long(6, 30)));
        outer.signal(Signal::CONT);
        traffic.wait_for_more(50);

        if long() {
            println!("inner broker stalled");
            inner.signal(Signal::STOP);
            std::thread::sleep(Duration::from_secs(30));
            inner.signal(Signal::CONT);
            traffic.wait_for_more(50);
        }

        println!("a gateway told to end while both brokers stall");
        let other = world.start();
        other.wait_until_ready();
        traffic.wait_for_more(50);
        inner.signal(Signal::STOP);
        outer.signal(Signal::STOP);
        let took = other.terminate();
        inner.signal(Signal::CONT);
        outer.signal(Signal::CONT);
        assert!(took < Duration::from_secs(20), "{took:?}");
        traffic.wait_for_more(50);
    });
    let duplicates = traffic.settle();
    let reconnects = gateway.metric("studioml_gateway_reconnects_total", &[]);
    println!(
        "{} requests and {} reports, {duplicates} arrived twice, {reconnects} reconnects",
        traffic.sent(0),
        traffic.sent(1)
    );
    assert!(reconnects >= 4.0, "{reconnects}");
    assert_eq!(world.outer.client().count("studioml-gateway-rejected"), None);
    // nobody has deleted the queue: a broker that has lost it aborts nothing
    assert_eq!(world.inner.client().count("rmq_passing"), Some(1), "a request that was confirmed is gone");
    gateway.wait_until_ready();
    gateway.terminate();
}

#[test]
fn nothing_is_lost_when_the_gateway_is_killed_or_stalled() {
    let world = World::new();
    let traffic = Traffic::new(&world, 3);
    let mut random = fastrand::Rng::with_seed(9);
    traffic.run(usize::MAX, |traffic| {
        for kill in 0..short_or_long(15, 50) {
            let gateway = world.start();
            if kill % 2 == 0 {
                let before = traffic.arrived(0);
                wait::until("traffic", || (traffic.arrived(0) > before + 5).then_some(()));
            }
            std::thread::sleep(Duration::from_micros(random.u64(1..100_000)));
            gateway.kill();
        }
        let gateway = world.start();
        traffic.wait_for_more(20);
        gateway.signal(Signal::STOP);
        std::thread::sleep(Duration::from_secs(short_or_long(3, 30)));
        gateway.signal(Signal::CONT);
        traffic.wait_for_more(20);
        let took = gateway.terminate();
        assert!(took < Duration::from_secs(20), "{took:?}");
    });
    let _gateway = world.start();
    let duplicates = traffic.settle();
    println!("{} requests and {} reports, {duplicates} arrived twice", traffic.sent(0), traffic.sent(1));
}

#[test]
fn many_messages_over_twenty_queues_and_two_gateways_with_random_kills() {
    let world = World::new();
    let traffic = Traffic::new(&world, 20);
    let count = short_or_long(1500, 100_000);
    let mut random = fastrand::Rng::with_seed(3);
    let mut kills = 0;
    traffic.run(count, |traffic| {
        let mut gateways: Vec<Gateway> = (0..2).map(|_| world.start()).collect();
        while traffic.sent(0) < count || traffic.arrived(0) < count * 9 / 10 {
            std::thread::sleep(Duration::from_millis(random.u64(300..short_or_long(2000, 8000))));
            gateways.swap_remove(random.usize(..gateways.len())).kill();
            gateways.push(world.start());
            kills += 1;
        }
    });
    let _gateways = [world.start(), world.start()];
    let duplicates = traffic.settle();
    println!("{} requests and {} reports, {kills} kills, {duplicates} arrived twice", traffic.sent(0), traffic.sent(1));
}
