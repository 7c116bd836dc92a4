//! Gateways that are killed, stopped and ended under load: nothing is lost.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::process::Signal;

use crate::support::process::Gateway;
use crate::support::{queue, short_or_long, wait};
use crate::traffic::Traffic;
use crate::world::World;

/// Runs `disturb` while messages are sent and received, then lets everything arrive.
fn under_load(traffic: &Traffic<'_>, most: usize, disturb: impl FnOnce()) {
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| traffic.send(most, &stop));
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                traffic.receive();
            }
        });
        let _stop = wait::Stop(&stop);
        disturb();
    });
}

#[test]
fn nothing_is_lost_when_it_is_killed_at_fifty_points() {
    let world = World::new();
    let traffic = Traffic::new(&world, 3, 1500);
    let mut random = fastrand::Rng::with_seed(50);
    let mut arrived_before = 0;
    under_load(&traffic, usize::MAX, || {
        for kill in 0..50 {
            let gateway = world.start();
            // half of them as it starts, half in the middle of the traffic
            if kill % 2 == 0 {
                let before = traffic.arrived()[0];
                wait::until("traffic", || (traffic.arrived()[0] > before + 5).then_some(()));
            }
            std::thread::sleep(Duration::from_micros(random.u64(1..50_000)));
            gateway.kill();
        }
        arrived_before = traffic.arrived()[0];
    });
    let _gateway = world.start();
    let duplicates = traffic.wait_for_all(wait::PATIENCE);
    println!("{} sent both ways, {arrived_before} through before the last kill, {duplicates} twice", traffic.sent());
    assert!(arrived_before > 100, "the kills left no traffic to disturb: {arrived_before}");
    assert!(queue::rejects(&world.outer_root()).is_empty());
    assert!(queue::rejects(&world.inner_root()).is_empty());
}

#[test]
fn sigterm_drains_within_twenty_seconds_and_leaves_nothing_behind() {
    let world = World::new();
    let traffic = Traffic::new(&world, 3, 1500);
    for _ in 0..5 {
        under_load(&traffic, usize::MAX, || {
            let gateway = world.start();
            let before = traffic.arrived()[0];
            wait::until("traffic", || (traffic.arrived()[0] > before + 20).then_some(()));
            let took = gateway.terminate();
            assert!(took < Duration::from_secs(20), "{took:?}");
        });
        // nothing is left in flight: all is back in its queue, or through
        for root in [world.outer_root(), world.inner_root()] {
            for folder in std::fs::read_dir(root.join(".gateway/inflight")).unwrap() {
                let left: Vec<_> = std::fs::read_dir(folder.unwrap().path()).unwrap().collect();
                assert!(left.is_empty(), "{left:?}");
            }
            let left: Vec<_> = std::fs::read_dir(root.join(".gateway/tmp")).unwrap().collect();
            assert!(left.is_empty(), "{left:?}");
        }
    }
    let _gateway = world.start();
    let duplicates = traffic.wait_for_all(wait::PATIENCE);
    assert_eq!(duplicates, 0, "a drained gateway has told its source of everything it published");
}

#[test]
fn a_stalled_gateway_loses_nothing_and_another_goes_on() {
    let world = World::new();
    let traffic = Traffic::new(&world, 3, 1500);
    under_load(&traffic, usize::MAX, || {
        let (stalled, other) = (world.start(), world.start());
        let traffic_through = |more: usize| {
            let before = traffic.arrived()[0];
            wait::until("traffic", || (traffic.arrived()[0] > before + more).then_some(()));
        };
        traffic_through(50);
        stalled.signal(Signal::STOP);
        std::thread::sleep(Duration::from_secs(short_or_long(3, 30)));
        stalled.signal(Signal::CONT);
        traffic_through(50);
        other.terminate();
        traffic_through(50);
        stalled.terminate();
    });
    let _gateway = world.start();
    println!("{} sent both ways, {} twice", traffic.sent(), traffic.wait_for_all(wait::PATIENCE));
}

#[test]
fn many_messages_over_twenty_queues_and_two_gateways_with_random_kills() {
    let world = World::new();
    world.configure("", "[log]\nlevel = \"warn\"\n");
    let traffic = Traffic::new(&world, 20, 1000);
    let count = short_or_long(4000, 100_000);
    let mut random = fastrand::Rng::with_seed(2);
    let mut kills = 0;
    under_load(&traffic, count, || {
        let mut gateways: Vec<Gateway> = (0..2).map(|_| world.start()).collect();
        while traffic.sent() < count || traffic.arrived()[0] < count * 9 / 10 {
            std::thread::sleep(Duration::from_millis(random.u64(100..short_or_long(900, 3000))));
            gateways.swap_remove(random.usize(..gateways.len())).kill();
            gateways.push(world.start());
            kills += 1;
        }
    });
    let _gateways = [world.start(), world.start()];
    let duplicates = traffic.wait_for_all(Duration::from_secs(short_or_long(60, 600)));
    println!("{count} requests and as many reports, {kills} kills, {duplicates} arrived twice");
}
