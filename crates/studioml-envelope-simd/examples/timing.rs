//! Does the time of sealing or opening tell anything of key or plaintext? After dudect (O. Reparaz, J. Balasch,
//! I. Verbauwhede, DATE 2017): messages of two classes, fixed and random secrets, in random order, on every path; Welch's t
//! between the classes says whether their times differ.
//!
//! `cargo run --release -p studioml-envelope-simd --example timing [-- SAMPLES]`, on a CPU that does nothing else. A |t| above
//! 4.5 is a difference that chance does not make. Two controls show what the method can see: a class against itself, and a
//! comparison that stops at the first difference. The numbers are for people, and no test depends on them.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a program for developers")]

use std::hint::black_box;

use studioml_envelope_core::{SecretBox, SessionKey, Tag};
use studioml_envelope_simd::hazmat::{self, Path};

const NONCE: [u8; 24] = [0x24; 24];
const LENGTHS: [usize; 5] = [64, 256, 1024, 4096, 20_000];

/// Secrets of one message, and what is made of them.
struct Message {
    key: [u8; 32],
    plaintext: Vec<u8>,
    ciphertext: Vec<u8>,
    tag: Tag,
}

/// Bytes for secrets and for the order of the classes (splitmix64): the same on every run.
struct Bytes(u64);

impl Bytes {
    fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn message(&mut self, len: usize, random: bool) -> Message {
        let mut bytes = |len: usize| -> Vec<u8> {
            (0..len).map(|_| if random { self.word().to_le_bytes()[0] } else { 0 }).collect()
        };
        let key: [u8; 32] = bytes(32).try_into().unwrap();
        let plaintext = bytes(len);
        let mut ciphertext = plaintext.clone();
        let part = hazmat::secret_box(Path::Portable).unwrap();
        let tag = part.seal_in_place(&SessionKey::from_bytes(key), &NONCE, &mut ciphertext);
        Message { key, plaintext, ciphertext, tag }
    }
}

/// Ticks of the time-stamp counter where there is one: reading it costs a tenth of reading a clock.
fn now() -> u64 {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: every x86-64 CPU has these instructions.
    return unsafe {
        std::arch::x86_64::_mm_lfence();
        let ticks = std::arch::x86_64::_rdtsc();
        std::arch::x86_64::_mm_lfence();
        ticks
    };
    #[cfg(not(target_arch = "x86_64"))]
    {
        use std::sync::LazyLock;
        use std::time::Instant;
        static START: LazyLock<Instant> = LazyLock::new(Instant::now);
        START.elapsed().as_nanos() as u64
    }
}

/// Times of two classes.
#[derive(Default)]
struct Times([Vec<f64>; 2]);

impl Times {
    /// Welch's t of all, and of the fastest nine tenths of all.
    fn t(&self) -> [f64; 2] {
        let mut all: Vec<f64> = self.0.concat();
        all.sort_by(f64::total_cmp);
        [f64::INFINITY, all[all.len() * 9 / 10]].map(|limit| {
            let [one, other] = [&self.0[0], &self.0[1]].map(|times| {
                let kept: Vec<f64> = times.iter().copied().filter(|time| *time <= limit).collect();
                let count = kept.len() as f64;
                let mean = kept.iter().sum::<f64>() / count;
                let variance = kept.iter().map(|time| (time - mean).powi(2)).sum::<f64>() / (count - 1.0);
                (mean, variance / count)
            });
            (one.0 - other.0) / (one.1 + other.1).sqrt()
        })
    }

    fn median(&self) -> f64 {
        let mut all: Vec<f64> = self.0.concat();
        all.sort_by(f64::total_cmp);
        all[all.len() / 2]
    }
}

/// Times `run` on messages of both classes in random order; the buffers are the same for both.
fn measure(
    samples: usize,
    classes: &[Vec<Message>; 2],
    mut run: impl FnMut(&SessionKey, &Tag, &mut [u8], &mut [u8]) -> u64,
) -> Times {
    let mut order = Bytes(7);
    let mut times = Times::default();
    let len = classes[0][0].plaintext.len();
    let (mut plaintext, mut ciphertext) = (vec![0; len], vec![0; len]);
    let mut key = Box::new(SessionKey::from_bytes([0; 32]));
    let mut tag = [0; 16];
    for sample in 0..samples + samples / 10 {
        let word = order.word();
        let class = word as usize & 1;
        let message = &classes[class][(word >> 8) as usize % classes[class].len()];
        *key = SessionKey::from_bytes(message.key);
        plaintext.copy_from_slice(&message.plaintext);
        ciphertext.copy_from_slice(&message.ciphertext);
        tag.copy_from_slice(&message.tag);
        let time = run(&key, &tag, &mut plaintext, &mut ciphertext);
        // The first are for the caches.
        if sample >= samples / 10 {
            times.0[class].push(time as f64);
        }
    }
    times
}

fn report(what: &str, len: usize, times: &Times) -> f64 {
    let [t, cropped] = times.t();
    println!("{what:<34} {len:>6} bytes  median {:>7.0} ticks  t {t:>7.2}  cropped {cropped:>7.2}", times.median());
    cropped.abs()
}

fn seal(part: &dyn SecretBox, key: &SessionKey, plaintext: &mut [u8]) -> u64 {
    let start = now();
    black_box(part.seal_in_place(key, &NONCE, black_box(plaintext)));
    now() - start
}

fn open(part: &dyn SecretBox, key: &SessionKey, tag: &Tag, ciphertext: &mut [u8]) -> u64 {
    let start = now();
    black_box(part.open_in_place(key, &NONCE, tag, black_box(ciphertext)).is_ok());
    now() - start
}

fn main() {
    let samples = std::env::args().nth(1).map_or(20_000, |samples| samples.parse().unwrap());
    let mut largest = 0_f64;
    for len in LENGTHS {
        let mut bytes = Bytes(len as u64);
        let mut class = |random: bool| (0..128).map(|_| bytes.message(len, random)).collect::<Vec<_>>();
        let fixed_or_random = [class(false), class(true)];
        let random_or_random = [class(true), class(true)];
        for path in Path::ALL {
            let Some(part) = hazmat::secret_box(path) else { continue };
            let name = path.name();
            let seals = measure(samples, &fixed_or_random, |key, _, plaintext, _| seal(part, key, plaintext));
            largest = largest.max(report(&format!("{name}, seal"), len, &seals));
            let opens = measure(samples, &fixed_or_random, |key, tag, _, ciphertext| open(part, key, tag, ciphertext));
            largest = largest.max(report(&format!("{name}, open"), len, &opens));
            let refusals = measure(samples, &fixed_or_random, |key, tag, _, ciphertext| {
                let mut tag = *tag;
                tag[15] ^= 1;
                open(part, key, &tag, ciphertext)
            });
            largest = largest.max(report(&format!("{name}, refuse"), len, &refusals));
        }
        let part = studioml_envelope_simd::SECRET_BOX;
        let same = measure(samples, &random_or_random, |key, _, plaintext, _| seal(part, key, plaintext));
        report("control: no difference, seal", len, &same);
        let leak = measure(samples, &fixed_or_random, |_, _, plaintext, _| {
            let start = now();
            black_box(black_box(&*plaintext).iter().position(|byte| *byte != 0));
            now() - start
        });
        report("control: stops at a difference", len, &leak);
    }
    println!("largest |t|, cropped, of sealing, opening and refusing: {largest:.2}");
}
