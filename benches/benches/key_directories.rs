//! Mounted key directories: the lookup that every message makes, and a reload of many files.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "criterion's macros write the functions; a bench may stop at once"
)]

use std::{fs, path::Path};

use criterion::{Criterion, SamplingMode, Throughput, criterion_group, criterion_main};
use studioml_envelope::{Provider, TrustedSigner, provider};
use studioml_envelope_keys::directory::{KeyDirectory, Reload, Selection, SigningKeys};

const LIBRARY: &str = "studioml-envelope-keys";

/// As clusters name queues: a few kinds of machine, then people, then their experiments; every tenth within another prefix.
fn prefix(number: usize) -> String {
    let kind = ["rmq_cpu_", "rmq_gpu_", "sqs_cpu_", "sqs_gpu_"].get(number % 4).unwrap();
    let person = number / 10;
    if number.is_multiple_of(10) { format!("{kind}user{person}_") } else { format!("{kind}user{person}_exp{number}_") }
}

fn queue(number: usize) -> String {
    format!("{}run_{number}", prefix(number))
}

/// One directory with `count` signing keys, all different.
fn directory(count: usize, provider: &Provider) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    for number in 0..count {
        write_key(directory.path(), number, number, provider);
    }
    directory
}

fn write_key(directory: &Path, number: usize, version: usize, provider: &Provider) {
    let seed = provider.digest.sha256(&version.to_be_bytes());
    let loaded = studioml_envelope_keys::read_ed25519_seed(&seed, provider).unwrap();
    let line = studioml_envelope_keys::encode_public(
        loaded.public_key(),
        studioml_envelope_keys::PublicFormat::SshLine,
        "someone@somewhere",
    );
    fs::write(directory.join(prefix(number)), line.unwrap()).unwrap();
}

fn lookup(criterion: &mut Criterion) {
    let provider = provider::default();
    for count in [10_000, 100_000] {
        let directory = directory(count, &provider);
        let held = KeyDirectory::<TrustedSigner>::open(directory.path(), &provider);
        assert!(!held.current().has_errors());
        // in no order of the table, so that no cache has the way already
        let queues: Vec<String> = (0..count).map(|number| queue(number * 7919 % count)).collect();
        let ring = held.current();
        let mut group = criterion.benchmark_group(format!("select-key-of-{count}-prefixes"));
        group.throughput(Throughput::Elements(1));
        let mut next = queues.iter().cycle();
        group.bench_function(LIBRARY, |bench| {
            bench.iter(|| match ring.select(next.next().unwrap()) {
                Selection::Found { keys, .. } => keys.len(),
                Selection::Broken { .. } | Selection::None => 0,
            });
        });
        group.finish();
        let mut group = criterion.benchmark_group(format!("take-state-and-select-key-of-{count}-prefixes"));
        group.throughput(Throughput::Elements(1));
        let mut next = queues.iter().cycle();
        group.bench_function(LIBRARY, |bench| {
            bench.iter(|| matches!(held.current().select(next.next().unwrap()), Selection::Found { .. }));
        });
        group.finish();
    }
}

fn reload(criterion: &mut Criterion) {
    const COUNT: usize = 10_000;
    let provider = provider::default();
    let directory = directory(COUNT, &provider);
    let mut group = criterion.benchmark_group("load-10000-signing-keys");
    group.throughput(Throughput::Elements(COUNT as u64)).sampling_mode(SamplingMode::Flat).sample_size(10);
    group.bench_function(LIBRARY, |bench| {
        bench.iter(|| SigningKeys::load(directory.path(), &provider).unwrap());
    });
    group.finish();

    let held = KeyDirectory::<TrustedSigner>::open(directory.path(), &provider);
    let mut group = criterion.benchmark_group("reload-10000-signing-keys-unchanged");
    group.throughput(Throughput::Elements(COUNT as u64)).sampling_mode(SamplingMode::Flat).sample_size(10);
    group.bench_function(LIBRARY, |bench| bench.iter(|| assert!(held.reload().is_none())));
    group.finish();

    let mut version = COUNT;
    let mut group = criterion.benchmark_group("reload-10000-signing-keys-one-changed");
    group.throughput(Throughput::Elements(COUNT as u64)).sampling_mode(SamplingMode::Flat).sample_size(10);
    group.bench_function(LIBRARY, |bench| {
        bench.iter(|| {
            version += 1;
            write_key(directory.path(), 5, version, &provider);
            assert!(held.reload().is_some());
        });
    });
    group.finish();
}

criterion_group!(benches, lookup, reload);
criterion_main!(benches);
