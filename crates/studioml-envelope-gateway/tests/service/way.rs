//! The way through: requests in, reports out, and what may not pass.

use std::time::{Duration, Instant};

use studioml_envelope::Opener;

use crate::support::keys::{number_of, report, report_key, request};
use crate::support::process::Gateway;
use crate::support::{long, provider, queue, wait};
use crate::world::World;

#[test]
fn a_sealed_request_comes_out_clear_under_its_own_name() {
    let world = World::new();
    let outer = world.outer("rmq_one");
    let sent = request(1, 4096);
    outer.put("message-1", &world.experimenter.seal(&sent));
    let _gateway = world.start();
    assert_eq!(world.inner("rmq_one").wait_for("message-1"), sent);
    wait::until("the outer queue to be empty", || outer.names().is_empty().then_some(()));

    // written in place, as the Python client does it
    outer.put_in_place("message-2", &world.experimenter.seal(&request(2, 100_000)));
    assert_eq!(number_of(&world.inner("rmq_one").wait_for("message-2")), 2);
}

#[test]
fn a_queue_made_while_it_runs_is_found_within_two_seconds() {
    let world = World::new();
    let gateway = world.start();
    gateway.wait_until_ready();
    let began = Instant::now();
    world.outer("rmq_later").put("m", &world.experimenter.seal(&request(7, 500)));
    world.inner("rmq_later").wait_for("m");
    // on a machine that other tests share, it is told and not judged
    println!("found and carried within {:?}", began.elapsed());
    assert!(!long() || began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
}

#[test]
fn reports_come_out_sealed_and_in_order() {
    let world = World::new();
    world.outer("rmq_one");
    let outer = world.outer("rmq_one_response");
    let gateway = world.start();
    let inner = world.inner("rmq_one_response");
    wait::until("the inner report queue", || inner.path().is_dir().then_some(()));
    for number in 0..50 {
        inner.put_at(&format!("report-{:03}", 50 - number), &report(number), number as u64);
    }
    let names = wait::until("the reports", || Some(outer.names()).filter(|names| names.len() == 50));
    let expected: Vec<_> = (0..50).map(|number| format!("report-{:03}", 50 - number)).collect();
    assert_eq!(names, expected);

    let opener = Opener::new(&provider(), [report_key()]).unwrap();
    for (number, (_, mut sealed)) in outer.take().into_iter().enumerate() {
        let opened = opener.open_report(&mut sealed, 1 << 20).unwrap();
        assert_eq!(opened.unauthenticated_plaintext(), report(number));
    }
    assert_eq!(gateway.metric("studioml_gateway_messages_total", &["direction=\"reports\"", "published"]), 50.0);

    // what is no report stays inside: nothing clear ever goes out
    inner.put("junk", b"[1, 2]");
    inner.put("next", &report(99));
    outer.wait_for("next");
    let rejects = wait::until("the reject", || Some(queue::rejects(&world.inner_root())).filter(|r| !r.is_empty()));
    assert_eq!(rejects["junk"]["reason"], "not-a-report");
    assert!(queue::rejects(&world.outer_root()).is_empty());
}

#[test]
fn a_report_queue_that_is_made_inside_is_made_outside_too() {
    let world = World::new();
    let inner = queue::Queue::create(&world.inner_root(), "rmq_one_response");
    inner.put("report", &report(1));
    let _gateway = world.start();
    let mut sealed = queue::Queue::at(&world.outer_root(), "rmq_one_response").wait_for("report");
    let opener = Opener::new(&provider(), [report_key()]).unwrap();
    assert_eq!(opener.open_report(&mut sealed, 1 << 20).unwrap().unauthenticated_plaintext(), report(1));
}

#[test]
fn queues_without_a_key_are_left_alone() {
    let world = World::new();
    let (without, other) = (world.outer("sqs_one"), world.outer("nobody_knows"));
    for queue in [&without, &other] {
        queue.put("m", &world.experimenter.seal(&request(1, 500)));
    }
    let gateway = world.start();
    world.outer("rmq_one").put("m", &world.experimenter.seal(&request(1, 500)));
    world.inner("rmq_one").wait_for("m");
    gateway.wait_until_ready();
    assert_eq!(without.names(), ["m"]);
    assert_eq!(other.names(), ["m"]);
    assert!(!world.inner("sqs_one").path().exists());
}

#[test]
fn clear_text_passes_only_where_it_is_allowed_and_no_key_covers_the_queue() {
    let world = World::new();
    let sent = request(5, 700);
    world.outer("sqs_clear").put("m", &sent);
    world.outer("rmq_covered").put("m", &sent);
    let gateway = world.start();
    let rejects = || Some(queue::rejects(&world.outer_root())).filter(|rejects| !rejects.is_empty());
    assert_eq!(wait::until("the reject", rejects)["m"]["reason"], "clear-text");
    assert_eq!(queue::rejected(&world.outer_root(), "m"), sent);
    assert_eq!(world.outer("sqs_clear").names(), ["m"]);
    gateway.kill();

    world.configure("clear_text_messages = true", "");
    let gateway = world.start();
    assert_eq!(world.inner("sqs_clear").wait_for("m"), sent);
    world.outer("rmq_covered").put("again", &sent);
    wait::until("the reject", || queue::rejects(&world.outer_root()).contains_key("again").then_some(()));
    world.outer("sqs_clear").put("junk", b"{\"experiment\":1}");
    let junk = || queue::rejects(&world.outer_root()).get("junk").cloned();
    assert_eq!(wait::until("the reject", junk)["reason"], "not-a-request");
    gateway.kill();

    // the variable of the seed says the same
    world.configure("", "");
    world.outer("sqs_clear").put("by-variable", &sent);
    let _gateway = Gateway::start_with(&world.config(), &[("CLEAR_TEXT_MESSAGES", "true")]);
    assert_eq!(world.inner("sqs_clear").wait_for("by-variable"), sent);
}

#[test]
fn deleting_the_outer_queue_removes_the_inner_one() {
    let world = World::new();
    let outer = world.outer("rmq_gone");
    let staying = world.outer("rmq_staying");
    outer.put("m", &world.experimenter.seal(&request(1, 500)));
    staying.put("m", &world.experimenter.seal(&request(2, 500)));
    let _gateway = world.start();
    let inner = world.inner("rmq_gone");
    wait::until("the request", || (inner.names().len() == 1).then_some(()));
    wait::until("the request", || (world.inner("rmq_staying").names().len() == 1).then_some(()));
    std::fs::remove_dir_all(outer.path()).unwrap();
    wait::until("the inner queue to go", || (!inner.path().exists()).then_some(()));
    assert_eq!(world.inner("rmq_staying").names(), ["m"]);

    // and it may come back
    world.outer("rmq_gone").put("again", &world.experimenter.seal(&request(3, 500)));
    assert_eq!(number_of(&inner.wait_for("again")), 3);
}

#[test]
fn a_message_is_not_published_twice_and_not_on_another_queue() {
    let world = World::new();
    let (one, two) = (world.outer("rmq_one"), world.outer("rmq_two"));
    let sealed = world.experimenter.seal(&request(1, 500));
    one.put("first", &sealed);
    let gateway = world.start();
    world.inner("rmq_one").wait_for("first");

    // again on the same queue: taken care of already
    one.put("again", &sealed);
    let duplicates = || gateway.metric("studioml_gateway_messages_total", &["result=\"duplicate\""]);
    wait::until("the duplicate to be noticed", || (duplicates() == 1.0).then_some(()));
    wait::until("the outer queue to be empty", || one.names().is_empty().then_some(()));
    assert!(world.inner("rmq_one").names().is_empty());

    // on another queue, in another envelope: what is signed is the same
    let mut envelope: serde_json::Value = serde_json::from_slice(&sealed).unwrap();
    envelope["message"]["experiment_lifetime"] = "999h".into();
    two.put("replay", &serde_json::to_vec_pretty(&envelope).unwrap());
    let rejects = || queue::rejects(&world.outer_root()).get("replay").cloned();
    assert_eq!(wait::until("the reject", rejects)["reason"], "replayed");
    assert!(world.inner("rmq_two").names().is_empty());
}

#[test]
fn a_request_that_is_too_old_is_refused_when_an_age_is_configured() {
    let world = World::new();
    world.configure("", "[replay]\nmax_age_seconds = 3600\n");
    let outer = world.outer("rmq_one");
    let now = std::time::SystemTime::now().duration_since(std::time::SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let with_time = |time: String| format!("{{\"experiment\":{{\"time_added\":{time}}},\"config\":{{}}}}");
    for (name, time) in [
        ("old", (now - 4000).to_string()),
        ("new", (now - 60).to_string()),
        ("ahead", (now + 100_000).to_string()),
        ("untold", "null".to_owned()),
    ] {
        outer.put(name, &world.experimenter.seal(with_time(time).as_bytes()));
    }
    let _gateway = world.start();
    world.inner("rmq_one").wait_for("new");
    let rejects = wait::until("the rejects", || Some(queue::rejects(&world.outer_root())).filter(|r| r.len() == 3));
    for name in ["old", "ahead", "untold"] {
        assert_eq!(rejects[name]["reason"], "too-old", "{rejects:?}");
    }
}

#[test]
fn deleting_an_outer_queue_that_nobody_carries_leaves_what_has_its_name_inside() {
    let world = World::new();
    let (outer, carried) = (world.outer("local_gone"), world.outer("rmq_gone"));
    let inner = queue::Queue::create(&world.inner_root(), "local_gone");
    inner.put("m", b"somebody else's");
    carried.put("m", &world.experimenter.seal(&request(1, 500)));
    let _gateway = world.start();
    wait::until("the request", || (world.inner("rmq_gone").names().len() == 1).then_some(()));
    for queue in [outer, carried] {
        std::fs::remove_dir_all(queue.path()).unwrap();
    }
    wait::until("the inner queue to go", || (!world.inner("rmq_gone").path().exists()).then_some(()));
    assert_eq!(inner.names(), ["m"]);
}

#[test]
fn clear_text_does_not_pass_for_want_of_keys_that_were_there() {
    let mut world = World::new();
    world.configure("clear_text_messages = true", "");
    let sent = request(5, 700);
    let (clear, covered) = (world.outer("sqs_clear"), world.outer("rmq_covered"));
    let gateway = world.start();
    clear.put("before", &sent);
    world.inner("sqs_clear").wait_for("before");

    world.mounts.signing.remove("rmq_");
    let is_told = |gateway: &Gateway| gateway.get("/readyz").1.contains("no clear text passes").then_some(());
    wait::until("the obstacle", || is_told(&gateway));
    clear.put("m", &sent);
    covered.put("unsigned", &sent);
    world.mounts.signing.put("rmq_", &world.experimenter.public_line());
    assert_eq!(world.inner("sqs_clear").wait_for("m"), sent);
    let rejects = || queue::rejects(&world.outer_root()).get("unsigned").cloned();
    assert_eq!(wait::until("the reject", rejects)["reason"], "clear-text");
    gateway.kill();

    // a directory that is not there when it starts
    std::fs::remove_dir_all(world.mounts.signing.path()).unwrap();
    let gateway = world.start();
    wait::until("the obstacle", || is_told(&gateway));
    covered.put("unsigned-too", &sent);
    std::fs::create_dir(world.mounts.signing.path()).unwrap();
    std::fs::write(world.mounts.signing.path().join("rmq_"), world.experimenter.public_line()).unwrap();
    let rejects = || queue::rejects(&world.outer_root()).get("unsigned-too").cloned();
    assert_eq!(wait::until("the reject", rejects)["reason"], "clear-text");
}

#[test]
fn headers_that_say_something_else_than_the_request_are_told_by_name() {
    let world = World::new();
    let sealed = world.experimenter.seal(&request(1, 500));
    let mut envelope: serde_json::Value = serde_json::from_slice(&sealed).unwrap();
    envelope["message"]["experiment_lifetime"] = "999h".into();
    world.outer("rmq_one").put("m", &serde_json::to_vec(&envelope).unwrap());
    let gateway = world.start();
    world.inner("rmq_one").wait_for("m");
    let told = |line: &&str| line.contains("clear-text headers say something else");
    let log = wait::until("the line", || Some(gateway.log()).filter(|log| log.lines().any(|line| told(&line))));
    let line = log.lines().find(told).unwrap();
    assert!(line.contains("experiment_lifetime") && line.contains("rmq_one") && !line.contains("999h"), "{line}");
}
