//! Canonical base64 over payload-sized buffers: what core encodes and decodes with, beside the
//! library's default engine and a plain copy.

use std::hint::black_box;

use base64::engine::general_purpose::STANDARD;
use base64::engine::simd::Simd;
use base64::engine::{DecodePaddingMode, Engine, GeneralPurposeConfig};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

const SIZES: [usize; 4] = [4 << 10, 64 << 10, 1 << 20, 16 << 20];

fn encode(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("base64-encode");
    let simd = simd();
    for size in SIZES {
        let bytes = bytes(size);
        let mut text = vec![0; base64::encoded_len(size, true).unwrap_or(0)];
        group.throughput(Throughput::Bytes(size as u64));
        group.bench_function(BenchmarkId::new("floor: memcpy bare", size), |b| {
            b.iter(|| text.get_mut(..size).map(|text| text.copy_from_slice(black_box(&bytes))));
        });
        group.bench_function(BenchmarkId::new("base64 default", size), |b| {
            b.iter(|| STANDARD.encode_slice(black_box(&bytes), &mut text));
        });
        group.bench_function(BenchmarkId::new("base64 simd", size), |b| {
            b.iter(|| simd.encode_slice(black_box(&bytes), &mut text));
        });
        let mut appended = Vec::with_capacity(text.len());
        group.bench_function(BenchmarkId::new("base64-simd", size), |b| {
            b.iter(|| {
                appended.clear();
                base64_simd::STANDARD.encode_append(black_box(&bytes), &mut appended);
            });
        });
    }
    group.finish();
}

fn decode(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("base64-decode");
    let simd = simd();
    for size in SIZES {
        let text = STANDARD.encode(bytes(size));
        // the engines want room for a whole last group
        let mut bytes = vec![0; size.saturating_add(3)];
        group.throughput(Throughput::Bytes(size as u64));
        group.bench_function(BenchmarkId::new("floor: memcpy bare", size), |b| {
            let source = text.as_bytes();
            b.iter(|| {
                bytes.get_mut(..size).zip(black_box(source).get(..size)).map(|(to, from)| to.copy_from_slice(from))
            });
        });
        group.bench_function(BenchmarkId::new("base64 default", size), |b| {
            b.iter(|| STANDARD.decode_slice(black_box(&text), &mut bytes));
        });
        group.bench_function(BenchmarkId::new("base64 simd", size), |b| {
            b.iter(|| simd.decode_slice(black_box(&text), &mut bytes));
        });
    }
    group.finish();
}

/// The engine and the strictness that core reads and writes payloads with.
fn simd() -> Simd {
    let canonical = GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(false)
        .with_decode_padding_mode(DecodePaddingMode::RequireCanonical);
    Simd::standard(canonical)
}

fn bytes(size: usize) -> Vec<u8> {
    (0..=u8::MAX).cycle().take(size).collect()
}

criterion_group!(benches, encode, decode);
criterion_main!(benches);
