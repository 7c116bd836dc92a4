//! What somebody sees who may send and watches the gateway's log, metrics and reject queue: J. Manger's oracle (CRYPTO 2001)
//! wants to tell one failure from another.

use std::collections::BTreeSet;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use num_bigint::BigUint;

use crate::support::keys::{cluster_key, request};
use crate::support::{queue, wait};
use crate::world::World;

/// Payloads that fail, each in its own way: in RSA, in OAEP, and in the tag alone.
fn failing(payload: &str) -> Vec<(String, String)> {
    let public = cluster_key().public_key();
    let (n, length) = (BigUint::from_bytes_be(public.modulus()), public.modulus().len());
    let (wrapped, boxed) = payload.split_once(',').unwrap();
    let (wrapped, boxed) = (STANDARD.decode(wrapped).unwrap(), STANDARD.decode(boxed).unwrap());
    let text = |wrapped: &[u8], boxed: &[u8]| format!("{},{}", STANDARD.encode(wrapped), STANDARD.encode(boxed));
    let number = |number: &BigUint| {
        let digits = number.to_bytes_be();
        text(&[vec![0; length - digits.len()], digits].concat(), &boxed)
    };
    let altered = |at: usize| {
        let mut boxed = boxed.clone();
        boxed[at] ^= 1;
        text(&wrapped, &boxed)
    };
    let mut found = vec![
        ("nonce".to_owned(), altered(0)),
        ("tag".to_owned(), altered(24)),
        ("ciphertext".to_owned(), altered(40)),
        ("the-number-0".to_owned(), number(&BigUint::ZERO)),
        ("the-number-1".to_owned(), number(&BigUint::from(1_u8))),
        ("n-minus-1".to_owned(), number(&(&n - 1_u8))),
        ("n".to_owned(), number(&n)),
        ("all-ones".to_owned(), text(&vec![0xff; length], &boxed)),
    ];
    // Manger's c·s^e: of these, some begin with a zero byte once decrypted and some do not
    let c = BigUint::from_bytes_be(&wrapped);
    for s in (2_u32..18).chain([257, 1 << 16]) {
        let multiple = &c * BigUint::from(s).modpow(&public.exponent().into(), &n) % &n;
        found.push((format!("multiple-{s}"), number(&multiple)));
    }
    found
}

#[test]
fn mangers_ciphertexts_leave_one_log_line_one_metric_and_one_reason() {
    let world = World::new();
    let outer = world.outer("rmq_one");
    let honest = world.experimenter.seal(&request(1, 500));
    let envelope: serde_json::Value = serde_json::from_slice(&honest).unwrap();
    let messages: Vec<(String, Vec<u8>)> = failing(envelope["message"]["payload"].as_str().unwrap())
        .into_iter()
        .map(|(name, payload)| (name, world.experimenter.sign(&payload)))
        .collect();
    let gateway = world.start();
    gateway.wait_until_ready();
    for (name, message) in &messages {
        outer.put(name, message);
        // one after another, so that the log has a line for each
        wait::until(&format!("the reject of {name}"), || {
            queue::rejects(&world.outer_root()).contains_key(name).then_some(())
        });
    }
    outer.put("honest", &honest);
    world.inner("rmq_one").wait_for("honest");

    let rejects = queue::rejects(&world.outer_root());
    let reasons: BTreeSet<(String, String)> =
        rejects.values().map(|entry| (entry["reason"].to_string(), entry["detail"].to_string())).collect();
    assert_eq!(reasons, BTreeSet::from([("\"cannot-open\"".to_owned(), "\"cannot open\"".to_owned())]));

    // beside the time, and how many lines went unsaid before, every line is the same
    let said =
        |line: &str| line.split_once(" WARN ").map(|(_, rest)| rest.split(" unsaid=").next().unwrap().to_owned());
    let log = wait::until("a line of the log", || Some(gateway.log()).filter(|log| log.contains("cannot open")));
    let lines: BTreeSet<String> = log.lines().filter(|line| line.contains(" rejected ")).filter_map(said).collect();
    assert_eq!(lines.len(), 1, "{log}");

    let count = messages.len() as f64;
    let rejected = |labels: &[&str]| gateway.metric("studioml_gateway_messages_total", labels);
    wait::until("the count of rejects", || (rejected(&["result=\"rejected\""]) == count).then_some(()));
    assert_eq!(rejected(&["result=\"rejected\"", "reason=\"cannot-open\""]), count);
    let operations = gateway.metric("studioml_gateway_private_key_operations_total", &[]);
    assert_eq!(operations, count + 1.0, "each cost what an honest one costs");
}
