//! Handshakes of the channel, both ends on one core: in memory, and over loopback TCP beside the seed's own Python.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "criterion's macros write the functions; a bench may stop at once"
)]

use std::time::Duration;

use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main, measurement::WallTime};
use studioml_envelope::{Implementation, Provider};
use studioml_envelope_benches::{
    channel::{BareHandshake, Keys, Mode, Serving, establish, one_thread},
    floor_label,
    peer::bench_seed_handshakes,
    serving,
};

/// The slot that a mode's handshake spends its time in.
fn agreement_slot(mode: Mode) -> fn(&Provider) -> Implementation {
    match mode {
        Mode::Seed => |provider| provider.agree.implementation(),
        Mode::Noise => |provider| provider.agree_static.implementation(),
    }
}

fn in_memory(criterion: &mut Criterion) {
    for mode in Mode::ALL {
        let mut group = criterion.benchmark_group(format!("channel-handshake-{}", mode.name()));
        group.throughput(Throughput::Elements(1));
        for served in serving(agreement_slot(mode)) {
            let keys = Keys::generate(&served.provider);
            group.bench_function(&served.label, |bench| {
                bench.iter(|| establish(keys.handshakes(&served.provider, mode)));
            });
        }
        floor(&mut group, mode);
        if mode == Mode::Noise {
            group.bench_function("snow", |bench| {
                let keys = [snow_key(), snow_key()];
                bench.iter(|| snow_handshake(&keys));
            });
        }
        group.finish();
    }
}

/// Connect, shake hands, drop; one after another.
fn over_loopback(criterion: &mut Criterion) {
    for mode in Mode::ALL {
        let operation = format!("channel-handshake-{}-over-tcp", mode.name());
        let mut group = criterion.benchmark_group(&operation);
        group.throughput(Throughput::Elements(1));
        for served in serving(agreement_slot(mode)) {
            group.bench_function(&served.label, |bench| {
                bench.iter_custom(|iterations| connect(&served.provider, mode, iterations));
            });
        }
        floor(&mut group, mode);
        if mode == Mode::Seed {
            bench_seed_handshakes(&mut group, &operation);
        }
        group.finish();
    }
}

fn connect(provider: &Provider, mode: Mode, iterations: u64) -> Duration {
    let keys = Keys::generate(provider);
    let connector = keys.connector(provider, mode);
    one_thread().block_on(async {
        let server = Serving::start(&keys, provider, mode);
        let took = server.shake_hands(&connector, iterations, 1).await;
        server.stop().await;
        took
    })
}

fn floor(group: &mut BenchmarkGroup<'_, WallTime>, mode: Mode) {
    let bare = BareHandshake::of(mode);
    group.bench_function(floor_label("aws-lc-rs"), |bench| bench.iter(|| bare.run()));
}

fn snow_builder() -> snow::Builder<'static> {
    snow::Builder::new("Noise_XX_P256_AESGCM_SHA256".parse().unwrap())
}

fn snow_key() -> Vec<u8> {
    snow_builder().generate_keypair().unwrap().private
}

/// Both ends by `snow`, over its own P-256, hash and cipher.
fn snow_handshake([client, server]: &[Vec<u8>; 2]) -> (snow::TransportState, snow::TransportState) {
    let mut client = snow_builder().local_private_key(client).unwrap().build_initiator().unwrap();
    let mut server = snow_builder().local_private_key(server).unwrap().build_responder().unwrap();
    let (mut message, mut payload) = ([0; 1024], [0; 1024]);
    let (mut writer, mut reader) = (&mut client, &mut server);
    for _ in 0..3 {
        let length = writer.write_message(&[], &mut message).unwrap();
        reader.read_message(message.get(..length).unwrap(), &mut payload).unwrap();
        core::mem::swap(&mut writer, &mut reader);
    }
    (client.into_transport_mode().unwrap(), server.into_transport_mode().unwrap())
}

criterion_group!(benches, in_memory, over_loopback);
criterion_main!(benches);
