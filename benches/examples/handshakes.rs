//! Handshakes of the channel, client and server on one core over loopback, beside the library's bare calls, the same with the least
//! that a connection costs, and the seed's own Python: all in turns of some 10 ms, so that what else the machine does falls on all
//! alike.
//!
//! Prints, for each, the median time of one handshake, and the quartiles over many rounds of its rate by that of the bare calls
//! and by that of the Python. The Python runs where `STUDIOML_PYTHON` names one with `cryptography`.
//!
//! Example: `STUDIOML_PYTHON=… taskset -c 3 cargo run --release -p studioml-envelope-benches --example handshakes -- 300`,
//! where the number, if there is one, says how many rounds.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a measurement whose ground is missing stops at once")]

use std::time::{Duration, Instant};

use studioml_envelope::{Provider, provider};
use studioml_envelope_benches::{
    channel::{BareHandshake, Keys, Mode, Serving, establish, one_thread},
    peer::Peer,
    turns::{Contender, take_turns},
};

/// Handshakes in a turn; a number that the clients of [`AT_ONCE`] share without a rest.
const TURN: u64 = 48;
/// Clients that connect at once, where they are not one after another.
const AT_ONCE: u64 = 8;

fn main() {
    let rounds: usize = std::env::args().nth(1).map_or(200, |rounds| rounds.parse().unwrap());
    let provider = provider::default();
    println!(
        "| mode | | µs | rate by bare calls: median (quartiles) | by Python, clients one after another | by Python, {AT_ONCE} at once |"
    );
    println!("|---|---|---|---|---|---|");
    for mode in Mode::ALL {
        measure(&provider, mode, rounds);
    }
}

fn measure(provider: &Provider, mode: Mode, rounds: usize) {
    let keys = Keys::generate(provider);
    let bare = BareHandshake::of(mode);
    let connector = keys.connector(provider, mode);
    let runtime = one_thread();
    let server = runtime.block_on(async { Serving::start(&keys, provider, mode) });

    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let (bare, floor) = (|| bare.run(), || bare.run_over_tcp(&listener));
    let in_memory = || drop(establish(keys.handshakes(provider, mode)));
    let mut contenders = vec![
        Contender::new("bare calls", || timed(bare)),
        Contender::new("floor: bare calls, blocking sockets", || timed(floor)),
        Contender::new("in memory", || timed(in_memory)),
    ];
    for (name, at_once) in [("one after another".to_owned(), 1), (format!("{AT_ONCE} at once"), AT_ONCE)] {
        let (runtime, server, connector) = (&runtime, &server, &connector);
        let turn = move || runtime.block_on(server.shake_hands(connector, TURN, at_once));
        contenders.push(Contender::new(format!("over TCP, {name}"), turn));
        if mode == Mode::Seed
            && let Some(mut python) = Peer::seed_handshakes(at_once)
        {
            contenders.push(Contender::new(format!("{}, {name}", python.name().to_owned()), move || python.run(TURN)));
        }
    }
    take_turns(&mut contenders, rounds);
    let is_reference = |name: &str| name == "bare calls" || name.contains("Python");
    for contender in &contenders {
        let references = contenders.iter().filter(|reference| is_reference(&reference.name));
        let ratios: Vec<String> = references.map(|reference| contender.rate_by(reference)).collect();
        let each = contender.median() * 1e6 / TURN as f64;
        println!("| {} | {} | {each:.0} | {} |", mode.name(), contender.name, ratios.join(" | "));
    }
}

fn timed(handshake: impl Fn()) -> Duration {
    let began = Instant::now();
    (0..TURN).for_each(|_| handshake());
    began.elapsed()
}
