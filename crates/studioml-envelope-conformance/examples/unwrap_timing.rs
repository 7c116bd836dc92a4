//! Does the time of opening tell why it failed? After dudect (O. Reparaz, J. Balasch, I. Verbauwhede, DATE 2017): in every
//! round one payload of each class is opened, in random order, so that whatever slows the machine for a while slows all
//! classes alike; Student's t of the differences within the rounds says whether two classes differ. Rounds with a slow
//! sample (interrupts, other programs) are left out, at several limits, and the largest |t| counts. Run it by
//! `cargo xtask timing`; the numbers are for people, and no test depends on them.
//!
//! A |t| above 4.5 is a difference that chance does not make; how large it is stands beside it. Two controls show what the
//! method can see: a class against itself, and a receiver that works a stated time longer where it found no key.
#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a program for developers stops where something is not as expected"
)]

use std::time::{Duration, Instant};

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
    /// The same, drawn once more: what the method makes of no difference.
    BadTagAgain,
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

const CLASSES: [Class; 8] = [
    Class::Valid,
    Class::BadTag,
    Class::BadTagAgain,
    Class::Random,
    Class::LeadingZero,
    Class::NoLeadingZero,
    Class::NoSeparator,
    Class::ShortKey,
];

const PAIRS: [(Class, Class, &str); 8] = [
    (Class::BadTagAgain, Class::BadTag, "no difference, to test the method"),
    (Class::LeadingZero, Class::NoLeadingZero, "Manger's bit: first byte 00 or not"),
    (Class::LeadingZero, Class::BadTag, "bad OAEP or bad tag"),
    (Class::NoLeadingZero, Class::BadTag, "bad OAEP or bad tag"),
    (Class::NoSeparator, Class::LeadingZero, "where in OAEP it fails"),
    (Class::ShortKey, Class::BadTag, "a key of the wrong length or a bad tag"),
    (Class::Random, Class::BadTag, "random ciphertext or bad tag"),
    (Class::Valid, Class::BadTag, "valid or not (public: the answer differs)"),
];

/// The share of the samples that are fast enough to count, for each reading of t.
const KEPT: [f64; 6] = [1.0, 0.99, 0.95, 0.9, 0.75, 0.5];

struct Options {
    rounds: usize,
    bits: usize,
    leak: Duration,
    /// Only this library, or `control`.
    only: Option<String>,
}

impl Options {
    fn wants(&self, name: &str) -> bool {
        self.only.as_deref().is_none_or(|only| only == name)
    }
}

fn main() {
    let options = options();
    let generating = provider::default();
    let key = generating.key_unwrap.generate(options.bits, generating.random).unwrap();
    println!("RSA-{}, {} rounds, one opening of each class in a round, in random order", options.bits, options.rounds);
    println!("t: Student's, of the differences in a round, the largest of {} croppings", KEPT.len());
    println!("difference: the mean of the middle half of them, beside the median time of an opening\n");
    let payloads = payloads(&key, &generating);
    let mut seen: Vec<&str> = Vec::new();
    for provider in provider::ALL {
        let library = provider.key_unwrap.implementation().library;
        if seen.contains(&library) || !options.wants(library) {
            continue;
        }
        seen.push(library);
        println!("{}: key_unwrap by {library}", provider.name);
        measure(provider, provider.key_unwrap.load(&key).unwrap(), &payloads, &PAIRS, options.rounds);
    }
    if options.wants("control") {
        let leaking = Leaking::new(generating.key_unwrap.load(&key).unwrap(), options.leak);
        println!("control: {}, made to work {:?} longer where it found no key", generating.name, leaking.measured);
        measure(&generating, Box::new(leaking), &payloads, &PAIRS[..4], options.rounds);
    }
}

fn options() -> Options {
    let mut options = Options { rounds: 5000, bits: 2048, leak: Duration::from_micros(1), only: None };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let value = arguments.next().unwrap_or_default();
        let number = value.parse();
        match (argument.as_str(), number) {
            ("--rounds", Ok(number)) => options.rounds = number,
            ("--bits", Ok(number)) => options.bits = number,
            ("--leak-ns", Ok(number)) => options.leak = Duration::from_nanos(number as u64),
            ("--only", _) => options.only = Some(value),
            _ => panic!("usage: unwrap_timing [--rounds N] [--bits N] [--leak-ns N] [--only LIBRARY|control]"),
        }
    }
    options
}

/// Works a little longer where it found nothing.
struct Leaking {
    inner: Box<dyn Identity>,
    hashes: usize,
    /// How long that takes.
    measured: Duration,
}

impl Leaking {
    fn new(inner: Box<dyn Identity>, leak: Duration) -> Self {
        let time = |hashes: usize| {
            let start = Instant::now();
            (0..1000).for_each(|_| more_work(hashes));
            start.elapsed() / 1000
        };
        let hashes = (1..).find(|hashes| time(*hashes) >= leak).unwrap();
        Self { inner, hashes, measured: time(hashes) }
    }
}

fn more_work(hashes: usize) {
    let digest = (0..hashes).fold(Sha256::digest(b""), |digest, _| Sha256::digest(digest));
    std::hint::black_box(&digest);
}

impl Identity for Leaking {
    fn wrapped_len(&self) -> usize {
        self.inner.wrapped_len()
    }

    fn unwrap(&self, wrapped: &[u8], random: &dyn Random) -> Unwrapped {
        let unwrapped = self.inner.unwrap(wrapped, random);
        if !unwrapped.found() {
            more_work(self.hashes);
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

type Pair = (Class, Class, &'static str);

fn measure(
    provider: &Provider,
    identity: Box<dyn Identity>,
    payloads: &[(Class, Vec<Vec<u8>>)],
    pairs: &[Pair],
    rounds: usize,
) {
    let identities = [identity];
    let in_pairs = |class: &Class| pairs.iter().any(|(one, other, _)| [one, other].contains(&class));
    let mut order: Vec<usize> = (0..CLASSES.len()).filter(|index| in_pairs(&CLASSES[*index])).collect();
    let mut times: Vec<Vec<f64>> = vec![Vec::with_capacity(rounds); CLASSES.len()];
    let mut choices = Choices::new(provider);
    let mut buffer = Vec::new();
    let warm_up = 50;
    for round in 0..rounds + warm_up {
        (1..order.len()).rev().for_each(|last| order.swap(last, choices.below(last + 1)));
        for class in &order {
            let (_, pool) = &payloads[*class];
            buffer.clear();
            buffer.extend_from_slice(&pool[choices.below(PER_CLASS)]);
            let payload = Payload::parse(&mut buffer, 1 << 20).unwrap();
            let start = Instant::now();
            let opened = std::hint::black_box(payload.open_unauthenticated(provider, &identities));
            let time = start.elapsed();
            assert_eq!(opened.is_ok(), CLASSES[*class] == Class::Valid);
            if round >= warm_up {
                times[*class].push(time.as_secs_f64() * 1e9);
            }
        }
    }
    let of = |class: Class| &times[CLASSES.iter().position(|one| *one == class).unwrap()];
    for (one, other, what) in pairs {
        report(&format!("{one:?} / {other:?}: {what}"), of(*one), of(*other));
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

/// `one` and `other`: the times of the same rounds.
fn report(what: &str, one: &[f64], other: &[f64]) {
    let all = sorted(one.iter().chain(other).copied());
    let t = KEPT.map(|share| {
        let slowest = quantile(&all, share);
        let kept = one.iter().zip(other).filter(|(one, other)| one.max(**other) <= slowest);
        students_t(&kept.map(|(one, other)| one - other).collect::<Vec<_>>())
    });
    let largest = t.into_iter().max_by(|one, other| one.abs().total_cmp(&other.abs())).unwrap();
    let differences = sorted(one.iter().zip(other).map(|(one, other)| one - other));
    let middle = &differences[differences.len() / 4..differences.len() - differences.len() / 4];
    println!(
        "  {what:<72} t {largest:>7.2} (uncropped {:>7.2})   difference {:>7.0} ns of {:.0}",
        t[0],
        middle.iter().sum::<f64>() / middle.len() as f64,
        quantile(&sorted(other.iter().copied()), 0.5)
    );
}

fn sorted(times: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut times: Vec<f64> = times.collect();
    times.sort_unstable_by(f64::total_cmp);
    times
}

fn quantile(sorted: &[f64], share: f64) -> f64 {
    sorted[(sorted.len() as f64 * share) as usize - 1]
}

/// Student's t of a mean that should be 0; 0 for too few to tell.
fn students_t(differences: &[f64]) -> f64 {
    if differences.len() < 100 {
        return 0.0;
    }
    let count = differences.len() as f64;
    let mean = differences.iter().sum::<f64>() / count;
    let variance = differences.iter().map(|difference| (difference - mean).powi(2)).sum::<f64>() / (count - 1.0);
    mean / (variance / count).sqrt()
}
