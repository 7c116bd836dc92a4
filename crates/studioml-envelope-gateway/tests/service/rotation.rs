//! Keys that change under load, as Kubernetes changes them.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::support::keys::{Experimenter, cluster_key, private_pem, report_key, request};
use crate::support::process::Gateway;
use crate::support::{queue, short_or_long, wait};
use crate::world::World;

/// How often the keys have been loaded anew.
fn reloads(gateway: &Gateway) -> f64 {
    gateway.metric("studioml_gateway_key_reloads_total", &[])
}

#[test]
fn signing_and_private_keys_rotate_every_second_under_load() {
    let mut world = World::new();
    let rotations = short_or_long(4, 60);
    let experimenters: Vec<Experimenter> = (0..=rotations)
        .map(|n| Experimenter::sealing_to(if n % 2 == 0 { cluster_key() } else { report_key() }))
        .collect();
    let both = |n: usize| [experimenters[n].public_line(), experimenters[n + 1].public_line()].concat();
    world.mounts.signing.put("rmq_", &both(0));
    world.mounts.encryption.put("ssh-privatekey.1", &private_pem(report_key()));
    let (outer, inner) = (world.outer("rmq_one"), world.inner("rmq_one"));
    let gateway = world.start();
    gateway.wait_until_ready();

    let (current, stop, sent) = (AtomicUsize::new(0), AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                let number = sent.load(Ordering::Relaxed);
                let message = experimenters[current.load(Ordering::SeqCst)].seal(&request(number, 1000));
                outer.put(&format!("m-{number}"), &message);
                inner.wait_for(&format!("m-{number}"));
                sent.fetch_add(1, Ordering::Relaxed);
            }
        });
        let _stop = wait::Stop(&stop);
        for rotation in 0..rotations {
            let (began, before) = (Instant::now(), reloads(&gateway));
            world.mounts.signing.put("rmq_", &both(rotation));
            if rotation > 0 {
                wait::until("the reload", || (reloads(&gateway) > before).then_some(()));
            }
            // the new key is mounted beside the old one, so the experimenter may change over
            current.store(rotation + 1, Ordering::SeqCst);
            let so_far = sent.load(Ordering::Relaxed);
            wait::until("traffic under the new key", || (sent.load(Ordering::Relaxed) > so_far + 2).then_some(()));
            std::thread::sleep(Duration::from_secs(1).saturating_sub(began.elapsed())); // once a second
        }
    });
    println!("{} messages over {rotations} rotations", sent.load(Ordering::Relaxed));
    assert!(queue::rejects(&world.outer_root()).is_empty());

    // the first key went long ago
    outer.put("late", &experimenters[0].seal(&request(0, 1000)));
    let rejects = wait::until("the reject", || Some(queue::rejects(&world.outer_root())).filter(|r| !r.is_empty()));
    assert_eq!(rejects["late"]["reason"], "bad-signature");
}

#[test]
fn a_damaged_key_file_closes_its_prefix_alone() {
    let mut world = World::new();
    let other = Experimenter::new();
    world.mounts.signing.put("rmq_closed_", &other.public_line());
    let (closed, open) = (world.outer("rmq_closed_1"), world.outer("rmq_open"));
    let gateway = world.start();
    gateway.wait_until_ready();
    closed.put("before", &other.seal(&request(1, 500)));
    world.inner("rmq_closed_1").wait_for("before");

    world.mounts.signing.put("rmq_closed_", b"no key at all");
    wait::until("the obstacle", || gateway.get("/readyz").1.contains("rmq_closed_").then_some(()));
    // a shorter prefix's key does not take over
    closed.put("m", &world.experimenter.seal(&request(2, 500)));
    closed.put("n", &other.seal(&request(3, 500)));
    open.put("m", &world.experimenter.seal(&request(4, 500)));
    world.inner("rmq_open").wait_for("m");
    assert_eq!(closed.names(), ["m", "n"]);
    assert!(world.inner("rmq_closed_1").names().is_empty());

    world.mounts.signing.put("rmq_closed_", &other.public_line());
    world.inner("rmq_closed_1").wait_for("n");
    gateway.wait_until_ready();
    let rejects = wait::until("the reject", || Some(queue::rejects(&world.outer_root())).filter(|r| !r.is_empty()));
    assert_eq!(rejects["m"]["reason"], "bad-signature");
}

#[test]
fn a_key_that_is_removed_stops_its_queue() {
    let mut world = World::new();
    let outer = world.outer("rmq_one");
    let gateway = world.start();
    outer.put("before", &world.experimenter.seal(&request(1, 500)));
    world.inner("rmq_one").wait_for("before");
    let before = reloads(&gateway);
    world.mounts.signing.remove("rmq_");
    wait::until("the reload", || (reloads(&gateway) > before).then_some(()));
    outer.put("m", &world.experimenter.seal(&request(2, 500)));
    wait::until("the route to end", || {
        gateway.log();
        (gateway.metric("studioml_gateway_in_flight", &["requests"]) == 0.0).then_some(())
    });
    assert_eq!(outer.names(), ["m"]);
    world.mounts.signing.put("rmq_", &world.experimenter.public_line());
    world.inner("rmq_one").wait_for("m");
}
