//! Every part of every library, under its own name.
#![allow(clippy::unwrap_used, reason = "a test stops where something is not as expected")]
#![allow(clippy::explicit_write, reason = "the harness keeps what println! prints; the table is what a run is for")]

use std::io::Write as _;

use studioml_envelope_conformance::{AbsentPart, Library, Report, Role, Vectors, library};
use studioml_envelope_core::Provider;
use studioml_envelope_rustcrypto as rustcrypto;
use studioml_envelope_simd::hazmat;

/// What stands opposite: what the parts wrap, sign and agree on, these take up.
const OTHERS: Provider = rustcrypto::PROVIDER;

const AWS_LC_RS: Library = {
    use studioml_envelope_aws_lc_rs as aws_lc_rs;
    Library {
        name: "aws-lc-rs",
        random: Some(&aws_lc_rs::RANDOM),
        digest: Some(&aws_lc_rs::DIGEST),
        key_wrap: Some(&aws_lc_rs::KEY_WRAP),
        key_unwrap: Some(&aws_lc_rs::KEY_UNWRAP),
        sign: Some(&aws_lc_rs::SIGN),
        verify: Some(&aws_lc_rs::VERIFY),
        agree: Some(&aws_lc_rs::AGREE),
        agree_static: Some(&aws_lc_rs::AGREE_STATIC),
        aead: Some(&aws_lc_rs::AEAD),
        kdf: Some(&aws_lc_rs::KDF),
        absent: &[AbsentPart { role: Role::SecretBox, reason: "AWS-LC has no XSalsa20" }],
        ..Library::EMPTY
    }
};

const RING: Library = {
    use studioml_envelope_ring as ring;
    Library {
        name: "ring",
        random: Some(&ring::RANDOM),
        digest: Some(&ring::DIGEST),
        sign: Some(&ring::SIGN),
        verify: Some(&ring::VERIFY),
        agree: Some(&ring::AGREE),
        aead: Some(&ring::AEAD),
        kdf: Some(&ring::KDF),
        absent: &[
            AbsentPart { role: Role::KeyWrap, reason: "ring has no RSA encryption" },
            AbsentPart { role: Role::KeyUnwrap, reason: "ring has no RSA decryption" },
            AbsentPart { role: Role::SecretBox, reason: "ring has no XSalsa20" },
            AbsentPart { role: Role::AgreeStatic, reason: "ring's agreement consumes the private key" },
        ],
        ..Library::EMPTY
    }
};

/// One of the SIMD crate's paths, whichever the CPU would choose by itself.
fn simd(path: hazmat::Path) -> Library {
    const REASON: &str = "the crate has kernels for one role";
    static ABSENT: [AbsentPart; 11] = [
        AbsentPart { role: Role::Random, reason: REASON },
        AbsentPart { role: Role::Digest, reason: REASON },
        AbsentPart { role: Role::KeyWrap, reason: REASON },
        AbsentPart { role: Role::KeyUnwrap, reason: REASON },
        AbsentPart { role: Role::Sign, reason: REASON },
        AbsentPart { role: Role::Verify, reason: REASON },
        AbsentPart { role: Role::Agree, reason: REASON },
        AbsentPart { role: Role::AgreeStatic, reason: REASON },
        AbsentPart { role: Role::Aead, reason: REASON },
        AbsentPart { role: Role::Kdf, reason: REASON },
        AbsentPart { role: Role::SecretBox, reason: "this CPU has not the instructions" },
    ];
    let name = match path {
        hazmat::Path::Portable => "simd, portable",
        hazmat::Path::Avx2 => "simd, AVX2",
        hazmat::Path::Avx512Ifma => "simd, AVX-512",
    };
    match hazmat::secret_box(path) {
        Some(part) => {
            Library { name, secret_box: Some(part), absent: ABSENT.split_last().unwrap().1, ..Library::EMPTY }
        }
        None => Library { name, absent: &ABSENT, ..Library::EMPTY },
    }
}

#[test]
fn every_part_passes_every_suite_and_every_gap_is_declared() {
    let vectors = Vectors::bundled().unwrap();
    let rustcrypto = Library { name: "rustcrypto", ..Library::from(&OTHERS) };
    let libraries: Vec<_> = [AWS_LC_RS, RING, rustcrypto].into_iter().chain(hazmat::Path::ALL.map(simd)).collect();
    let mut report = Report::default();
    std::thread::scope(|scope| {
        let runs: Vec<_> = libraries.iter().map(|parts| scope.spawn(|| library(&vectors, parts, &OTHERS))).collect();
        for run in runs {
            report.extend(run.join().unwrap());
        }
    });
    writeln!(std::io::stdout(), "\n{report}").unwrap();
    assert!(report.is_success(), "see the table above");
    for bits in [2048, 3072, 4096] {
        let name = format!("wycheproof rsa_oaep_{bits}_sha256_mgf1sha256");
        assert!(report.suites.iter().any(|suite| suite.suite == name), "{name} was not run");
    }
}
