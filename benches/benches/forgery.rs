//! Refusing a forgery: a message whose signature is well-formed, under the right fingerprint, and of another message. Any
//! other forgery leaves earlier. What an honest message of the same size costs is `envelope-verify+open`.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "criterion's macros write the functions; a bench may stop at once"
)]

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use studioml_envelope::{Message, Sealer, Signer, Verifier, VerifyError, provider};
use studioml_envelope_benches::{MAX_PLAINTEXT, bare, ed25519, floor_label, in_place, request, rsa_4096, sized};

fn refuse(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("refuse-forgery");
    for size in [4 << 10, 1 << 20] {
        sized(&mut group, size);
        for provider in provider::ALL {
            let signer = Signer::new(provider, &ed25519()).unwrap();
            let sealer = Sealer::new(provider, rsa_4096().public_key()).unwrap();
            let [honest, other] = [(); 2]
                .map(|()| String::from_utf8(sealer.seal_signed_envelope(&request(size), &signer).unwrap()).unwrap());
            let forged = honest.replace(member(&honest, "signature"), member(&other, "signature"));
            let verifier = Verifier::new(provider, [signer.public_key()]).unwrap();
            group.bench_function(BenchmarkId::new(provider.name, size), |bench| {
                in_place(bench, forged.as_bytes(), |message| {
                    let message = Message::parse(message, MAX_PLAINTEXT).unwrap();
                    assert_eq!(verifier.verify(message).err(), Some(VerifyError::BadSignature));
                });
            });
            let bare = bare::verify(provider.verify.implementation().library);
            let signature = bare::sign("aws-lc-rs")(b"another message");
            let payload = member(&honest, "payload").as_bytes();
            group.bench_function(BenchmarkId::new(floor_label(provider.name), size), |bench| {
                bench.iter(|| assert!(!bare(payload, &signature)));
            });
        }
    }
    group.finish();
}

/// The text of a member that has no escapes.
fn member<'j>(json: &'j str, name: &str) -> &'j str {
    let (_, after) = json.split_once(&format!("\"{name}\":\"")).unwrap();
    after.split('"').next().unwrap()
}

criterion_group!(benches, refuse);
criterion_main!(benches);
