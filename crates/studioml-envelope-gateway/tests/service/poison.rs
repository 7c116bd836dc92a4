//! Messages that can never pass, and floods of them.

use std::collections::BTreeMap;
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::support::keys::{Experimenter, number_of, request};
use crate::support::poison::{self, Item};
use crate::support::process::{Gateway, write_config};
use crate::support::{long, queue, short_or_long, wait};
use crate::world::World;

#[test]
fn each_poisoned_message_gets_one_reject_entry_and_the_next_one_flows() {
    let mut world = World::new();
    let (mounts, queue) = poison::mounts(world.root());
    world.mounts = mounts;
    world.configure("", "");
    let outer = world.outer(&queue);
    let mut poison = BTreeMap::new();
    let gateway = world.start();
    for Item { name, contents, is_request } in poison::items() {
        outer.put(&name, &contents);
        if !is_request {
            wait::until(&format!("the reject of {name}"), || {
                queue::rejects(&world.outer_root()).contains_key(&name).then_some(())
            });
            poison.insert(name, contents);
        }
    }
    wait::until("the outer queue to be empty", || outer.names().is_empty().then_some(()));
    let rejects = queue::rejects(&world.outer_root());
    assert_eq!(rejects.keys().collect::<Vec<_>>(), poison.keys().collect::<Vec<_>>());
    for (name, contents) in &poison {
        assert_eq!(&queue::rejected(&world.outer_root(), name), contents, "{name} is not what was sent");
        assert_eq!(rejects[name]["queue"], queue.as_str());
    }
    // nothing of a message gets into the reason, nor into the log
    let log = gateway.log();
    for (name, contents) in &poison {
        let text = String::from_utf8_lossy(contents);
        for piece in text.as_bytes().windows(40).step_by(40) {
            let piece = String::from_utf8_lossy(piece);
            assert!(!log.contains(&*piece), "{name} is in the log");
            assert!(!rejects[name]["detail"].as_str().unwrap().contains(&*piece), "{name} is in its reason");
        }
    }
    // all that were let through were one message in different envelopes
    assert_eq!(world.inner(&queue).names().len(), 1);
}

#[test]
fn a_message_above_the_size_limit_is_rejected_unread() {
    let world = World::new();
    world.configure("", "[limits]\nmessage_bytes = 20000\n");
    let outer = world.outer("rmq_one");
    let large = world.experimenter.seal(&request(1, 30_000));
    outer.put("large", &large);
    outer.put("small", &world.experimenter.seal(&request(2, 3000)));
    let _gateway = world.start();
    world.inner("rmq_one").wait_for("small");
    let rejects = wait::until("the reject", || Some(queue::rejects(&world.outer_root())).filter(|r| !r.is_empty()));
    assert_eq!(rejects["large"]["reason"], "too-large");
    assert_eq!(queue::rejected(&world.outer_root(), "large"), large);
}

#[test]
fn the_reject_queue_is_bounded() {
    let world = World::new();
    world.configure("", "[rejects]\nmax_count = 10\n");
    let outer = world.outer("rmq_one");
    for number in 0..40 {
        outer.put(&format!("junk-{number:02}"), b"junk");
    }
    let gateway = world.start();
    let rejected = || gateway.metric("studioml_gateway_messages_total", &["result=\"rejected\""]);
    wait::until("all rejects", || (rejected() == 40.0).then_some(()));
    let kept: Vec<String> = queue::rejects(&world.outer_root()).into_keys().collect();
    assert_eq!(kept.len(), 10, "{kept:?}");
    let entries = fs::read_dir(world.outer_root().join(".gateway/rejected")).unwrap().count();
    assert_eq!(entries, 20, "an entry and its reason each");
}

/// Forged messages at 5,000 a second beside 10 honest ones a second, on one queue. The short form shares its machine with other
/// tests: 1,000 a second, and how long the honest ones take is told and not judged.
#[test]
fn honest_messages_flow_beside_a_flood_of_forged_ones() {
    let world = World::new();
    world.configure("", "[rejects]\nmax_count = 1000\n");
    let (seconds, rate) = short_or_long((4, 1000.0), (60, 5000.0));
    let outer = world.outer("rmq_one");
    // signed by somebody else: everything but the signature is in order
    let forger = Experimenter::new();
    let forged: Vec<Vec<u8>> = (0..64).map(|number| forger.seal(&request(number, 4096))).collect();
    let honest: Vec<Vec<u8>> = (0..seconds * 10).map(|n| world.experimenter.seal(&request(n, 4096))).collect();
    let gateway = world.start();
    gateway.wait_until_ready();

    let over = AtomicBool::new(false);
    let inner = world.inner("rmq_one");
    let (sent_forged, mut latencies) = std::thread::scope(|scope| {
        let flood = scope.spawn(|| {
            let began = Instant::now();
            let mut sent: u64 = 0;
            while !over.load(Ordering::Relaxed) {
                let due = began.elapsed().as_secs_f64() * rate;
                while (sent as f64) < due {
                    outer.put(&format!("forged-{sent}"), &forged[sent as usize % forged.len()]);
                    sent += 1;
                }
                std::thread::sleep(Duration::from_millis(1)); // the flood's pace
            }
            sent
        });
        let stop = wait::Stop(&over);
        let began = Instant::now();
        let mut latencies = Vec::new();
        for (number, message) in honest.iter().enumerate() {
            let due = Duration::from_millis(number as u64 * 100);
            std::thread::sleep(due.saturating_sub(began.elapsed())); // the honest one's pace
            let name = format!("honest-{number}");
            let sent = Instant::now();
            outer.put(&name, message);
            assert_eq!(number_of(&inner.wait_for(&name)), number);
            latencies.push(sent.elapsed());
        }
        drop(stop);
        (flood.join().unwrap(), latencies)
    });
    latencies.sort();
    let p99 = latencies[latencies.len() * 99 / 100];
    let opened = gateway.metric("studioml_gateway_private_key_operations_total", &[]);
    let rejected = gateway.metric("studioml_gateway_messages_total", &["result=\"rejected\""]);
    println!("forged sent {sent_forged} in {seconds} s, rejected {rejected}; honest p99 {p99:?}; RSA {opened}");
    assert!(!long() || p99 < Duration::from_secs(1), "{p99:?}");
    assert_eq!(opened, honest.len() as f64, "a forged message cost a private-key operation");
    wait::until("the flood to drain", || outer.names().is_empty().then_some(()));
}

/// One experimenter floods a queue with good messages; another's few are not held up.
#[test]
fn a_flooded_queue_does_not_starve_another() {
    let world = World::new();
    let (flooded, quiet) = (world.outer("rmq_flooded"), world.outer("rmq_quiet"));
    for number in 0..short_or_long(3000, 30_000) {
        flooded.put(&format!("m-{number}"), &world.experimenter.seal(&request(number, 2000)));
    }
    let few: Vec<Vec<u8>> = (0..20).map(|number| world.experimenter.seal(&request(number, 2000))).collect();
    let gateway = world.start();
    wait::until("the flood to begin", || (world.inner("rmq_flooded").names().len() > 10).then_some(()));
    let (mut slowest, mut beside) = (Duration::ZERO, 0);
    for (number, message) in few.iter().enumerate() {
        let began = Instant::now();
        quiet.put(&format!("m-{number}"), message);
        world.inner("rmq_quiet").wait_for(&format!("m-{number}"));
        slowest = slowest.max(began.elapsed());
        if flooded.names().is_empty() {
            break;
        }
        beside += 1;
    }
    println!("{beside} of the quiet queue beside the flood, the slowest in {slowest:?}");
    assert!(beside > 0, "it had to wait for the end of the flood\n{}", gateway.log());
    assert!(!long() || slowest < Duration::from_secs(2), "{slowest:?}");
}

#[test]
fn a_gateway_without_a_private_key_takes_nothing_and_says_so() {
    let mut world = World::new();
    let pem = crate::support::keys::private_pem(crate::support::keys::cluster_key());
    world.mounts.encryption.remove("ssh-privatekey");
    let outer = world.outer("rmq_one");
    outer.put("m", &world.experimenter.seal(&request(1, 500)));
    let gateway = Gateway::start(&world.config());
    wait::until("the obstacle", || gateway.get("/readyz").1.contains("no private key").then_some(()));
    assert_eq!(gateway.get("/readyz").0, 503);
    assert_eq!(gateway.get("/livez").0, 200);
    assert_eq!(outer.names(), ["m"]);
    world.mounts.encryption.put("ssh-privatekey", &pem);
    world.inner("rmq_one").wait_for("m");
    gateway.wait_until_ready();
}

#[test]
fn a_configuration_that_cannot_be_used_is_refused_at_the_start() {
    let world = World::new();
    let text = format!(
        "[outer]\nkind = \"dir\"\nroot = \"same\"\n[inner]\nkind = \"dir\"\nroot = \"same/inner\"\n\
         [http]\nlisten = \"nowhere\"\n{}",
        world.mounts.toml()
    );
    write_config(world.root(), &text);
    let (code, log) = Gateway::start(&world.config()).ended();
    assert_eq!(code, Some(3));
    assert!(log.contains("inside the other") && log.contains("http.listen"), "{log}");
}
