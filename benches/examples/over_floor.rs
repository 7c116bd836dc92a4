//! How far whole messages are over the bare calls of their libraries: both measured in turns, in one thread, by the CPU time
//! that the thread spent, so that what else the machine does falls on both alike.
//!
//! Criterion measures one function after another, minutes apart; a ratio within a few per cent needs them side by side.
//! Prints, for each operation, provider and size, the quartiles of the ratio over many pairs. Arguments limit what runs:
//! names of operations and of providers, and sizes in bytes.
//!
//! Example: `cargo run --release -p studioml-envelope-benches --example over_floor -- open seal rustcrypto 4096`
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a measurement whose ground is missing stops at once")]

use std::hint::black_box;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use studioml_envelope::{Message, Opener, Payload, Provider, Sealer, Signer, Verifier, provider};
use studioml_envelope_benches::{
    MAX_PLAINTEXT, MESSAGE_SIZES, ed25519, floor::Floor, request, rsa_4096, turns::quartiles,
};

/// One side of a pair: puts its input back, then does the work once and says how long that took.
type Side<'a> = Box<dyn FnMut() -> Duration + 'a>;

const OPERATIONS: [&str; 6] =
    ["seal", "seal+sign", "open", "verify+open", "envelope-seal+sign", "envelope-verify+open"];
/// What an operator chooses from; the other compositions put the same parts together.
const PROVIDERS: [&str; 3] = ["aws-lc-rs+rustcrypto", "aws-lc-rs+simd", "rustcrypto"];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let sizes = MESSAGE_SIZES.map(|size| size.to_string());
    let sizes = sizes.each_ref().map(String::as_str);
    let (operations, providers) = (chosen(&arguments, &OPERATIONS), chosen(&arguments, &PROVIDERS));
    let sizes = chosen(&arguments, &sizes);
    let known =
        |argument: &String| [&operations, &providers, &sizes].iter().any(|all| all.contains(&argument.as_str()));
    assert!(arguments.iter().all(known), "known are {OPERATIONS:?}, {PROVIDERS:?} and sizes");

    println!("| operation | provider | bytes | µs | floor µs | ratio: median (quartiles) |\n|---|---|---|---|---|---|");
    for operation in operations {
        for provider in &providers {
            for size in sizes.iter().map(|size| size.parse().unwrap()) {
                let parties = Parties::new(&provider::by_name(provider).unwrap(), size);
                // as many as take some two seconds
                let pairs = if size > 1 << 20 { 25 } else { 151 };
                let (mine, floor) = parties.sides(operation);
                let row = compare(mine, floor, pairs);
                println!("| {operation} | {provider} | {size} | {row} |");
            }
        }
    }
}

/// Those of `all` that the arguments name; all where they name none.
fn chosen<'a>(arguments: &[String], all: &[&'a str]) -> Vec<&'a str> {
    let named: Vec<&str> =
        all.iter().copied().filter(|name| arguments.iter().any(|argument| argument == name)).collect();
    if named.is_empty() { all.to_vec() } else { named }
}

/// Runs the two in turns, each first in every other pair.
fn compare(mut mine: Side<'_>, mut floor: Side<'_>, pairs: usize) -> String {
    let mut measured = Vec::new();
    for pair in 0..pairs + 3 {
        let (mine, floor) = if pair % 2 == 0 {
            let mine = mine();
            (mine, floor())
        } else {
            let floor = floor();
            (mine(), floor)
        };
        // the first ones fill caches and the allocator
        if pair >= 3 {
            measured.push((mine.as_secs_f64(), floor.as_secs_f64()));
        }
    }
    let [_, mine, _] = quartiles(measured.iter().map(|pair| pair.0).collect());
    let [_, floor, _] = quartiles(measured.iter().map(|pair| pair.1).collect());
    let [low, ratio, high] = quartiles(measured.iter().map(|pair| pair.0 / pair.1).collect());
    format!("{:.1} | {:.1} | {ratio:.3} ({low:.3} to {high:.3})", mine * 1e6, floor * 1e6)
}

struct Parties {
    provider: Provider,
    size: usize,
    plaintext: Vec<u8>,
    sealer: Sealer,
    signer: Signer,
    verifier: Verifier,
    opener: Opener,
}

impl Parties {
    fn new(provider: &Provider, size: usize) -> Self {
        let (key, signer) = (rsa_4096(), Signer::new(provider, &ed25519()).unwrap());
        Self {
            provider: *provider,
            size,
            plaintext: request(size),
            sealer: Sealer::new(provider, key.public_key()).unwrap(),
            verifier: Verifier::new(provider, [signer.public_key()]).unwrap(),
            opener: Opener::new(provider, [&key]).unwrap(),
            signer,
        }
    }

    fn sides(&self, operation: &str) -> (Side<'_>, Side<'_>) {
        let mut floor = Floor::of(&self.provider, self.size);
        let payload = self.sealer.seal(&self.plaintext).unwrap();
        let signature = self.signer.sign(&payload).unwrap();
        let for_floor = (payload.clone(), signature.clone());
        match operation {
            "seal" => (
                timed(Vec::new(), |_| drop(black_box(self.sealer.seal(&self.plaintext).unwrap()))),
                timed(Vec::new(), move |_| {
                    black_box(floor.seal());
                }),
            ),
            "seal+sign" => (
                timed(Vec::new(), |_| {
                    let payload = self.sealer.seal(&self.plaintext).unwrap();
                    black_box(self.signer.sign(&payload).unwrap());
                }),
                timed(Vec::new(), move |_| {
                    black_box(floor.seal_and_sign());
                }),
            ),
            "envelope-seal+sign" => (
                timed(Vec::new(), |_| {
                    drop(black_box(self.sealer.seal_signed_envelope(&self.plaintext, &self.signer).unwrap()));
                }),
                timed(Vec::new(), move |_| {
                    black_box(floor.seal_and_sign());
                }),
            ),
            "open" => (
                timed(payload, |payload| {
                    let opened = self.opener.open_report(payload, MAX_PLAINTEXT).unwrap();
                    black_box(opened.into_unauthenticated_plaintext());
                }),
                timed(for_floor.0, move |payload| {
                    black_box(floor.open(payload));
                }),
            ),
            "verify+open" => (
                timed(payload, move |payload| {
                    let payload = Payload::parse(payload, MAX_PLAINTEXT).unwrap();
                    let verified = self.verifier.verify_payload(payload, &signature).unwrap();
                    black_box(self.opener.open(verified).unwrap().into_plaintext());
                }),
                timed(for_floor.0, move |payload| {
                    assert!(floor.verify(payload, &for_floor.1));
                    black_box(floor.open(payload));
                }),
            ),
            _ => (
                timed(self.sealer.seal_signed_envelope(&self.plaintext, &self.signer).unwrap(), |message| {
                    let message = Message::parse(message, MAX_PLAINTEXT).unwrap();
                    let verified = self.verifier.verify(message).unwrap();
                    black_box(self.opener.open(verified).unwrap().into_plaintext());
                }),
                timed(for_floor.0, move |payload| {
                    assert!(floor.verify(payload, &for_floor.1));
                    black_box(floor.open(payload));
                }),
            ),
        }
    }
}

fn timed<'a>(input: Vec<u8>, mut routine: impl FnMut(&mut [u8]) + 'a) -> Side<'a> {
    let mut buffer = input.clone();
    Box::new(move || {
        buffer.copy_from_slice(&input);
        let start = cpu_time();
        routine(black_box(&mut buffer));
        cpu_time() - start
    })
}

fn cpu_time() -> Duration {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(now.tv_sec.try_into().unwrap(), now.tv_nsec.try_into().unwrap())
}
