//! Load for the gateway, and figures against what the same library's RSA allows on the same cores.
//!
//! What `cargo xtask load` runs. Alone: `cargo run --release -p studioml-envelope-gateway --example load -- dir` (or `amqp`, which
//! starts two RabbitMQ nodes of its own). The gateway runs on the cores of `--cores`; load, brokers and everything else on the others, where there are others.
#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a measuring tool"
)]

mod ceiling;
mod cores;
mod sides;

#[path = "../../tests/support/mod.rs"]
mod support;

use std::time::{Duration, Instant};

use clap::Parser;
use rustix::process::Signal;
use serde::Serialize;
use studioml_envelope::RsaPrivateKey;
use support::keys::{Experimenter, Mounts, private_pem, public_pem, request};
use support::process::Gateway;
use support::{provider, wait};

use ceiling::Ceiling;
use cores::Cores;
use sides::{Kind, Sides};

/// Measures the gateway: sustained requests a second, latency at half of that, memory, and forged messages a second.
#[derive(Parser)]
struct Options {
    /// What is on both sides of it
    kind: Kind,
    /// Cores of the gateway, for example 0,1; all by default
    #[arg(long, value_delimiter = ',')]
    cores: Vec<usize>,
    /// How long each part takes, about
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Size of a request in bytes
    #[arg(long, default_value_t = 4096)]
    size: usize,
    /// Where directory queues are made
    #[arg(long)]
    directory: Option<std::path::PathBuf>,
    /// A file that the figures are written to as JSON, too
    #[arg(long, value_name = "FILE")]
    json: Option<std::path::PathBuf>,
}

/// Over how many queues the load is spread.
const QUEUES: usize = 4;
/// How long the gateway works, and how long there are bare unwraps, before it is the other's turn.
const TURN: Duration = Duration::from_secs(2);
const BARE_TURN: Duration = Duration::from_secs(1);

/// What was measured.
#[derive(Serialize)]
struct Figures {
    kind: &'static str,
    /// What unwraps.
    library: &'static str,
    gateway_cores: usize,
    request_bytes: usize,
    /// RSA-4096 unwraps of the same library on the gateway's cores.
    rsa_unwraps_per_second: f64,
    sustained_per_second: f64,
    share_of_ceiling: f64,
    half_load_per_second: f64,
    half_load_p50_ms: f64,
    half_load_p99_ms: f64,
    /// The most that was resident, under sustained load.
    resident_mib: f64,
    forged_rejected_per_second: f64,
    /// Per second of processor time that the gateway took.
    forged_rejected_per_core_second: f64,
}

fn main() {
    if std::env::var_os(support::process::CONFIG).is_some() {
        return support::process::be_the_gateway(); // the process that this program starts
    }
    let options = Options::parse();
    let cores = Cores::new(&options.cores);
    let key = provider().key_unwrap.generate(4096, provider().random).unwrap();
    cores.leave_to_gateway();

    let bench = Bench::new(&options, &cores, &key);
    let Sustained { rsa_unwraps_per_second, sustained_per_second, resident_mib } = bench.sustained();
    eprintln!("RSA-4096 unwraps on {} cores: {rsa_unwraps_per_second:.0}/s", cores.gateway());
    eprintln!("sustained: {sustained_per_second:.0}/s, {resident_mib:.0} MiB resident");
    let half_load_per_second = sustained_per_second / 2.0;
    let (half_load_p50_ms, half_load_p99_ms) = bench.latency(half_load_per_second);
    eprintln!("at half of that: p50 {half_load_p50_ms:.1} ms, p99 {half_load_p99_ms:.1} ms");
    let (forged_rejected_per_second, forged_rejected_per_core_second) = bench.forged();
    eprintln!("forged: {forged_rejected_per_second:.0}/s, {forged_rejected_per_core_second:.0} per core second");

    let figures = Figures {
        kind: options.kind.name(),
        library: provider().key_unwrap.implementation().library,
        gateway_cores: cores.gateway(),
        request_bytes: options.size,
        rsa_unwraps_per_second,
        sustained_per_second,
        share_of_ceiling: sustained_per_second / rsa_unwraps_per_second,
        half_load_per_second,
        half_load_p50_ms,
        half_load_p99_ms,
        resident_mib,
        forged_rejected_per_second,
        forged_rejected_per_core_second,
    };
    if let Some(path) = &options.json {
        std::fs::write(path, serde_json::to_string_pretty(&figures).unwrap() + "\n").unwrap();
    }
    println!("{}", text(&figures));
}

fn text(figures: &Figures) -> String {
    let line =
        |what: &str, value: f64, unit: &str, target: &str| format!("{what:<38} {value:>9.1} {unit:<4} {target}\n");
    let Figures { kind, gateway_cores, request_bytes, .. } = figures;
    let mut text = format!("gateway between {kind} queues, {gateway_cores} cores, requests of {request_bytes} bytes\n");
    text += &line("RSA-4096 unwraps on the same cores", figures.rsa_unwraps_per_second, "/s", "");
    text += &line("sustained requests", figures.sustained_per_second, "/s", "");
    text += &line("  of the RSA unwraps", figures.share_of_ceiling * 100.0, "%", "(target: 90)");
    text += &line("p50 at half load", figures.half_load_p50_ms, "ms", "");
    text += &line("p99 at half load", figures.half_load_p99_ms, "ms", "(target: below 50)");
    text += &line("resident under load", figures.resident_mib, "MiB", "(target: below 128 and the messages under way)");
    text += &line("forged rejected", figures.forged_rejected_per_second, "/s", "");
    text += &line("  per core second", figures.forged_rejected_per_core_second, "/s", "(target: 5000)");
    text
}

/// What goes through with full queues.
struct Sustained {
    rsa_unwraps_per_second: f64,
    sustained_per_second: f64,
    /// The most that was resident.
    resident_mib: f64,
}

/// A gateway's surroundings, made anew for each part.
struct Bench<'b> {
    options: &'b Options,
    cores: &'b Cores,
    key: &'b RsaPrivateKey,
    experimenter: Experimenter,
}

impl<'b> Bench<'b> {
    fn new(options: &'b Options, cores: &'b Cores, key: &'b RsaPrivateKey) -> Self {
        Self { options, cores, key, experimenter: Experimenter::sealing_to(key) }
    }

    fn sides(&self) -> Sides {
        let sides = Sides::new(self.options.kind, self.options.directory.as_deref(), QUEUES);
        let mut mounts = Mounts::empty(sides.directory());
        mounts.encryption.put("ssh-privatekey", &private_pem(self.key));
        mounts.signing.put("rmq_", &self.experimenter.public_line());
        mounts.reports.put("rmq_", &public_pem(self.key));
        sides.configure(&mounts.toml());
        sides
    }

    fn start(&self, sides: &Sides) -> Gateway {
        self.cores.run_as_gateway(|| Gateway::start(&sides.config()))
    }

    /// Numbered requests in order, sealed on all cores.
    fn seal(&self, by: &Experimenter, count: usize) -> Vec<Vec<u8>> {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        std::thread::scope(|scope| {
            let share = |thread: usize| count * thread / threads..count * (thread + 1) / threads;
            let workers: Vec<_> = (0..threads)
                .map(|thread| {
                    scope.spawn(move || {
                        share(thread).map(|n| by.seal(&request(n, self.options.size))).collect::<Vec<_>>()
                    })
                })
                .collect();
            workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
        })
    }

    /// Requests a second with full queues, and RSA unwraps a second on the same cores: in turns of seconds, the gateway
    /// standing still while bare unwraps are counted. A machine whose speed changes, changes it for both.
    fn sustained(&self) -> Sustained {
        let mut ceiling = Ceiling::new(self.key, self.cores);
        ceiling.measure(BARE_TURN);
        let turns = (self.options.seconds as f64 / TURN.as_secs_f64()).ceil();
        // twice what it can be: on a machine that others use, the gateway's many threads may get more than the unwraps did
        let enough = ceiling.per_second() * (turns * TURN.as_secs_f64() * 2.0 + 1.0);
        let sides = self.sides();
        sides.fill(&self.seal(&self.experimenter, enough as usize));
        let gateway = self.start(&sides);
        let published =
            || gateway.metric("studioml_gateway_messages_total", &["direction=\"requests\"", "result=\"published\""]);
        wait::until("the first hundred", || (published() > 100.0).then_some(()));

        let (mut count, mut time, mut resident) = (0.0, Duration::ZERO, 0);
        for _ in 0..turns as usize {
            let (before, began) = (published(), Instant::now());
            std::thread::sleep(TURN); // to ask costs the gateway time
            count += published() - before;
            time += began.elapsed();
            resident = resident.max(gateway.resident_bytes());
            gateway.signal(Signal::STOP);
            ceiling.measure(BARE_TURN);
            gateway.signal(Signal::CONT);
        }
        assert!(published() < enough - 1.0, "the queues were empty before the end");
        Sustained {
            rsa_unwraps_per_second: ceiling.per_second(),
            sustained_per_second: count / time.as_secs_f64(),
            resident_mib: resident as f64 / f64::from(1 << 20),
        }
    }

    /// Median and 99th percentile, in milliseconds, from publishing at the outer side to arrival at the inner one.
    fn latency(&self, rate: f64) -> (f64, f64) {
        let sides = self.sides();
        let messages = self.seal(&self.experimenter, (rate * self.options.seconds as f64) as usize);
        let gateway = self.start(&sides);
        gateway.wait_until_ready();
        let mut latencies = sides.pace(&messages, rate);
        latencies.sort();
        let at = |share: f64| latencies[((latencies.len() - 1) as f64 * share) as usize].as_secs_f64() * 1000.0;
        (at(0.5), at(0.99))
    }

    /// Forged messages rejected a second, and per second of processor time.
    fn forged(&self) -> (f64, f64) {
        let sides = self.sides();
        let forger = Experimenter::sealing_to(self.key);
        let count = 5000 * self.options.seconds as usize;
        let different = self.seal(&forger, 1000);
        let messages: Vec<Vec<u8>> = (0..count).map(|n| different[n % different.len()].clone()).collect();
        sides.fill(&messages);
        let gateway = self.start(&sides);
        measure(&gateway, "result=\"rejected\"", count)
    }
}

/// Waits until `count` messages have come to an end, and takes the middle eight tenths: how many a second, and how many a
/// second of processor time.
fn measure(gateway: &Gateway, label: &str, count: usize) -> (f64, f64) {
    let done = || gateway.metric("studioml_gateway_messages_total", &["direction=\"requests\"", label]);
    let mut from = None;
    let patience = Duration::from_secs(600);
    let (to, at, busy) = wait::within(patience, "the queues to be worked off", || {
        let (now, done, busy) = (Instant::now(), done(), gateway.processor_time());
        if done >= count as f64 * 0.1 && from.is_none() {
            from = Some((done, now, busy));
        }
        std::thread::sleep(Duration::from_millis(100)); // to ask costs the gateway time
        (done >= count as f64 * 0.9).then_some((done, now, busy))
    });
    let (first, began, busy_before) = from.expect("a tenth comes before nine tenths");
    let rate = (to - first) / (at - began).as_secs_f64();
    (rate, (to - first) / (busy - busy_before).as_secs_f64())
}
