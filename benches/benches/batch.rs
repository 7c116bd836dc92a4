//! Batches over the cores: messages of 4 KiB, one core beside two, four and all of them.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "criterion's macros write the functions; a bench may stop at once"
)]

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, SamplingMode, Throughput, criterion_group, criterion_main};
use rayon::{ThreadPool, ThreadPoolBuilder};
use studioml_envelope::{Opener, Provider, Sealer, Signer, Verifier, batch, provider};
use studioml_envelope_benches::{MAX_PLAINTEXT, ed25519, request, rsa_4096};

/// Messages in a batch: many for each core, so that the last one to finish does not decide.
const MESSAGES: usize = 256;
const SIZE: usize = 4 << 10;

/// Pools of one thread, two, four and so on up to one for each core, with their labels.
fn pools() -> Vec<(String, ThreadPool)> {
    let cores = std::thread::available_parallelism().unwrap().get();
    let doubled = std::iter::successors(Some(1), |threads| Some(threads * 2)).take_while(|threads| *threads < cores);
    let sizes: Vec<usize> = doubled.chain([cores]).collect();
    let label = |threads| if threads == 1 { "1 core".to_owned() } else { format!("{threads} cores") };
    sizes.into_iter().map(|n| (label(n), ThreadPoolBuilder::new().num_threads(n).build().unwrap())).collect()
}

/// What is measured: the two compositions that an operator would choose from.
fn best() -> impl Iterator<Item = &'static Provider> {
    provider::ALL.iter().filter(|provider| provider.name.starts_with("aws-lc-rs"))
}

fn open(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("batch-verify+open");
    group.throughput(Throughput::Elements(MESSAGES as u64)).sampling_mode(SamplingMode::Flat);
    let key = rsa_4096();
    for provider in best() {
        let signer = Signer::new(provider, &ed25519()).unwrap();
        let sealer = Sealer::new(provider, key.public_key()).unwrap();
        let requests = vec![request(SIZE); MESSAGES];
        let sealed: Vec<Vec<u8>> =
            batch::seal_batch(&requests, &sealer, &signer).into_iter().collect::<Result<_, _>>().unwrap();
        let verifier = Verifier::new(provider, [signer.public_key()]).unwrap();
        let opener = Opener::new(provider, [&key]).unwrap();
        for (threads, pool) in pools() {
            group.bench_function(BenchmarkId::new(format!("{}, {threads}", provider.name), SIZE), |bench| {
                bench.iter_custom(|iterations| {
                    let mut total = Duration::ZERO;
                    for _ in 0..iterations {
                        let mut messages = sealed.clone();
                        let start = Instant::now();
                        pool.install(|| {
                            let opened = batch::open_batch(&mut messages, &verifier, &opener, MAX_PLAINTEXT);
                            assert!(opened.iter().all(Result::is_ok));
                        });
                        total += start.elapsed();
                    }
                    total
                });
            });
        }
    }
    group.finish();
}

fn seal(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("batch-seal+sign");
    group.throughput(Throughput::Elements(MESSAGES as u64)).sampling_mode(SamplingMode::Flat);
    let requests = vec![request(SIZE); MESSAGES];
    for provider in best() {
        let signer = Signer::new(provider, &ed25519()).unwrap();
        let sealer = Sealer::new(provider, rsa_4096().public_key()).unwrap();
        for (threads, pool) in pools() {
            group.bench_function(BenchmarkId::new(format!("{}, {threads}", provider.name), SIZE), |bench| {
                bench.iter(|| pool.install(|| black_box(batch::seal_batch(&requests, &sealer, &signer))));
            });
        }
    }
    group.finish();
}

criterion_group!(benches, open, seal);
criterion_main!(benches);
