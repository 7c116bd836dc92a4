//! Nothing secret stays behind on the stack: the stack below a call is painted, searched after the call, and must hold no 8
//! bytes of the session key, the subkey, the MAC key, a power of r, the key stream or the plaintext.
#![cfg(all(target_arch = "x86_64", not(miri)))]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod peers;

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use peers::{Bytes, paths};
use studioml_envelope_core::{CHUNK, Nonce, SecretBox, SessionKey, Tag};
use studioml_envelope_simd::hazmat::{self, Path};

/// How far below the caller is searched: much deeper than any path goes.
const DEPTH: usize = 128 * 1024;

/// Fills what the call will use with a byte that is neither zero nor secret.
#[inline(never)]
fn paint() {
    let mut stack = [0x5a_u8; DEPTH];
    std::hint::black_box(&mut stack);
}

/// Copies what the call has used, from below its caller's frame.
#[inline(never)]
fn copy_stack(out: &mut [u8]) {
    assert!(out.len() <= DEPTH);
    // SAFETY: reads stack that `paint` has touched, so it is mapped, and writes `out`. Nothing is called in between, so what
    // the last call left is still there but for the frame of this function.
    unsafe {
        std::arch::asm!(
            "mov rsi, rsp",
            "sub rsi, rcx",
            "rep movsb",
            out("rsi") _,
            inout("rdi") out.as_mut_ptr() => _,
            inout("rcx") out.len() => _,
            options(nostack),
        );
    }
}

/// Everything that must not be found, by its first 8 bytes.
struct Secrets(HashMap<[u8; 8], String>);

impl Secrets {
    fn of(key: &[u8; 32], nonce: &Nonce, plaintext: &[u8]) -> Self {
        let kernels = hazmat::kernels(Path::Portable).unwrap();
        let subkey = kernels.hsalsa20(key, nonce[..16].try_into().unwrap());
        let mut stream = vec![0; 32 + plaintext.len()];
        kernels.salsa20_xor(&subkey, nonce[16..].try_into().unwrap(), 0, &mut stream);

        let mut secrets = Self(HashMap::new());
        secrets.add_windows("session key", key, 4);
        secrets.add_windows("subkey", &subkey, 4);
        secrets.add_windows("MAC key", &stream[..32], 4);
        secrets.add_windows("key stream", &stream[32..], 4);
        secrets.add_windows("plaintext", plaintext, 1);
        // The word-sliced shape has the same word of neighbouring blocks side by side, and every word of the matrix repeated.
        for (block, pair) in stream.windows(128).step_by(64).enumerate() {
            for word in (0..64).step_by(4) {
                let bytes = [&pair[word..word + 4], &pair[64 + word..68 + word]].concat();
                secrets.add(format!("word {word} of block {block}"), &bytes);
            }
        }
        for (index, word) in subkey.chunks(4).enumerate() {
            secrets.add(format!("subkey word {index}"), &[word, word].concat());
        }
        // r and its powers in both radixes, as 64-bit lanes hold them, and what is multiplied by beside them: 5 and 20 times as much.
        let mut power = BigR::one();
        let r = BigR::clamped(&stream[..16]);
        for exponent in 1..=64 {
            power = power.times(&r);
            for (radix, limbs, fold) in [(44, 3, 20), (26, 5, 5)] {
                for (index, limb) in power.limbs(radix, limbs).into_iter().enumerate() {
                    let name = format!("limb {index} of r^{exponent} in radix 2^{radix}");
                    secrets.add(format!("{fold} times {name}"), &(fold * limb).to_le_bytes());
                    secrets.add(name, &limb.to_le_bytes());
                }
            }
        }
        secrets
    }

    fn add(&mut self, name: String, bytes: &[u8]) {
        let window: [u8; 8] = bytes.try_into().unwrap();
        // Small numbers are everywhere.
        if window.iter().filter(|byte| **byte != 0).count() >= 3 {
            self.0.insert(window, name);
        }
    }

    fn add_windows(&mut self, name: &str, bytes: &[u8], step: usize) {
        for (index, window) in bytes.windows(8).enumerate().step_by(step) {
            self.add(format!("byte {index} of the {name}"), window);
        }
    }

    /// What of it stands in `memory`, and where.
    fn found_in(&self, memory: &[u8]) -> Vec<String> {
        let windows = memory.windows(8).enumerate();
        windows
            .filter_map(|(at, window)| {
                let name = self.0.get::<[u8; 8]>(window.try_into().unwrap())?;
                Some(format!("{name}, {} below the caller", memory.len() - at))
            })
            .collect()
    }
}

/// Numbers mod 2^130 − 5, slow and plain.
struct BigR([u64; 5]);

impl BigR {
    fn one() -> Self {
        Self([1, 0, 0, 0, 0])
    }

    fn clamped(bytes: &[u8]) -> Self {
        let r = u128::from_le_bytes(bytes.try_into().unwrap()) & 0x0fff_fffc_0fff_fffc_0fff_fffc_0fff_ffff;
        Self(std::array::from_fn(|index| (r >> (26 * index)) as u64 & 0x3ff_ffff))
    }

    fn times(&self, other: &Self) -> Self {
        let mut product = [0_u128; 5];
        for (i, a) in self.0.iter().enumerate() {
            for (k, b) in other.0.iter().enumerate() {
                let fold = if i + k >= 5 { 5 } else { 1 };
                product[(i + k) % 5] += u128::from(*a) * u128::from(*b) * fold;
            }
        }
        let mut limbs = [0; 5];
        let mut carry = 0;
        for _ in 0..3 {
            for (limb, product) in limbs.iter_mut().zip(&mut product) {
                let sum = *product + carry;
                *limb = (sum & 0x3ff_ffff) as u64;
                carry = sum >> 26;
                *product = u128::from(*limb);
            }
            carry *= 5;
        }
        assert_eq!(carry, 0);
        Self(limbs)
    }

    fn limbs(&self, radix: usize, count: usize) -> Vec<u64> {
        let bit = |index: usize| if index < 130 { self.0[index / 26] >> (index % 26) & 1 } else { 0 };
        (0..count).map(|limb| (0..radix).map(|low| bit(limb * radix + low) << low).sum()).collect()
    }
}

fn after(part: &dyn SecretBox, len: usize, what: &str, call: impl Fn(&SessionKey, &Nonce, &[u8], &mut [u8], &Tag)) {
    let mut bytes = Bytes(len as u64);
    // The caller's own copies are on the heap.
    let (key, nonce, plaintext): (Box<[u8; 32]>, Box<Nonce>, _) =
        (Box::new(bytes.array()), Box::new(bytes.array()), bytes.vec(len));
    let session_key = Box::new(SessionKey::from_bytes(*key));
    let mut ciphertext = plaintext.clone();
    let tag = part.seal_in_place(&session_key, &nonce, &mut ciphertext);
    let secrets = Secrets::of(&key, &nonce, &plaintext);
    let mut text = if what == "seal_in_place" { plaintext.clone() } else { ciphertext };
    let mut stack = vec![0; DEPTH];

    paint();
    call(&session_key, &nonce, &plaintext, &mut text, &tag);
    copy_stack(&mut stack);

    let found = secrets.found_in(&stack);
    assert!(
        found.is_empty(),
        "{what}, {}, {len} bytes: {} found: {:#?}",
        part.implementation().path,
        found.len(),
        &found[..found.len().min(20)]
    );
}

/// Lengths that take every way through the kernels.
const LENGTHS: [usize; 18] =
    [1, 31, 64, 129, 224, 300, 352, 353, 480, 500, 740, 1056, 1057, 1700, 1956, 2500, 17_000, 40_001];

fn every_path(what: &str, call: impl Fn(&dyn SecretBox, &SessionKey, &Nonce, &[u8], &mut [u8], &Tag)) {
    for (_, part) in paths() {
        for len in LENGTHS {
            after(part, len, what, |key, nonce, plaintext, text, tag| call(part, key, nonce, plaintext, text, tag));
        }
    }
}

#[test]
fn seal_in_place_leaves_nothing() {
    every_path("seal_in_place", |part, key, nonce, _, text, _| {
        part.seal_in_place(key, nonce, text);
    });
}

#[test]
fn seal_chunks_leaves_nothing() {
    every_path("seal_chunks", |part, key, nonce, plaintext, _, _| {
        part.seal_chunks(key, nonce, plaintext, &mut |_| ());
    });
}

/// Nor when the sink panics: at its first piece, or where the whole has been sealed.
#[test]
fn seal_chunks_leaves_nothing_when_the_sink_panics() {
    for panics_at in [0, 2] {
        every_path("seal_chunks, panicking", |part, key, nonce, plaintext, _, _| {
            let mut pieces = 0..panics_at;
            // Without the message of a panic, and what writing it leaves on the stack.
            let mut sink = |_: &[u8]| pieces.next().unwrap_or_else(|| resume_unwind(Box::new(())));
            let sealed = catch_unwind(AssertUnwindSafe(|| {
                part.seal_chunks(key, nonce, plaintext, &mut |piece| {
                    sink(piece);
                })
            }));
            assert!(sealed.is_err() || plaintext.len() <= panics_at * CHUNK);
        });
    }
}

#[test]
fn open_in_place_leaves_nothing() {
    every_path("open_in_place", |part, key, nonce, _, text, tag| {
        part.open_in_place(key, nonce, tag, text).unwrap();
    });
}

#[test]
fn a_refused_open_leaves_nothing() {
    every_path("refused open_in_place", |part, key, nonce, _, text, tag| {
        let mut wrong = *tag;
        wrong[0] ^= 1;
        part.open_in_place(key, nonce, &wrong, text).unwrap_err();
    });
}

/// The search finds what is there: otherwise the tests above could not fail.
#[test]
fn the_search_finds_what_is_left() {
    #[inline(never)]
    fn leave(bytes: &[u8]) {
        let mut copy = [0; 64];
        copy.copy_from_slice(bytes);
        std::hint::black_box(&mut copy);
    }
    let mut bytes = Bytes(9);
    let (key, nonce, plaintext) = (bytes.array(), bytes.array(), bytes.vec(64));
    let secrets = Secrets::of(&key, &nonce, &plaintext);
    let mut stack = vec![0; DEPTH];
    paint();
    leave(&plaintext);
    copy_stack(&mut stack);
    assert!(!secrets.found_in(&stack).is_empty());
}
