//! Loading key files: unencrypted ones, which a server does at a reload, and what the limits on key derivation allow a file
//! to cost (`studioml_envelope_keys::limits`).
#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "criterion's macros write the functions; a bench may stop at once"
)]

use criterion::{
    BenchmarkGroup, Criterion, SamplingMode, Throughput, criterion_group, criterion_main, measurement::WallTime,
};
use studioml_envelope::{Implementation, Provider, provider};
use studioml_envelope_benches::serving;
use studioml_envelope_keys::{
    Passphrase, PrivateFormat, PublicFormat, encode_private, encode_public, limits, read_private, read_public,
};

macro_rules! vector {
    ($file:literal) => {
        include_bytes!(concat!("../../crates/studioml-envelope-conformance/vectors/keyfiles/", $file))
    };
}

const PASSPHRASE: &[u8] = b"correct horse battery staple";

fn once<'c>(criterion: &'c mut Criterion, operation: &str) -> BenchmarkGroup<'c, WallTime> {
    let mut group = criterion.benchmark_group(operation);
    group.throughput(Throughput::Elements(1));
    group
}

/// From the bytes of a file to a key that works, its parts checked against each other by the library that will use it.
fn load_unencrypted(criterion: &mut Criterion) {
    type Slot = fn(&Provider) -> Implementation;
    let unwraps: Slot = |provider| provider.key_unwrap.implementation();
    let signs: Slot = |provider| provider.sign.implementation();
    let files: [(&str, &[u8], Slot); 7] = [
        ("load-file-rsa-4096-pkcs1", vector!("rsa.pkcs1.pem"), unwraps),
        ("load-file-rsa-4096-pkcs1-der", vector!("rsa.pkcs1.der"), unwraps),
        ("load-file-rsa-4096-pkcs8", vector!("rsa.pkcs8.pem"), unwraps),
        ("load-file-rsa-4096-pkcs8-der", vector!("rsa.pkcs8.der"), unwraps),
        ("load-file-rsa-4096-openssh", vector!("rsa.openssh"), unwraps),
        ("load-file-ed25519-openssh", vector!("ed25519.openssh"), signs),
        ("load-file-p256-sec1", vector!("ec.sec1.pem"), signs),
    ];
    for (operation, file, slot) in files {
        let mut group = once(criterion, operation);
        for served in serving(slot) {
            let provider = served.provider;
            group.bench_function(&served.label, |bench| bench.iter(|| read_private(file, None, &provider).unwrap()));
        }
        group.finish();
    }
}

fn load_public(criterion: &mut Criterion) {
    let files: [(&str, &[u8]); 3] = [
        ("load-file-ed25519-line", vector!("ed25519.ssh-line")),
        ("load-file-p256-compressed", vector!("ec.spki-compressed.pem")),
        ("load-file-rsa-4096-public", vector!("rsa.pub-pkcs1.pem")),
    ];
    for (operation, file) in files {
        let mut group = once(criterion, operation);
        group.bench_function("studioml-envelope-keys", |bench| bench.iter(|| read_public(file).unwrap()));
        group.finish();
    }
}

/// What honest files cost, and the most that the limits allow.
fn unlock(criterion: &mut Criterion) {
    let provider = provider::default();
    let key = read_private(vector!("ed25519.openssh"), None, &provider).unwrap().into_key();
    let passphrase = || Passphrase::exact(PASSPHRASE.to_vec());
    let written = |format| encode_private(&key, format, Some(&passphrase()), "", &provider).unwrap();
    let files = [
        ("unlock-bcrypt-24-rounds", "bcrypt-pbkdf", written(PrivateFormat::OpenSsh).expose_secret().to_vec()),
        ("unlock-bcrypt-at-limit", "bcrypt-pbkdf", openssh_of_rounds(written(PrivateFormat::OpenSsh).expose_secret())),
        ("unlock-scrypt-as-written", "scrypt", written(PrivateFormat::Pkcs8).expose_secret().to_vec()),
        ("unlock-scrypt-at-limit", "scrypt", pbes2(&scrypt_at_limit())),
        ("unlock-pbkdf2-as-written", "pbkdf2", written(PrivateFormat::Pkcs8Pbkdf2).expose_secret().to_vec()),
        ("unlock-pbkdf2-sha256-at-limit", "pbkdf2", pbes2(&pbkdf2_at_limit("06082a864886f70d0209"))),
        ("unlock-pbkdf2-sha512-at-limit", "pbkdf2", pbes2(&pbkdf2_at_limit("06082a864886f70d020b"))),
        ("unlock-pkcs12-at-limit", "sha1", pkcs12_at_limit()),
        ("unlock-legacy-pem", "md-5", vector!("ec.sec1-aes256.pem").to_vec()),
    ];
    for (operation, library, file) in files {
        let mut group = once(criterion, operation);
        group.sampling_mode(SamplingMode::Flat);
        // the forged ones end in an error, after the same work
        group.bench_function(library, |bench| {
            bench.iter(|| read_private(&file, Some(&passphrase()), &provider).is_ok());
        });
        group.finish();
    }
}

/// DER by hand: the values are those of the limits.
fn tlv(tag: u8, contents: &[u8]) -> Vec<u8> {
    let mut out = vec![tag, 0x82];
    out.extend(u16::try_from(contents.len()).unwrap().to_be_bytes());
    if contents.len() < 0x80 {
        out = vec![tag, u8::try_from(contents.len()).unwrap()];
    } else if contents.len() < 0x100 {
        out = vec![tag, 0x81, u8::try_from(contents.len()).unwrap()];
    }
    out.extend_from_slice(contents);
    out
}

fn integer(value: u64) -> Vec<u8> {
    let bytes = value.to_be_bytes();
    let digits: Vec<u8> = bytes.into_iter().skip_while(|byte| *byte == 0).collect();
    let positive = if digits.first().is_some_and(|byte| *byte >= 0x80) { vec![0] } else { vec![] };
    tlv(0x02, &[positive, digits].concat())
}

fn hex(digits: &str) -> Vec<u8> {
    let pairs = digits.as_bytes().chunks(2);
    pairs.map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

fn pbes2(kdf: &[u8]) -> Vec<u8> {
    let cipher = tlv(0x30, &[hex("060960864801650304012a"), tlv(0x04, &[0; 16])].concat());
    let params = tlv(0x30, &[kdf.to_vec(), cipher].concat());
    let algorithm = tlv(0x30, &[hex("06092a864886f70d01050d"), params].concat());
    tlv(0x30, &[algorithm, tlv(0x04, &[0; 48])].concat())
}

/// The most memory, and with it the most work.
fn scrypt_at_limit() -> Vec<u8> {
    let (r, n) = (8, limits::MAX_SCRYPT_MEMORY / 128 / 8 / 2);
    let p = limits::MAX_SCRYPT_WORK / n / r;
    let params = tlv(0x30, &[tlv(0x04, &[0; 16]), integer(n), integer(r), integer(p)].concat());
    tlv(0x30, &[hex("06092b06010401da47040b"), params].concat())
}

fn pbkdf2_at_limit(prf: &str) -> Vec<u8> {
    let prf = tlv(0x30, &[hex(prf), vec![5, 0]].concat());
    let params = tlv(0x30, &[tlv(0x04, &[0; 16]), integer(limits::MAX_PBKDF2_ITERATIONS), prf].concat());
    tlv(0x30, &[hex("06092a864886f70d01050c"), params].concat())
}

fn pkcs12_at_limit() -> Vec<u8> {
    let params = tlv(0x30, &[tlv(0x04, &[0; 8]), integer(limits::MAX_PKCS12_ITERATIONS)].concat());
    let algorithm = tlv(0x30, &[hex("060a2a864886f70d010c0103"), params].concat());
    tlv(0x30, &[algorithm, tlv(0x04, &[0; 48])].concat())
}

/// A file of ours with its rounds, the four bytes after the 16 of the salt, replaced.
fn openssh_of_rounds(pem: &[u8]) -> Vec<u8> {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    let body: String = str::from_utf8(pem).unwrap().lines().filter(|line| !line.starts_with('-')).collect();
    let mut contents = STANDARD.decode(body).unwrap();
    let at = contents.windows(6).position(|window| window == b"bcrypt").unwrap() + 6 + 4 + 4 + 16;
    contents.splice(at..at + 4, limits::MAX_BCRYPT_ROUNDS.to_be_bytes());
    let label = "OPENSSH PRIVATE KEY";
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(contents)).into_bytes()
}

fn write(criterion: &mut Criterion) {
    let public = read_public(vector!("ed25519.ssh-line")).unwrap().key;
    let mut group = once(criterion, "write-ed25519-line");
    group.bench_function("studioml-envelope-keys", |bench| {
        bench.iter(|| encode_public(&public, PublicFormat::SshLine, "").unwrap());
    });
    group.finish();
}

criterion_group!(benches, load_unencrypted, load_public, unlock, write);
criterion_main!(benches);
