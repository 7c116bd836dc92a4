//! Does the time of opening tell why it failed? After dudect (O. Reparaz, J. Balasch, I. Verbauwhede, DATE 2017): payloads of
//! several classes are opened in random order, and Welch's t between the classes says whether their times differ. Run it by
//! `cargo xtask timing`; the numbers are for people, and no test depends on them.
//!
//! A |t| above 4.5 is a difference that chance does not make; how large it is stands beside it. Two controls show what the
//! method can see: one class against itself, and a receiver that is made to leak.
#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a program for developers stops where something is not as expected"
)]

use std::time::Instant;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use num_bigint::BigUint;
use sha2::{Digest as _, Sha256};
use studioml_envelope::{Payload, Provider, provider};
use studioml_envelope_core::{Identity, Random, RsaPrivateKey, SessionKey, Unwrapped};

/// Payloads per class: many, so that the time of one number is not taken for the time of its class.
const PER_CLASS: usize = 512;
const HASH: usize = 32;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    Valid,
    BadTag,
    /// Any number below the modulus.
    Random,
    /// First byte 00, as Manger's oracle tells: the label hash is wrong.
    LeadingZero,
    /// First byte not 00.
    NoLeadingZero,
    /// First byte 00 and a good label hash, and no separator after it.
    NoSeparator,
    /// A key of 31 bytes, well padded.
    ShortKey,
}

const CLASSES: [Class; 7] = [
    Class::Valid,
    Class::BadTag,
    Class::Random,
    Class::LeadingZero,
    Class::NoLeadingZero,
    Class::NoSeparator,
    Class::ShortKey,
];

const PAIRS: [(Class, Class, &str); 7] = [
    (Class::LeadingZero, Class::NoLeadingZero, "Manger's bit: first byte 00 or not"),
    (Class::LeadingZero, Class::BadTag, "bad OAEP or bad tag"),
    (Class::NoLeadingZero, Class::BadTag, "bad OAEP or bad tag"),
    (Class::NoSeparator, Class::LeadingZero, "where in OAEP it fails"),
    (Class::ShortKey, Class::BadTag, "a key of the wrong length or a bad tag"),
    (Class::Random, Class::BadTag, "random ciphertext or bad tag"),
    (Class::Valid, Class::BadTag, "valid or not (public: the answer differs)"),
];

struct Options {
    samples: usize,
    bits: usize,
}

fn main() {
    let options = options();
    let generating = provider::default();
    let key = generating.key_unwrap.generate(options.bits, generating.random).unwrap();
    println!("RSA-{}, {} samples per class and provider, classes in random order", options.bits, options.samples);
    println!("t: Welch's; cropped: without the slowest tenth; difference: of the medians, of one opening's median\n");
    let payloads = payloads(&key, &generating);
    let mut seen: Vec<&str> = Vec::new();
    for provider in provider::ALL {
        let library = provider.key_unwrap.implementation().library;
        let note = if seen.contains(&library) { " (once more)" } else { "" };
        seen.push(library);
        println!("{}: key_unwrap by {library}{note}", provider.name);
        let identity = provider.key_unwrap.load(&key).unwrap();
        measure(provider, identity, &payloads, &options);
    }
    println!("control: {} made to leak", generating.name);
    let leaking = Leaking(generating.key_unwrap.load(&key).unwrap());
    measure(&generating, Box::new(leaking), &payloads, &Options { samples: options.samples / 4, ..options });
}

fn options() -> Options {
    let mut options = Options { samples: 5000, bits: 2048 };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let value = arguments.next().and_then(|value| value.parse().ok());
        match (argument.as_str(), value) {
            ("--samples", Some(value)) => options.samples = value,
            ("--bits", Some(value)) => options.bits = value,
            _ => panic!("usage: unwrap_timing [--samples N] [--bits N]"),
        }
    }
    options
}

/// Works a little longer where it found nothing: one part in a thousand of an unwrap.
struct Leaking(Box<dyn Identity>);

impl Identity for Leaking {
    fn wrapped_len(&self) -> usize {
        self.0.wrapped_len()
    }

    fn unwrap(&self, wrapped: &[u8], random: &dyn Random) -> Unwrapped {
        let unwrapped = self.0.unwrap(wrapped, random);
        if !unwrapped.found() {
            let mut digest = Sha256::digest(wrapped);
            (0..8).for_each(|_| digest = Sha256::digest(digest));
            std::hint::black_box(&digest);
        }
        unwrapped
    }
}

fn payloads(key: &RsaPrivateKey, provider: &Provider) -> Vec<(Class, Vec<Vec<u8>>)> {
    let n = BigUint::from_bytes_be(key.public_key().modulus());
    let e = BigUint::from(key.public_key().exponent());
    let len = key.public_key().modulus().len();
    let random = |length: usize| {
        let mut bytes = vec![0; length];
        provider.random.fill(&mut bytes).unwrap();
        bytes
    };
    let wrap = |encoded: &[u8]| {
        let digits = BigUint::from_bytes_be(encoded).modpow(&e, &n).to_bytes_be();
        [vec![0; len - digits.len()], digits].concat()
    };
    let make = |class: Class| {
        let session_key: [u8; 32] = random(32).try_into().unwrap();
        let block_len = len - HASH - 1;
        let message: &[u8] = if class == Class::ShortKey { &session_key[1..] } else { &session_key };
        let padding = vec![0; block_len - HASH - 1 - message.len()];
        let mut block = [Sha256::digest(b"").to_vec(), padding, vec![1], message.to_vec()].concat();
        match class {
            Class::LeadingZero | Class::NoLeadingZero => block[..HASH].copy_from_slice(&random(HASH)),
            Class::NoSeparator => block[HASH..].fill(0),
            _ => {}
        }
        let mut seed = random(HASH);
        xor(&mut block, &mgf1(&seed, block_len));
        xor(&mut seed, &mgf1(&block, HASH));
        // the top bit of the modulus is set, so a first byte below 80 keeps the number below it
        let first = if class == Class::NoLeadingZero { random(1)[0] % 0x7f + 1 } else { 0 };
        let wrapped = match class {
            Class::Random => {
                let number = BigUint::from_bytes_be(&random(len)) % &n;
                let digits = number.to_bytes_be();
                [vec![0; len - digits.len()], digits].concat()
            }
            _ => wrap(&[vec![first], seed, block].concat()),
        };
        let nonce: [u8; 24] = random(24).try_into().unwrap();
        let mut text = random(64);
        let mut tag = provider.secret_box.seal_in_place(&SessionKey::from_bytes(session_key), &nonce, &mut text);
        if class != Class::Valid {
            tag[0] ^= 1;
        }
        let boxed = [nonce.as_slice(), &tag, &text].concat();
        format!("{},{}", STANDARD.encode(wrapped), STANDARD.encode(boxed)).into_bytes()
    };
    CLASSES.map(|class| (class, (0..PER_CLASS).map(|_| make(class)).collect())).into()
}

fn mgf1(seed: &[u8], length: usize) -> Vec<u8> {
    let block = |counter: u32| Sha256::new().chain_update(seed).chain_update(counter.to_be_bytes()).finalize();
    (0_u32..).flat_map(block).take(length).collect()
}

fn xor(bytes: &mut [u8], mask: &[u8]) {
    bytes.iter_mut().zip(mask).for_each(|(byte, mask)| *byte ^= mask);
}

fn measure(provider: &Provider, identity: Box<dyn Identity>, payloads: &[(Class, Vec<Vec<u8>>)], options: &Options) {
    let identities = [identity];
    let mut times: Vec<Vec<f64>> = vec![Vec::with_capacity(options.samples + 64); CLASSES.len()];
    let mut choices = Choices::new(provider);
    let mut buffer = Vec::new();
    let total = options.samples * CLASSES.len();
    for round in 0..total + 200 {
        let class = choices.below(CLASSES.len());
        let (_, pool) = &payloads[class];
        buffer.clear();
        buffer.extend_from_slice(&pool[choices.below(PER_CLASS)]);
        let payload = Payload::parse(&mut buffer, 1 << 20).unwrap();
        let start = Instant::now();
        let opened = std::hint::black_box(payload.open_unauthenticated(provider, &identities));
        let time = start.elapsed();
        assert_eq!(opened.is_ok(), CLASSES[class] == Class::Valid);
        if round >= 200 {
            times[class].push(time.as_secs_f64() * 1e9);
        }
    }
    let of = |class: Class| &times[CLASSES.iter().position(|one| *one == class).unwrap()];
    let halves = of(Class::BadTag).split_at(of(Class::BadTag).len() / 2);
    report("one class against itself, to test the method", halves.0, halves.1);
    for (one, other, what) in PAIRS {
        report(&format!("{one:?} / {other:?}: {what}"), of(one), of(other));
    }
    println!();
}

/// Random choices, drawn in advance of what is timed.
struct Choices<'p> {
    provider: &'p Provider,
    bytes: [u8; 4096],
    used: usize,
}

impl<'p> Choices<'p> {
    fn new(provider: &'p Provider) -> Self {
        Self { provider, bytes: [0; 4096], used: 4096 }
    }

    fn below(&mut self, limit: usize) -> usize {
        if self.used == self.bytes.len() {
            self.provider.random.fill(&mut self.bytes).unwrap();
            self.used = 0;
        }
        let number = u32::from_le_bytes(self.bytes[self.used..self.used + 4].try_into().unwrap());
        self.used += 4;
        number as usize % limit
    }
}

fn report(what: &str, one: &[f64], other: &[f64]) {
    let (cropped_one, cropped_other) = cropped(one, other);
    let median = |times: &[f64]| {
        let mut sorted = times.to_vec();
        sorted.sort_unstable_by(f64::total_cmp);
        sorted[sorted.len() / 2]
    };
    let difference = median(one) - median(other);
    println!(
        "  {what:<72} t {:>7.2}   cropped {:>7.2}   difference {:>8.0} ns of {:.0}",
        welch(one, other),
        welch(&cropped_one, &cropped_other),
        difference,
        median(other)
    );
}

/// Both without what is slower than nine tenths of all: interrupts and other programs.
fn cropped(one: &[f64], other: &[f64]) -> (Vec<f64>, Vec<f64>) {
    let mut all = [one, other].concat();
    all.sort_unstable_by(f64::total_cmp);
    let limit = all[all.len() / 10 * 9];
    let keep = |times: &[f64]| times.iter().copied().filter(|time| *time <= limit).collect();
    (keep(one), keep(other))
}

/// Welch's t of two samples with variances of their own.
fn welch(one: &[f64], other: &[f64]) -> f64 {
    let moments = |times: &[f64]| {
        let count = times.len() as f64;
        let mean = times.iter().sum::<f64>() / count;
        let variance = times.iter().map(|time| (time - mean).powi(2)).sum::<f64>() / (count - 1.0);
        (mean, variance / count)
    };
    let ((mean_one, error_one), (mean_other, error_other)) = (moments(one), moments(other));
    (mean_one - mean_other) / (error_one + error_other).sqrt()
}
