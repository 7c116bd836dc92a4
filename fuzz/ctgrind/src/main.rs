//! Does a branch or an address depend on a secret? Run under Valgrind, which is told that secrets are undefined and reports
//! every conditional jump and every address that depends on undefined bits (A. Langley's ctgrind). `cargo xtask ctgrind`.
//!
//! A verdict on secrets (is the tag right, is the scalar in range) ends in a branch by whoever looks at it, which is the point
//! of a verdict: so many are allowed, and no more. Valgrind 3.19 knows no AVX-512, so on it the kernels of that path are not run; it says which are.

use std::ffi::c_void;
use std::process::ExitCode;

use crabgrind::memcheck::{MemState, mark_mem};
use crabgrind::{RunMode, count_errors, run_mode};
use studioml_envelope::provider;
use studioml_envelope_core::{
    Identity, OpenError, P256PrivateKey, Part, Payload, Provider, Random, RandomError, RsaPrivateKey, SecretBox,
    SecretBytes, SessionKey, Unwrapped,
};
use studioml_envelope_simd::hazmat::{self, Path};

/// The session key of the payload that is opened.
const SESSION_KEY: [u8; 32] = [0x5a; 32];

/// RSA of 2048 bits.
const RSA: &[u8] = include_bytes!("../../../crates/studioml-envelope-rustcrypto/tests/data/rsa-2048.pkcs1.der");

/// Marks bytes as secret.
fn secret(bytes: &[u8]) {
    set(bytes, MemState::Undefined);
}

/// Marks bytes as public again: a ciphertext, a tag, a verdict.
fn public(bytes: &[u8]) {
    set(bytes, MemState::Defined);
}

fn set(bytes: &[u8], state: MemState) {
    // what it returns is the wrong way round in this version; that marking works is what the first checks show
    let _wrong_way_round = mark_mem(bytes.as_ptr() as *mut c_void, bytes.len(), state);
}

struct Report {
    failures: usize,
}

impl Report {
    /// Runs `run` and compares how many branches and addresses depended on secrets with what is allowed. What `run` finds out
    /// is looked at by the caller, outside of it.
    fn check<T>(&mut self, what: &str, allowed: usize, run: impl FnOnce() -> T) -> T {
        let before = count_errors();
        let outcome = run();
        let found = count_errors() - before;
        let verdict = if found <= allowed { "as it should" } else { "NOT AS IT SHOULD" };
        println!("{what}: {found} dependences on secrets, {allowed} allowed: {verdict}");
        self.failures += usize::from(found > allowed);
        outcome
    }
}

fn main() -> ExitCode {
    if run_mode() != RunMode::Valgrind {
        eprintln!("error: this measures nothing unless it runs under Valgrind\nhint: cargo xtask ctgrind");
        return ExitCode::from(2);
    }
    let mut report = Report { failures: 0 };
    the_method_finds_what_it_should();
    for (name, part) in secret_boxes() {
        secret_box(&mut report, &name, part);
    }
    session_key_selection(&mut report);
    opening(&mut report);
    range_checks(&mut report);
    if report.failures == 0 {
        return ExitCode::SUCCESS;
    }
    eprintln!(
        "error: {} checks found other dependences than expected; Valgrind's reports name the places",
        report.failures
    );
    ExitCode::FAILURE
}

/// A branch on a secret and a look-up by one must be found, or nothing else counts.
fn the_method_finds_what_it_should() {
    let key = std::hint::black_box([7_u8; 32]);
    secret(&key);
    let before = count_errors();
    if std::hint::black_box(&key)[0] == std::hint::black_box(7) {
        std::hint::black_box(before);
    }
    assert!(count_errors() > before, "Valgrind does not see a branch on a secret");
    let before = count_errors();
    let table = std::hint::black_box([1_u8; 256]);
    std::hint::black_box(table[usize::from(std::hint::black_box(&key)[1])]);
    assert!(count_errors() > before, "Valgrind does not see a look-up by a secret");
    public(&key);
}

fn secret_boxes() -> Vec<(String, &'static dyn SecretBox)> {
    let mut parts: Vec<(String, &dyn SecretBox)> = Vec::new();
    for provider in provider::ALL {
        let name = provider.secret_box.implementation().library.to_owned();
        if !parts.iter().any(|(known, _)| *known == name) {
            parts.push((name, provider.secret_box));
        }
    }
    for path in Path::ALL {
        match hazmat::secret_box(path) {
            Some(part) => parts.push((format!("simd, path {}", path.name()), part)),
            None => println!("simd, path {}: not run, the CPU that Valgrind shows does not have it", path.name()),
        }
    }
    parts
}

/// Key and plaintext are secret; nonce, ciphertext and tag are not.
fn secret_box(report: &mut Report, name: &str, part: &dyn SecretBox) {
    for length in [0, 1, 15, 16, 31, 32, 33, 63, 64, 200, 1000, 5000, 40_000] {
        let key = SessionKey::from_bytes([0x3c; 32]);
        let nonce = [0x24; 24];
        secret(key.expose_secret());
        let mut text = vec![b'x'; length];
        secret(&text);
        let mut tag = [0; 16];
        report
            .check(&format!("{name}: sealing {length} bytes"), 0, || tag = part.seal_in_place(&key, &nonce, &mut text));
        let plaintext = vec![b'x'; length];
        secret(&plaintext);
        report.check(&format!("{name}: sealing {length} bytes in pieces"), 0, || {
            std::hint::black_box(part.seal_chunks(&key, &nonce, &plaintext, &mut |piece| {
                std::hint::black_box(piece);
            }));
        });
        public(&text);
        public(&tag);
        let opened = report
            .check(&format!("{name}: opening {length} bytes"), 1, || part.open_in_place(&key, &nonce, &tag, &mut text));
        assert!(opened.is_ok());
        public(&text);
        tag[3] ^= 1;
        let opened = report.check(&format!("{name}: refusing {length} bytes"), 1, || {
            part.open_in_place(&key, &nonce, &tag, &mut text)
        });
        assert!(opened.is_err());
        public(key.expose_secret());
    }
}

/// Which of two keys is taken depends on a length, which is public; what they are does not show.
fn session_key_selection(report: &mut Report) {
    for (what, output) in [("32 bytes", Some(32)), ("33 bytes", Some(33)), ("nothing", None)] {
        let bytes = vec![0x5a_u8; output.unwrap_or_default()];
        secret(&bytes);
        let mut substitute = SessionKey::from_bytes([0xee; 32]);
        secret(substitute.expose_secret());
        report.check(&format!("selection of a session key, {what} unwrapped"), 0, || {
            Unwrapped::from_library(output.map(|_| bytes.as_slice())).select_into(&mut substitute);
        });
        public(substitute.expose_secret());
        public(&bytes);
    }
}

/// A private key that finds a secret session key in everything, or nothing.
struct Canned(bool);

impl Identity for Canned {
    fn wrapped_len(&self) -> usize {
        256
    }

    fn unwrap(&self, _: &[u8], _: &dyn Random) -> Unwrapped {
        // seen by the compiler as something else than the constant that it is
        let key = std::hint::black_box(SESSION_KEY);
        secret(&key);
        Unwrapped::from_library(self.0.then_some(key.as_slice()))
    }
}

/// Random bytes that are secret.
struct Secret(&'static dyn Random);

impl Part for Secret {
    fn implementation(&self) -> studioml_envelope_core::Implementation {
        self.0.implementation()
    }
}

impl Random for Secret {
    fn fill(&self, out: &mut [u8]) -> Result<(), RandomError> {
        self.0.fill(out)?;
        secret(out);
        Ok(())
    }
}

/// From the unwrapped key to the plaintext, with the substitute secret too: no branch but those on the verdict.
fn opening(report: &mut Report) {
    let seeds = concat!(env!("CARGO_MANIFEST_DIR"), "/../seeds/payload/opens-300");
    let seed = std::fs::read(seeds).expect("a seed that cargo xtask fuzz-seeds writes");
    for provider in provider::ALL {
        let random: &'static Secret = Box::leak(Box::new(Secret(provider.random)));
        let provider = Provider { random, ..*provider };
        for found in [true, false] {
            let mut text = seed[1..].to_vec();
            let what = if found { "a key that was found" } else { "the substitute" };
            let identity: [Box<dyn Identity>; 1] = [Box::new(Canned(found))];
            let payload = Payload::parse(&mut text, 1 << 20).expect("well-formed");
            // the library looks at the verdict, and then core does
            let opened = report.check(&format!("{}: opening with {what}", provider.name), 2, || {
                payload.open_unauthenticated(&provider, &identity)
            });
            assert_eq!(opened.is_ok(), found);
            assert!(found || matches!(opened, Err(OpenError::CannotOpen)));
        }
    }
}

/// Scalars and RSA numbers against their limits: one branch, on the verdict.
fn range_checks(report: &mut Report) {
    for (what, byte) in [("in range", 0x11), ("above the order", 0xff), ("zero", 0)] {
        let scalar = SecretBytes::new(vec![byte; 32]);
        secret(scalar.expose_secret());
        let checked =
            report.check(&format!("a P-256 scalar {what}"), 1, || P256PrivateKey::check_scalar(&scalar).map(|_| ()));
        assert_eq!(checked.is_ok(), byte == 0x11);
        public(scalar.expose_secret());
    }
    let key = RsaPrivateKey::from_pkcs1_der(RSA).expect("a key that tests load too");
    let der = key.to_pkcs1_der().expose_secret();
    let mark = |state: fn(&[u8])| {
        let marked = key.with_numbers(|numbers| {
            // the first byte of each is looked at by whoever reads DER: whether it is a sign, or a zero too many
            for number in [numbers.private_exponent, numbers.prime_p, numbers.prime_q] {
                state(&number[1..]);
            }
            Ok(())
        });
        assert!(marked.is_ok());
    };
    mark(secret);
    let checked = report.check("the ranges of an RSA key's numbers", 1, || key.check_ranges());
    assert!(checked.is_ok());
    mark(public);
    public(der);
}
