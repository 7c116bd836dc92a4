//! Where the time goes when a message is verified and opened: the bare call of each primitive on just the bytes that it
//! works on there, in turns with the whole, in one thread.
//!
//! Example: `cargo run --release -p studioml-envelope-benches --example open_parts`
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a measurement whose ground is missing stops at once")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use base64::Engine as _;
use studioml_envelope::{Nonce, Opener, Payload, Provider, Sealer, Signer, Tag, Verifier, provider};
use studioml_envelope_benches::{
    MAX_PLAINTEXT,
    bare::{self, BASE64},
    ed25519, request, rsa_4096,
};

const TIMES: usize = 101;

/// Puts its input back, then does the work once and says how long that took.
type Step<'a> = (String, Box<dyn FnMut() -> Duration + 'a>);

fn main() {
    println!("| provider | bytes | part | µs | share |\n|---|---|---|---|---|");
    for name in ["aws-lc-rs+rustcrypto", "aws-lc-rs+simd", "rustcrypto"] {
        for size in [4 << 10, 1 << 20] {
            let medians = measure(&provider::by_name(name).unwrap(), size);
            let whole = medians.last().unwrap().1;
            for (part, seconds) in medians {
                println!("| {name} | {size} | {part} | {:.1} | {:.1} % |", seconds * 1e6, seconds / whole * 100.0);
            }
        }
    }
}

/// Medians in seconds of each part, and last of the whole.
fn measure(provider: &Provider, size: usize) -> Vec<(String, f64)> {
    let (key, signer) = (rsa_4096(), Signer::new(provider, &ed25519()).unwrap());
    let sealed = Sealer::new(provider, key.public_key()).unwrap().seal(&request(size)).unwrap();
    let signature = signer.sign(&sealed).unwrap();
    let verifier = Verifier::new(provider, [signer.public_key()]).unwrap();
    let opener = Opener::new(provider, [&key]).unwrap();

    let library = |implementation: studioml_envelope::Implementation| implementation.library;
    let (rsa, curve) = (library(provider.key_unwrap.implementation()), library(provider.verify.implementation()));
    let secret_box = library(provider.secret_box.implementation());
    let comma = sealed.iter().position(|byte| *byte == b',').unwrap();
    let (key_field, box_field) = (sealed.get(..comma).unwrap(), sealed.get(comma + 1..).unwrap());
    let (wrapped, boxed) = (BASE64.decode(key_field).unwrap(), BASE64.decode(box_field).unwrap());
    let (nonce, rest) = boxed.split_first_chunk::<24>().unwrap();
    let (tag, ciphertext): (&Tag, &[u8]) = rest.split_first_chunk::<16>().unwrap();
    let nonce: &Nonce = nonce;
    let (mut unwrap, verify) = (bare::unwrap(rsa, &key), bare::verify(curve));
    let mut scratch = [0; 512];
    let session_key = unwrap(&wrapped, &mut scratch);
    let raw_signature = BASE64.decode(&signature).unwrap();
    let raw_signature: &[u8; 64] = raw_signature.first_chunk().unwrap();
    let mut decoded = vec![0; boxed.len() + 3];
    let (mut text, mut payload) = (ciphertext.to_vec(), sealed.clone());

    let mut steps: Vec<Step<'_>> = vec![
        (
            format!("RSA-4096 unwrap ({rsa})"),
            Box::new(|| {
                timed(|| {
                    black_box(unwrap(black_box(&wrapped), &mut scratch));
                })
            }),
        ),
        (
            format!("Ed25519 verify ({curve})"),
            Box::new(|| timed(|| assert!(verify(black_box(&sealed), raw_signature)))),
        ),
        (
            "base64 decode".to_owned(),
            Box::new(|| timed(|| assert!(BASE64.decode_slice(black_box(box_field), &mut decoded).is_ok()))),
        ),
        (
            format!("SecretBox open ({secret_box})"),
            Box::new(|| {
                text.copy_from_slice(ciphertext);
                timed(|| bare::open_box(secret_box, &session_key, nonce, tag, black_box(&mut text)))
            }),
        ),
        (
            "the whole".to_owned(),
            Box::new(|| {
                payload.copy_from_slice(&sealed);
                timed(|| {
                    let payload = Payload::parse(black_box(&mut payload), MAX_PLAINTEXT).unwrap();
                    let opened = opener.open(verifier.verify_payload(payload, &signature).unwrap()).unwrap();
                    black_box(opened.into_plaintext());
                })
            }),
        ),
    ];
    let mut times = vec![Vec::new(); steps.len()];
    for _ in 0..TIMES {
        for ((_, step), times) in steps.iter_mut().zip(&mut times) {
            times.push(step());
        }
    }
    let medians = times.into_iter().map(|mut times| {
        times.sort();
        times.get(TIMES / 2).unwrap().as_secs_f64()
    });
    steps.iter().map(|(name, _)| name.clone()).zip(medians).collect()
}

fn timed(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}
