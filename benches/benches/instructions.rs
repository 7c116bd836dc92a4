//! Instruction counts under valgrind's callgrind, on the operations that criterion times: what another machine, or a busy
//! one, counts the same. `cargo xtask bench --instructions` runs it and reads operation, library and size from the names.
//!
//! Setting up (keys loaded, messages sealed) and dropping the result are not counted. Valgrind 3.19 has AVX2 and no
//! AVX-512: the SIMD crate takes its AVX2 path here, and AWS-LC its own.
#![allow(missing_docs, clippy::unwrap_used, reason = "the macros write the functions; a bench may stop at once")]

use std::hint::black_box;

use gungraun::prelude::*;
use studioml_envelope::{
    Identity, Message, Opener, P256PublicKey, Payload, Provider, Recipient, SealError, Sealer, SessionKey,
    SharedSecret, Signature, Signer, Tag, Unwrapped, Verifier, VerifyError, VerifyingKey, provider,
};
use studioml_envelope_benches::{MAX_PLAINTEXT, ed25519, floor::Floor, p256, request, rsa_4096};

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

const AWS_LC_RS: &str = "aws-lc-rs+rustcrypto";
const AWS_LC_RS_SIMD: &str = "aws-lc-rs+simd";
const RUSTCRYPTO: &str = "rustcrypto";
const RING: &str = "ring+rustcrypto";

fn named(name: &str) -> Provider {
    let provider = provider::by_name(name).unwrap();
    // a generator seeds itself when it is first asked, at some 400 million instructions for AWS-LC's
    provider.random.fill(&mut [0; 32]).unwrap();
    provider
}

/// Everybody who takes part in a message of a size.
struct Case {
    provider: Provider,
    plaintext: Vec<u8>,
    sealer: Sealer,
    signer: Signer,
    verifier: Verifier,
    opener: Opener,
    payload: Vec<u8>,
    signature: String,
    message: Vec<u8>,
    floor: Floor,
}

fn case(name: &str, size: usize) -> Case {
    let provider = named(name);
    let (key, signer) = (rsa_4096(), Signer::new(&provider, &ed25519()).unwrap());
    let (sealer, plaintext) = (Sealer::new(&provider, key.public_key()).unwrap(), request(size));
    let payload = sealer.seal(&plaintext).unwrap();
    Case {
        verifier: Verifier::new(&provider, [signer.public_key()]).unwrap(),
        opener: Opener::new(&provider, [&key]).unwrap(),
        signature: signer.sign(&payload).unwrap(),
        message: sealer.seal_signed_envelope(&plaintext, &signer).unwrap(),
        floor: Floor::of(&provider, size),
        provider,
        plaintext,
        sealer,
        signer,
        payload,
    }
}

fn recipient(name: &str) -> (Provider, Box<dyn Recipient>) {
    let provider = named(name);
    (provider, provider.key_wrap.load(rsa_4096().public_key()).unwrap())
}

fn identity(name: &str) -> (Provider, Box<dyn Identity>, [u8; 512]) {
    let (provider, recipient) = recipient(name);
    let mut wrapped = [0; 512];
    recipient.wrap(&SessionKey::from_bytes([7; 32]), provider.random, &mut wrapped).unwrap();
    (provider, provider.key_unwrap.load(&rsa_4096()).unwrap(), wrapped)
}

/// A text that is sealed, and its tag.
fn boxed(name: &str, size: usize) -> (Case, Tag) {
    let mut case = case(name, size);
    let tag = case.provider.secret_box.seal_in_place(&SessionKey::from_bytes([1; 32]), &[2; 24], &mut case.plaintext);
    (case, tag)
}

fn loaded(name: &str, size: usize) -> (Case, Box<dyn VerifyingKey>, Signature) {
    let case = case(name, size);
    let key = case.provider.verify.load(case.signer.public_key()).unwrap();
    let signature = Signature::from_base64(&case.signature, case.signer.public_key()).unwrap();
    (case, key, signature)
}

fn agreement(name: &str) -> (Provider, P256PublicKey) {
    (named(name), *p256().public_key())
}

#[library_benchmark(setup = recipient)]
#[bench::aws_lc_rs(AWS_LC_RS)]
#[bench::rsa(RUSTCRYPTO)]
fn rsa_4096_wrap((provider, recipient): (Provider, Box<dyn Recipient>)) -> [u8; 512] {
    let mut wrapped = [0; 512];
    recipient.wrap(&SessionKey::from_bytes([7; 32]), provider.random, &mut wrapped).unwrap();
    wrapped
}

#[library_benchmark(setup = identity)]
#[bench::aws_lc_rs(AWS_LC_RS)]
#[bench::rsa(RUSTCRYPTO)]
fn rsa_4096_unwrap((provider, identity, wrapped): (Provider, Box<dyn Identity>, [u8; 512])) -> Unwrapped {
    identity.unwrap(black_box(&wrapped), provider.random)
}

#[library_benchmark(setup = case)]
#[bench::crypto_secretbox_4096(AWS_LC_RS, 4 * KIB)]
#[bench::crypto_secretbox_1048576(AWS_LC_RS, MIB)]
#[bench::studioml_envelope_simd_4096(AWS_LC_RS_SIMD, 4 * KIB)]
#[bench::studioml_envelope_simd_1048576(AWS_LC_RS_SIMD, MIB)]
fn secret_box_seal(mut case: Case) -> Case {
    black_box(case.provider.secret_box.seal_in_place(&SessionKey::from_bytes([1; 32]), &[2; 24], &mut case.plaintext));
    case
}

#[library_benchmark(setup = boxed)]
#[bench::crypto_secretbox_4096(AWS_LC_RS, 4 * KIB)]
#[bench::crypto_secretbox_1048576(AWS_LC_RS, MIB)]
#[bench::studioml_envelope_simd_4096(AWS_LC_RS_SIMD, 4 * KIB)]
#[bench::studioml_envelope_simd_1048576(AWS_LC_RS_SIMD, MIB)]
fn secret_box_open((mut case, tag): (Case, Tag)) -> Case {
    let key = SessionKey::from_bytes([1; 32]);
    case.provider.secret_box.open_in_place(&key, &[2; 24], &tag, &mut case.plaintext).unwrap();
    case
}

#[library_benchmark(setup = case)]
#[bench::aws_lc_rs_4096(AWS_LC_RS, 4 * KIB)]
#[bench::aws_lc_rs_1048576(AWS_LC_RS, MIB)]
#[bench::ed25519_dalek_p256_4096(RUSTCRYPTO, 4 * KIB)]
#[bench::ring_4096(RING, 4 * KIB)]
fn ed25519_sign(case: Case) -> Case {
    black_box(case.signer.sign(&case.payload).unwrap());
    case
}

#[library_benchmark(setup = loaded)]
#[bench::aws_lc_rs_4096(AWS_LC_RS, 4 * KIB)]
#[bench::aws_lc_rs_1048576(AWS_LC_RS, MIB)]
#[bench::ed25519_dalek_p256_4096(RUSTCRYPTO, 4 * KIB)]
#[bench::ring_4096(RING, 4 * KIB)]
fn ed25519_verify((case, key, signature): (Case, Box<dyn VerifyingKey>, Signature)) -> Case {
    key.verify(black_box(&case.payload), &signature).unwrap();
    case
}

#[library_benchmark(setup = agreement)]
#[bench::aws_lc_rs(AWS_LC_RS)]
#[bench::p256(RUSTCRYPTO)]
#[bench::ring(RING)]
fn p_256_generate_and_agree((provider, peer): (Provider, P256PublicKey)) -> SharedSecret {
    provider.agree.generate(provider.random).unwrap().agree(black_box(&peer)).unwrap()
}

#[library_benchmark(setup = case)]
#[bench::aws_lc_rs_rustcrypto_4096(AWS_LC_RS, 4 * KIB)]
#[bench::aws_lc_rs_rustcrypto_1048576(AWS_LC_RS, MIB)]
#[bench::aws_lc_rs_simd_4096(AWS_LC_RS_SIMD, 4 * KIB)]
#[bench::aws_lc_rs_simd_1048576(AWS_LC_RS_SIMD, MIB)]
#[bench::rustcrypto_4096(RUSTCRYPTO, 4 * KIB)]
fn seal(case: Case) -> (Result<Vec<u8>, SealError>, Case) {
    (case.sealer.seal(&case.plaintext), case)
}

#[library_benchmark(setup = case)]
#[bench::aws_lc_rs_rustcrypto_4096(AWS_LC_RS, 4 * KIB)]
#[bench::aws_lc_rs_rustcrypto_1048576(AWS_LC_RS, MIB)]
#[bench::aws_lc_rs_simd_4096(AWS_LC_RS_SIMD, 4 * KIB)]
#[bench::aws_lc_rs_simd_1048576(AWS_LC_RS_SIMD, MIB)]
#[bench::rustcrypto_4096(RUSTCRYPTO, 4 * KIB)]
fn seal_floor(mut case: Case) -> Case {
    black_box(case.floor.seal());
    case
}

#[library_benchmark(setup = case)]
#[bench::aws_lc_rs_rustcrypto_4096(AWS_LC_RS, 4 * KIB)]
#[bench::aws_lc_rs_rustcrypto_1048576(AWS_LC_RS, MIB)]
#[bench::aws_lc_rs_simd_4096(AWS_LC_RS_SIMD, 4 * KIB)]
#[bench::aws_lc_rs_simd_1048576(AWS_LC_RS_SIMD, MIB)]
#[bench::rustcrypto_4096(RUSTCRYPTO, 4 * KIB)]
fn open(mut case: Case) -> Case {
    black_box(case.opener.open_report(&mut case.payload, MAX_PLAINTEXT).unwrap().into_unauthenticated_plaintext());
    case
}

#[library_benchmark(setup = case)]
#[bench::aws_lc_rs_rustcrypto_4096(AWS_LC_RS, 4 * KIB)]
#[bench::aws_lc_rs_rustcrypto_1048576(AWS_LC_RS, MIB)]
#[bench::aws_lc_rs_simd_4096(AWS_LC_RS_SIMD, 4 * KIB)]
#[bench::aws_lc_rs_simd_1048576(AWS_LC_RS_SIMD, MIB)]
#[bench::rustcrypto_4096(RUSTCRYPTO, 4 * KIB)]
fn open_floor(mut case: Case) -> Case {
    black_box(case.floor.open(&case.payload));
    case
}

#[library_benchmark(setup = case)]
#[bench::aws_lc_rs_rustcrypto_4096(AWS_LC_RS, 4 * KIB)]
#[bench::aws_lc_rs_rustcrypto_1048576(AWS_LC_RS, MIB)]
#[bench::aws_lc_rs_simd_4096(AWS_LC_RS_SIMD, 4 * KIB)]
#[bench::aws_lc_rs_simd_1048576(AWS_LC_RS_SIMD, MIB)]
#[bench::rustcrypto_4096(RUSTCRYPTO, 4 * KIB)]
#[bench::ring_rustcrypto_4096(RING, 4 * KIB)]
fn verify_and_open(mut case: Case) -> Case {
    let payload = Payload::parse(&mut case.payload, MAX_PLAINTEXT).unwrap();
    let verified = case.verifier.verify_payload(payload, &case.signature).unwrap();
    black_box(case.opener.open(verified).unwrap().into_plaintext());
    case
}

#[library_benchmark(setup = case)]
#[bench::aws_lc_rs_rustcrypto_4096(AWS_LC_RS, 4 * KIB)]
#[bench::aws_lc_rs_rustcrypto_1048576(AWS_LC_RS, MIB)]
#[bench::aws_lc_rs_simd_4096(AWS_LC_RS_SIMD, 4 * KIB)]
#[bench::aws_lc_rs_simd_1048576(AWS_LC_RS_SIMD, MIB)]
#[bench::rustcrypto_4096(RUSTCRYPTO, 4 * KIB)]
fn verify_and_open_floor(mut case: Case) -> Case {
    assert!(case.floor.verify(&case.payload, &case.signature));
    black_box(case.floor.open(&case.payload));
    case
}

#[library_benchmark(setup = case)]
#[bench::aws_lc_rs_rustcrypto_4096(AWS_LC_RS, 4 * KIB)]
#[bench::aws_lc_rs_rustcrypto_1048576(AWS_LC_RS, MIB)]
#[bench::aws_lc_rs_simd_4096(AWS_LC_RS_SIMD, 4 * KIB)]
#[bench::aws_lc_rs_simd_1048576(AWS_LC_RS_SIMD, MIB)]
#[bench::rustcrypto_4096(RUSTCRYPTO, 4 * KIB)]
fn envelope_seal_and_sign(case: Case) -> (Result<Vec<u8>, SealError>, Case) {
    (case.sealer.seal_signed_envelope(&case.plaintext, &case.signer), case)
}

#[library_benchmark(setup = case)]
#[bench::aws_lc_rs_rustcrypto_4096(AWS_LC_RS, 4 * KIB)]
#[bench::aws_lc_rs_rustcrypto_1048576(AWS_LC_RS, MIB)]
#[bench::aws_lc_rs_simd_4096(AWS_LC_RS_SIMD, 4 * KIB)]
#[bench::aws_lc_rs_simd_1048576(AWS_LC_RS_SIMD, MIB)]
#[bench::rustcrypto_4096(RUSTCRYPTO, 4 * KIB)]
fn envelope_verify_and_open(mut case: Case) -> Case {
    let message = Message::parse(&mut case.message, MAX_PLAINTEXT).unwrap();
    black_box(case.opener.open(case.verifier.verify(message).unwrap()).unwrap().into_plaintext());
    case
}

/// A message whose signature is another message's.
fn forged(name: &str, size: usize) -> Case {
    let mut case = case(name, size);
    let text = String::from_utf8(case.message).unwrap();
    let (before, after) = text.split_once("\"signature\":\"").unwrap();
    let (_, after) = after.split_once('"').unwrap();
    let signature = case.signer.sign(b"another message").unwrap();
    case.message = format!("{before}\"signature\":\"{signature}\"{after}").into_bytes();
    case
}

#[library_benchmark(setup = forged)]
#[bench::aws_lc_rs_rustcrypto_4096(AWS_LC_RS, 4 * KIB)]
#[bench::aws_lc_rs_rustcrypto_1048576(AWS_LC_RS, MIB)]
#[bench::rustcrypto_4096(RUSTCRYPTO, 4 * KIB)]
#[bench::ring_rustcrypto_4096(RING, 4 * KIB)]
fn refuse_forgery(mut case: Case) -> Case {
    let message = Message::parse(&mut case.message, MAX_PLAINTEXT).unwrap();
    assert_eq!(case.verifier.verify(message).err(), Some(VerifyError::BadSignature));
    case
}

library_benchmark_group!(
    name = primitives,
    benchmarks = [
        rsa_4096_wrap,
        rsa_4096_unwrap,
        secret_box_seal,
        secret_box_open,
        ed25519_sign,
        ed25519_verify,
        p_256_generate_and_agree
    ]
);
library_benchmark_group!(
    name = messages,
    benchmarks = [
        seal,
        seal_floor,
        open,
        open_floor,
        verify_and_open,
        verify_and_open_floor,
        envelope_seal_and_sign,
        envelope_verify_and_open,
        refuse_forgery
    ]
);
main!(library_benchmark_groups = [primitives, messages]);
