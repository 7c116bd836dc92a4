//! Keys that change under load, as Kubernetes changes them.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::support::keys::{Experimenter, Mount, cluster_key, private_pem, report_key, request};
use crate::support::process::Gateway;
use crate::support::{provider, queue, short_or_long, wait};
use crate::world::World;

/// How often the keys have been loaded anew.
fn reloads(gateway: &Gateway) -> f64 {
    gateway.metric("studioml_gateway_key_reloads_total", &[])
}

/// How often the keys of one mount have been.
fn reloads_of(gateway: &Gateway, mount: &Mount) -> usize {
    let mount = mount.path().display().to_string();
    gateway.log().lines().filter(|line| line.contains("keys have changed") && line.contains(&mount)).count()
}

#[test]
fn signing_and_private_keys_rotate_every_second_under_load() {
    const SENDERS: usize = 4;
    let mut world = World::new();
    let rotations = short_or_long(4, 60);
    let third = provider().key_unwrap.generate(2048, provider().random).unwrap();
    let private = |n: usize| [cluster_key(), report_key(), &third][n % 3];
    let experimenters: Vec<Experimenter> = (0..rotations + 2).map(|n| Experimenter::sealing_to(private(n))).collect();
    // of both kinds, the key that is used and the next one
    let mount = |world: &mut World, n: usize| {
        let signing = [experimenters[n].public_line(), experimenters[n + 1].public_line()].concat();
        world.mounts.signing.put("rmq_", &signing);
        let (this, next) = (private_pem(private(n)), private_pem(private(n + 1)));
        world.mounts.encryption.put_all(&[("ssh-privatekey", &this), ("ssh-privatekey.1", &next)]);
    };
    mount(&mut world, 0);
    let queues: Vec<_> = (0..SENDERS).map(|n| format!("rmq_{n}")).collect();
    let ends: Vec<_> = queues.iter().map(|queue| (world.outer(queue), world.inner(queue))).collect();
    let gateway = world.start();
    gateway.wait_until_ready();

    // the first keys go with the first rotation
    let (current, stop) = (AtomicUsize::new(1), AtomicBool::new(false));
    let sent: [AtomicUsize; SENDERS] = Default::default();
    let so_far = || sent.each_ref().map(|sent| sent.load(Ordering::SeqCst));
    std::thread::scope(|scope| {
        for ((outer, inner), sent) in ends.iter().zip(&sent) {
            let (experimenters, current, stop) = (&experimenters, &current, &stop);
            scope.spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let number = sent.load(Ordering::SeqCst);
                    let message = experimenters[current.load(Ordering::SeqCst)].seal(&request(number, 1000));
                    outer.put(&format!("m-{number}"), &message);
                    inner.wait_for(&format!("m-{number}"));
                    sent.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        let _stop = wait::Stop(&stop);
        for rotation in 1..=rotations {
            let began = Instant::now();
            let loaded = |world: &World| {
                [&world.mounts.signing, &world.mounts.encryption].map(|mount| reloads_of(&gateway, mount))
            };
            let before = loaded(&world);
            mount(&mut world, rotation);
            wait::until("the reload of both", || {
                loaded(&world).iter().zip(before).all(|(now, before)| *now > before).then_some(())
            });
            // the new keys are mounted beside the old ones, so the experimenter may change over
            current.store(rotation + 1, Ordering::SeqCst);
            let before = so_far();
            wait::until("traffic of all under the new keys", || {
                so_far().iter().zip(before).all(|(now, before)| *now > before + 1).then_some(())
            });
            std::thread::sleep(Duration::from_secs(1).saturating_sub(began.elapsed())); // once a second
        }
    });
    println!("{} messages over {rotations} rotations", so_far().iter().sum::<usize>());
    assert!(queue::rejects(&world.outer_root()).is_empty());

    // the first signing key went long ago, and so did the private key before the two that are mounted
    ends[0].0.put("signed", &experimenters[0].seal(&request(0, 1000)));
    let late = Experimenter::sealing_to(private(rotations + 2));
    world.mounts.signing.put("rmq_late", &late.public_line());
    world.outer("rmq_late").put("sealed", &late.seal(&request(0, 1000)));
    let rejects = wait::until("the rejects", || Some(queue::rejects(&world.outer_root())).filter(|r| r.len() == 2));
    assert_eq!(rejects["signed"]["reason"], "bad-signature");
    assert_eq!(rejects["sealed"]["reason"], "cannot-open");
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
    world.mounts.signing.put("rmq_other_", &world.experimenter.public_line());
    let outer = world.outer("rmq_one");
    let gateway = world.start();
    outer.put("before", &world.experimenter.seal(&request(1, 500)));
    world.inner("rmq_one").wait_for("before");
    let before = reloads(&gateway);
    world.mounts.signing.remove("rmq_");
    wait::until("the reload", || (reloads(&gateway) > before).then_some(()));
    outer.put("m", &world.experimenter.seal(&request(2, 500)));

    // the look that finds a new queue finds that this one has no key; until then "m" may be taken, and is handed back
    world.outer("rmq_other_one").put("m", &world.experimenter.seal(&request(3, 500)));
    world.inner("rmq_other_one").wait_for("m");
    wait::until("the message to be back", || (outer.names() == ["m"]).then_some(()));
    assert!(world.inner("rmq_one").names().is_empty());

    world.mounts.signing.put("rmq_", &world.experimenter.public_line());
    world.inner("rmq_one").wait_for("m");
}
