//! Whole messages beside the deployed programs, in turns of a tenth of a second on one core.
//!
//! Prints the median time of a message, and the quartiles over many rounds of the rate by that of the Python client and of the Go
//! runner. They are found as the benches find them: `STUDIOML_PYTHON` names a Python with PyCryptodome and PyNaCl,
//! `STUDIOML_BENCH_GO_RUNNER` the built program of `peers/go_runner`.
//!
//! Example: `taskset -c 3 cargo run --release -p studioml-envelope-benches --example deployed -- 21 4096`: rounds, bytes.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a measurement whose ground is missing stops at once")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use studioml_envelope::{Opener, Payload, Provider, Sealer, Signer, Verifier, provider};
use studioml_envelope_benches::{
    MAX_PLAINTEXT, ed25519,
    peer::Peer,
    request, rsa_4096,
    turns::{Contender, take_turns},
};

/// What an operator chooses from.
const PROVIDERS: [&str; 2] = ["aws-lc-rs+rustcrypto", "aws-lc-rs+simd"];
/// How long a turn is about.
const TURN: Duration = Duration::from_millis(100);

fn main() {
    let argument = |position, default| std::env::args().nth(position).map_or(default, |text| text.parse().unwrap());
    let (rounds, size) = (argument(1, 21), argument(2, 4096));
    println!(
        "| operation | bytes | | µs | rate by Python: median (quartiles) | rate by Go |\n|---|---|---|---|---|---|"
    );
    for operation in ["seal+sign", "verify+open"] {
        let parties: Vec<Parties> = PROVIDERS.map(|name| Parties::new(&provider::by_name(name).unwrap(), size)).into();
        let mut contenders = Vec::new();
        for peer in Peer::deployed(operation, size) {
            let name = peer.name().to_owned();
            contenders.push(in_turns(&name, repeated(peer)));
        }
        let peers = contenders.len();
        for (name, parties) in PROVIDERS.iter().zip(&parties) {
            contenders.push(in_turns(name, parties.of(operation)));
        }
        take_turns(&mut contenders, rounds);
        for contender in &contenders {
            let by: Vec<String> = contenders.iter().take(peers).map(|peer| contender.rate_by(peer)).collect();
            let each = contender.median() * 1e6;
            println!("| {operation} | {size} | {} | {each:.1} | {} |", contender.name, by.join(" | "));
        }
    }
}

/// A turn is so many iterations as take [`TURN`]; what counts is one.
fn in_turns<'a>(name: &str, mut times: impl FnMut(u32) -> Duration + 'a) -> Contender<'a> {
    let once = times(1).min(times(1)).as_secs_f64();
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "some thousands")]
    let count = (TURN.as_secs_f64() / once).ceil() as u32;
    Contender::new(name, move || times(count) / count)
}

fn repeated(mut peer: Peer) -> impl FnMut(u32) -> Duration {
    move |count| peer.run(count.into())
}

struct Parties {
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
            plaintext: request(size),
            sealer: Sealer::new(provider, key.public_key()).unwrap(),
            verifier: Verifier::new(provider, [signer.public_key()]).unwrap(),
            opener: Opener::new(provider, [&key]).unwrap(),
            signer,
        }
    }

    fn of(&self, operation: &str) -> Box<dyn FnMut(u32) -> Duration + '_> {
        if operation == "seal+sign" {
            return Box::new(|count| {
                let began = Instant::now();
                for _ in 0..count {
                    let payload = self.sealer.seal(&self.plaintext).unwrap();
                    black_box(self.signer.sign(&payload).unwrap());
                }
                began.elapsed()
            });
        }
        let payload = self.sealer.seal(&self.plaintext).unwrap();
        let signature = self.signer.sign(&payload).unwrap();
        let mut buffer = payload.clone();
        Box::new(move |count| {
            let began = Instant::now();
            for _ in 0..count {
                // opening is in place: that its input is put back is counted against us
                buffer.copy_from_slice(&payload);
                let payload = Payload::parse(&mut buffer, MAX_PLAINTEXT).unwrap();
                let verified = self.verifier.verify_payload(payload, &signature).unwrap();
                black_box(self.opener.open(verified).unwrap().into_plaintext());
            }
            began.elapsed()
        })
    }
}
