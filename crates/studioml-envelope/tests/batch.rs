//! Batches keep their order and give each message its own verdict.
#![cfg(feature = "rayon")]
#![allow(clippy::unwrap_used, reason = "a test")]

use studioml_envelope::{
    Opener, Sealer, Signer, Verifier, VerifyError,
    batch::{Refusal, open_batch, seal_batch},
    generate_ed25519, provider,
};

#[test]
fn order_is_kept_and_verdicts_do_not_mix() {
    let provider = provider::default();
    let cluster = provider.key_unwrap.generate(2048, provider.random).unwrap();
    let sealer = Sealer::new(&provider, cluster.public_key()).unwrap();
    let signer = Signer::new(&provider, &generate_ed25519(&provider).unwrap()).unwrap();
    let stranger = Signer::new(&provider, &generate_ed25519(&provider).unwrap()).unwrap();
    let verifier = Verifier::new(&provider, [signer.public_key()]).unwrap();
    let opener = Opener::new(&provider, [&cluster]).unwrap();

    let requests: Vec<Vec<u8>> =
        (0..64).map(|n| format!("{{\"experiment\":{{\"n\":{n}}},\"config\":{{}}}}").into_bytes()).collect();
    let mut messages: Vec<Vec<u8>> =
        seal_batch(&requests, &sealer, &signer).into_iter().collect::<Result<_, _>>().unwrap();
    messages[7] = sealer.seal_signed_envelope(&requests[7], &stranger).unwrap();
    messages[20].truncate(100);

    let opened = open_batch(&mut messages, &verifier, &opener, 1 << 20);
    assert_eq!(opened.len(), requests.len());
    for (n, (verdict, request)) in opened.iter().zip(&requests).enumerate() {
        match (n, verdict) {
            (7, verdict) => assert_eq!(verdict.as_ref().unwrap_err(), &Refusal::Verify(VerifyError::BadSignature)),
            (20, verdict) => assert!(matches!(verdict, Err(Refusal::Message(_))), "{verdict:?}"),
            (_, verdict) => assert_eq!(verdict.as_ref().unwrap().plaintext(), request),
        }
    }
}
