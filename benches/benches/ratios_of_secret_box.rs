//! How many times as fast as libsodium and `crypto_secretbox` the kernels of `studioml-envelope-simd` are, sealing and
//! opening in place.
//!
//! No criterion program: that measures one function after another, seconds apart, and a shared machine drifts by more than
//! that between them. Here everyone takes a turn of a millisecond in every round, on the same buffers, and what is
//! printed is the median over the rounds of the ratio within a round, with its quartiles. Arguments limit the sizes, and
//! `unaligned` moves the messages off the boundaries of cache lines, to where an allocator puts them:
//! `cargo bench -p studioml-envelope-benches --features peers --bench ratios_of_secret_box -- 4096 65536`.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a measurement whose ground is missing stops at once"
)]

use std::hint::black_box;
use std::time::{Duration, Instant};

use studioml_envelope::{SessionKey, Tag};
use studioml_envelope_benches::bare;
use studioml_envelope_simd::hazmat::{self, Path};

mod sodium;

const SIZES: [usize; 8] = [64, 256, 1 << 10, 4 << 10, 16 << 10, 64 << 10, 1 << 20, 16 << 20];
const KEY: [u8; 32] = [1; 32];
const NONCE: [u8; 24] = [2; 24];

/// What is measured at once, at least, where messages are short: three quarters of a first-level cache.
const BATCH: usize = 24 << 10;

/// How long a contestant works, at least, before its turn is measured, and again while it is. A core takes its time to grant
/// its widest vectors after a while without them: with turns of tens of microseconds those who use them are measured at one of
/// two speeds, 8 % apart, by chance.
const TURN: Duration = Duration::from_millis(1);

/// Alignment of a message: of a cache line, or what an allocator gives a large buffer, which is 16 bytes behind one.
const CACHE_LINE: usize = 64;
const BEHIND: usize = 16;

#[derive(Clone, Copy, PartialEq)]
enum Contestant {
    Own(Path),
    Sodium(sodium::Path),
    CryptoSecretbox,
}

use Contestant::{CryptoSecretbox, Own, Sodium};

const CONTESTANTS: [Contestant; 5] =
    [Own(Path::Avx512Ifma), Own(Path::Avx2), Sodium(sodium::Path::Best), Sodium(sodium::Path::Avx2), CryptoSecretbox];

/// Whom the kernels are compared with, each path with libsodium's own of that kind.
const COMPARED: [(Contestant, Contestant, &str); 4] = [
    (Own(Path::Avx512Ifma), Sodium(sodium::Path::Best), "AVX-512 : libsodium"),
    (Own(Path::Avx512Ifma), CryptoSecretbox, "AVX-512 : crypto_secretbox"),
    (Own(Path::Avx2), Sodium(sodium::Path::Avx2), "AVX2 : libsodium/avx2"),
    (Own(Path::Avx2), CryptoSecretbox, "AVX2 : crypto_secretbox"),
];

#[derive(Clone, Copy)]
enum Operation {
    Seal,
    Open,
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let (unaligned, sizes): (Vec<_>, Vec<_>) = arguments.iter().partition(|argument| *argument == "unaligned");
    let sizes: Vec<usize> = sizes.iter().map(|size| size.parse().unwrap()).collect();
    let offset = if unaligned.is_empty() { 0 } else { BEHIND };

    let names = COMPARED.map(|(_, _, name)| name).join(" | ");
    println!("| bytes | operation | AVX-512 ns | {names} |\n|---|---|---|---|---|---|---|");
    for size in if sizes.is_empty() { SIZES.to_vec() } else { sizes } {
        for (name, operation) in [("seal", Operation::Seal), ("open", Operation::Open)] {
            let measured = Messages::new(size, offset).measure(operation);
            let nanoseconds = quartiles(measured.iter().map(|round| time(round, Own(Path::Avx512Ifma))).collect())[1];
            let ratios = COMPARED.map(|(own, other, _)| {
                let ratios = measured.iter().map(|round| time(round, other) / time(round, own));
                let [low, median, high] = quartiles(ratios.collect());
                format!("{median:.2} ({low:.2} to {high:.2})")
            });
            println!("| {size} | {name} | {nanoseconds:.1} | {} |", ratios.join(" | "));
        }
    }
}

/// Nanoseconds per message of every contestant.
type Round = [f64; CONTESTANTS.len()];

fn time(round: &Round, of: Contestant) -> f64 {
    CONTESTANTS.iter().zip(round).find(|(contestant, _)| **contestant == of).unwrap().1.to_owned()
}

fn quartiles(mut values: Vec<f64>) -> [f64; 3] {
    values.sort_by(f64::total_cmp);
    [1, 2, 3].map(|quarter| *values.get(values.len() * quarter / 4).unwrap())
}

/// The buffers that all contestants work on, and what a sealed message in them looks like.
struct Messages {
    size: usize,
    /// Distance from one message to the next.
    stride: usize,
    /// Where the first one begins.
    start: usize,
    buffer: Vec<u8>,
    sealed: Vec<u8>,
    tag: Tag,
}

impl Messages {
    fn new(size: usize, offset: usize) -> Self {
        let stride = size.next_multiple_of(CACHE_LINE);
        let buffer = vec![7; (BATCH / stride).max(1) * stride + 2 * CACHE_LINE];
        let start = buffer.as_ptr().align_offset(CACHE_LINE) + offset;
        let mut sealed = vec![7; size];
        let tag = bare::seal_box("crypto_secretbox", &KEY, &NONCE, &mut sealed);
        Self { size, stride, start, buffer, sealed, tag }
    }

    /// As many rounds as take a few seconds, each with everybody's turn, beginning with another one.
    fn measure(&mut self, operation: Operation) -> Vec<Round> {
        let rounds = if self.size > 1 << 20 {
            25
        } else if self.size > 64 << 10 {
            151
        } else {
            301
        };
        let mut measured = vec![[0.0; CONTESTANTS.len()]; rounds];
        for (number, round) in measured.iter_mut().enumerate() {
            let mut turns: Vec<_> = CONTESTANTS.into_iter().zip(round).collect();
            turns.rotate_left(number % CONTESTANTS.len());
            for (contestant, time) in turns {
                *time = self.turn(contestant, operation);
            }
        }
        measured
    }

    /// A batch of messages that is not measured, so that caches and branch predictors have seen this contestant, and one that
    /// is. Opening destroys what it opens, so the messages are put back before each.
    fn turn(&mut self, contestant: Contestant, operation: Operation) -> f64 {
        let key = SessionKey::from_bytes(KEY);
        let tag = self.tag;
        match (contestant, operation) {
            (Own(path), Operation::Seal) => {
                let part = hazmat::secret_box(path).unwrap();
                self.batch(|text| part.seal_in_place(&key, &NONCE, text))
            }
            (Own(path), Operation::Open) => {
                let part = hazmat::secret_box(path).unwrap();
                self.batch(|text| part.open_in_place(&key, &NONCE, &tag, text).unwrap())
            }
            (Sodium(path), Operation::Seal) => {
                path.take();
                self.batch(sodium::seal)
            }
            (Sodium(path), Operation::Open) => {
                path.take();
                self.batch(|text| sodium::open(text, &tag))
            }
            (CryptoSecretbox, Operation::Seal) => {
                self.batch(|text| bare::seal_box("crypto_secretbox", &KEY, &NONCE, text))
            }
            (CryptoSecretbox, Operation::Open) => {
                self.batch(|text| bare::open_box("crypto_secretbox", &KEY, &NONCE, &tag, text))
            }
        }
    }

    fn batch<R>(&mut self, mut routine: impl FnMut(&mut [u8]) -> R) -> f64 {
        let mut elapsed = Duration::ZERO;
        let mut count = 0;
        for _ in 0..2 {
            (elapsed, count) = (Duration::ZERO, 0);
            while elapsed < TURN {
                let (_, messages) = self.buffer.split_at_mut(self.start);
                messages.chunks_exact_mut(self.stride).for_each(|text| text[..self.size].copy_from_slice(&self.sealed));
                let start = Instant::now();
                for text in messages.chunks_exact_mut(self.stride) {
                    black_box(routine(black_box(&mut text[..self.size])));
                    count += 1;
                }
                elapsed += start.elapsed();
            }
        }
        elapsed.as_secs_f64() * 1e9 / f64::from(count)
    }
}
