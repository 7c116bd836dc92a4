//! How batches grow with cores: the same batch by pools of one thread, two, four and so on, in turns.
//!
//! Prints messages per second, and the quartiles over many rounds of the rate by that of one thread and by that of as many threads
//! that share nothing, each with a part of its own: what is lost there is the machine's doing.
//!
//! Example: `cargo run --release -p studioml-envelope-benches --example batches -- 15 512`: rounds, messages in a batch.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a measurement whose ground is missing stops at once")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use rayon::{ThreadPool, ThreadPoolBuilder};
use studioml_envelope::{Message, Opener, Sealer, Signer, Verifier, batch, provider};
use studioml_envelope_benches::{
    MAX_PLAINTEXT, ed25519, request, rsa_4096,
    turns::{Contender, take_turns},
};

const SIZE: usize = 4 << 10;

fn main() {
    let argument = |position, default| std::env::args().nth(position).map_or(default, |text| text.parse().unwrap());
    let (rounds, messages) = (argument(1, 15), argument(2, 512));
    let provider = provider::default();
    let (key, signer) = (rsa_4096(), Signer::new(&provider, &ed25519()).unwrap());
    let sealer = Sealer::new(&provider, key.public_key()).unwrap();
    let verifier = Verifier::new(&provider, [signer.public_key()]).unwrap();
    let opener = Opener::new(&provider, [&key]).unwrap();
    let requests = vec![request(SIZE); messages];
    let sealed: Vec<Vec<u8>> =
        batch::seal_batch(&requests, &sealer, &signer).into_iter().collect::<Result<_, _>>().unwrap();

    println!(
        "| {} | threads | messages/s | rate by one thread: median (quartiles) | by threads that share nothing |",
        provider.name
    );
    println!("|---|---|---|---|---|");
    let open = |messages: &mut [Vec<u8>]| {
        let opened = batch::open_batch(messages, &verifier, &opener, MAX_PLAINTEXT);
        assert!(opened.iter().all(Result::is_ok));
    };
    let open_alone = |messages: &mut [Vec<u8>]| {
        for message in messages {
            let verified = verifier.verify(Message::parse(message, MAX_PLAINTEXT).unwrap()).unwrap();
            black_box(opener.open(verified).unwrap());
        }
    };
    compare("open_batch", rounds, &sealed, open, open_alone);
    let seal = |requests: &mut [Vec<u8>]| drop(black_box(batch::seal_batch(requests, &sealer, &signer)));
    let seal_alone = |requests: &mut [Vec<u8>]| {
        let sealed: Vec<_> = requests.iter().map(|request| sealer.seal_signed_envelope(request, &signer)).collect();
        drop(black_box(sealed));
    };
    // sealing is some twelve times faster
    compare("seal_batch", rounds, &vec![request(SIZE); messages * 8], seal, seal_alone);
}

type Work<'a> = dyn Fn(&mut [Vec<u8>]) + Sync + 'a;

fn compare(
    operation: &str,
    rounds: usize,
    inputs: &[Vec<u8>],
    batch: impl Fn(&mut [Vec<u8>]) + Sync,
    alone: impl Fn(&mut [Vec<u8>]) + Sync,
) {
    let threads = threads();
    let mut contenders = Vec::new();
    for &threads in &threads {
        let pool = ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let (batch, alone) = (&batch, &alone);
        contenders.push(Contender::new("batch", move || in_pool(&pool, inputs, batch)));
        contenders.push(Contender::new("alone", move || in_threads(threads, inputs, alone)));
    }
    take_turns(&mut contenders, rounds);
    let one = contenders.first().unwrap();
    for (pair, threads) in contenders.chunks_exact(2).zip(threads) {
        let [batch, alone] = pair else { continue };
        let rate = inputs.len() as f64 / batch.median();
        println!("| {operation} | {threads} | {rate:.0} | {} | {} |", batch.rate_by(one), batch.rate_by(alone));
    }
}

/// One, two, four and so on, up to as many as there are cores.
fn threads() -> Vec<usize> {
    let cores = std::thread::available_parallelism().unwrap().get();
    let doubled = std::iter::successors(Some(1), |threads| Some(threads * 2)).take_while(|threads| *threads < cores);
    doubled.chain([cores]).collect()
}

fn in_pool(pool: &ThreadPool, inputs: &[Vec<u8>], batch: &Work<'_>) -> Duration {
    let mut inputs = inputs.to_vec();
    let began = Instant::now();
    pool.install(|| batch(&mut inputs));
    began.elapsed()
}

fn in_threads(threads: usize, inputs: &[Vec<u8>], alone: &Work<'_>) -> Duration {
    let mut inputs = inputs.to_vec();
    let part = inputs.len().div_ceil(threads);
    let began = Instant::now();
    std::thread::scope(|scope| {
        for part in inputs.chunks_mut(part) {
            scope.spawn(move || alone(part));
        }
    });
    began.elapsed()
}
