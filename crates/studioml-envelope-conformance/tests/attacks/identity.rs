//! Who said it, to whom, and when: stripping and exchanging signatures, forwarding, replay, fingerprints of others, and doing
//! without all of it.

use studioml_envelope::{
    ClearTextError, FingerprintClaim, FingerprintForm, Message, MessageError, Opener, Payload, Policy, RequestError,
    Sealer, UnauthenticatedRequest, Verifier, VerifyError, provider,
};

use crate::parties::{Parties, REQUEST, Refused, ed25519, lenient, member, other_cluster_key, with_member};

fn refused(parties: &Parties, message: &str) -> VerifyError {
    match parties.receive(message.as_bytes()) {
        Err(Refused::Verify(error)) => error,
        other => panic!("{other:?}"),
    }
}

#[test]
fn signature_stripping_is_refused_whatever_the_policy() {
    let parties = Parties::new(&provider::default());
    let message = parties.message();
    for without in [None, Some(serde_json::Value::Null), Some("".into())] {
        let stripped = with_member(&message, "signature", without);
        assert_eq!(refused(&parties, &stripped), VerifyError::Unsigned);
        let mut policy = lenient();
        policy.clear_text_messages = true;
        let lenient = Verifier::new(&parties.provider, [parties.signer.public_key()]).unwrap().with_policy(policy);
        let mut buffer = stripped.into_bytes();
        let verdict = lenient.verify(Message::parse(&mut buffer, 1 << 20).unwrap());
        assert_eq!(verdict.unwrap_err(), VerifyError::Unsigned);
    }
}

/// What is stripped down to the payload is a report, and a report says of itself that nobody signed it.
#[test]
fn a_stripped_payload_opens_only_as_unauthenticated() {
    let parties = Parties::new(&provider::default());
    let mut payload = member(&parties.message(), "payload").into_bytes();
    let opened = parties.opener.open_unauthenticated(Payload::parse(&mut payload, 1 << 20).unwrap()).unwrap();
    // the only ways to the bytes have the word in their names, and there is none to a Request
    assert_eq!(opened.unauthenticated_plaintext(), REQUEST);
    assert_eq!(format!("{opened:?}"), format!("UnauthenticatedPlaintext({} bytes)", REQUEST.len()));
}

/// Cannot be prevented: the signature is over the ciphertext, and nothing inside names its author (D. Davis, USENIX 2001).
/// Detected: what was verified names the key that signed, and a queue takes no other prefix's key.
#[test]
fn a_resigned_payload_opens_as_the_second_signers_where_he_is_trusted_and_nowhere_else() {
    let provider = provider::default();
    let alice = Parties::new(&provider);
    let mallory = Parties::signing_with(&provider, &ed25519(9));
    let taken = alice.message();
    let payload = member(&taken, "payload");
    let resigned = with_member(&taken, "signature", Some(mallory.signer.sign(payload.as_bytes()).unwrap().into()));
    let fingerprint = mallory.signer.fingerprint(FingerprintForm::SshSha256).to_string();
    let resigned = with_member(&resigned, "fingerprint", Some(fingerprint.into()));

    assert_eq!(refused(&alice, &resigned), VerifyError::BadSignature, "not on a queue that trusts Alice");
    let (plaintext, verification) = mallory.receive(resigned.as_bytes()).unwrap();
    assert_eq!(plaintext, REQUEST);
    assert_eq!(verification.signer, *mallory.signer.public_key(), "and it says whose it is now");
}

/// Cannot be prevented: a recipient can seal what he opened for somebody else. He cannot sign it as its author.
#[test]
fn a_forwarded_request_has_lost_its_signature() {
    let provider = provider::default();
    let alice = Parties::new(&provider);
    let message = alice.message();
    let (plaintext, _) = alice.receive(message.as_bytes()).unwrap();
    let forwarding = Sealer::new(&provider, other_cluster_key().public_key()).unwrap();
    let sealed = String::from_utf8(forwarding.seal(&plaintext).unwrap()).unwrap();
    let forwarded = with_member(&message, "payload", Some(sealed.into()));
    assert_eq!(refused(&alice, &forwarded), VerifyError::BadSignature);
}

/// Sealed for one cluster, sent to another: verified there, and not opened.
#[test]
fn a_message_for_another_cluster_does_not_open() {
    let provider = provider::default();
    let alice = Parties::new(&provider);
    let message = alice.message();
    let elsewhere = Opener::new(&provider, [other_cluster_key()]).unwrap();
    let mut buffer = message.into_bytes();
    let verified = alice.verifier.verify(Message::parse(&mut buffer, 1 << 20).unwrap()).unwrap();
    assert_eq!(elsewhere.open(verified).unwrap_err(), studioml_envelope::OpenError::CannotOpen);
}

/// Cannot be prevented here: nothing signed is a time or a number. The gateway remembers payloads for a while.
#[test]
fn a_replayed_message_opens_again() {
    let parties = Parties::new(&provider::default());
    let message = parties.message();
    assert_eq!(parties.receive(message.as_bytes()), parties.receive(message.as_bytes()));
    let resent = with_member(&message, "time_added", Some(4_102_444_800_u64.into()));
    assert!(parties.receive(resent.as_bytes()).is_ok(), "headers are not signed");
}

#[test]
fn a_fingerprint_of_another_key_is_a_false_claim_even_if_that_key_is_trusted() {
    let provider = provider::default();
    let parties = Parties::new(&provider);
    let other = Parties::signing_with(&provider, &ed25519(9));
    let both = [parties.signer.public_key(), other.signer.public_key()];
    let strict = Verifier::new(&provider, both).unwrap();
    let warning = strict.clone().with_policy(lenient());
    let message = parties.message();
    for form in FingerprintForm::ALL {
        for (signer, expected) in [(&parties, FingerprintClaim::Matches), (&other, FingerprintClaim::Differs)] {
            let claim = signer.signer.fingerprint(form).to_string();
            let mut claiming = with_member(&message, "fingerprint", Some(claim.into())).into_bytes();
            let mut again = claiming.clone();
            let verdict = warning.verify(Message::parse(&mut claiming, 1 << 20).unwrap()).unwrap();
            assert_eq!(verdict.verification().claim, expected);
            assert_eq!(verdict.verification().signer, *parties.signer.public_key(), "the signature decides");
            let verdict = strict.verify(Message::parse(&mut again, 1 << 20).unwrap()).map(drop);
            let mismatch = Err(VerifyError::FingerprintMismatch);
            assert_eq!(verdict, if expected == FingerprintClaim::Matches { Ok(()) } else { mismatch });
        }
    }
}

/// A digest under another form's prefix, in another alphabet, shortened or lengthened names nobody.
#[test]
fn fingerprint_confusion_names_nobody() {
    let parties = Parties::new(&provider::default());
    let message = parties.message();
    let [ssh256, spki256, ssh1, spki1] = FingerprintForm::ALL.map(|form| parties.signer.fingerprint(form).to_string());
    let digest = ssh256.strip_prefix("SHA256:").unwrap().to_owned();
    for claim in [
        format!("SHA1:{digest}"),
        format!("sha256:{digest}"),
        format!("SHA256: {digest}"),
        format!("SHA256:{digest}="),
        format!("SHA256:{}", &digest[..42]),
        format!("SHA256:{digest}A"),
        format!("{digest}="),
        format!("SHA256:{}", spki256.trim_end_matches('=')),
        format!("SHA256:{}", ssh1.strip_prefix("SHA1:").unwrap()),
        spki256.trim_end_matches('=').to_owned(),
        spki1.trim_end_matches('=').to_owned(),
        ssh256.to_lowercase(),
        format!("{ssh256} {spki256}"),
        format!("MD5:{digest}"),
        digest.replace(['+', '/'], "-"),
        "SHA256:".to_owned(),
        "*".to_owned(),
    ] {
        let claiming = with_member(&message, "fingerprint", Some(claim.clone().into()));
        assert_eq!(refused(&parties, &claiming), VerifyError::FingerprintMismatch, "{claim}");
    }
    for missing in [None, Some(serde_json::Value::Null), Some("".into())] {
        let claiming = with_member(&message, "fingerprint", missing);
        assert_eq!(refused(&parties, &claiming), VerifyError::FingerprintMissing);
    }
}

#[test]
fn downgrade_to_clear_text_is_refused_where_a_key_is_assigned() {
    let mut allowing = Policy::default();
    allowing.clear_text_messages = true;
    let admit = |policy: &Policy, has_key| UnauthenticatedRequest::admit(REQUEST, policy, has_key).map(|_| ());
    assert_eq!(admit(&Policy::default(), false), Err(ClearTextError::NotAllowed));
    assert_eq!(admit(&Policy::default(), true), Err(ClearTextError::QueueHasKey));
    assert_eq!(admit(&allowing, true), Err(ClearTextError::QueueHasKey));
    assert_eq!(admit(&allowing, false), Ok(()));
}

/// An envelope that is broken on purpose, or a Request beside one, does not pass as clear text.
#[test]
fn an_envelope_does_not_pass_as_clear_text() {
    let mut allowing = Policy::default();
    allowing.clear_text_messages = true;
    for text in [
        r#"{"message":{},"experiment":{},"config":{}}"#,
        r#"{"message":null,"experiment":{},"config":{}}"#,
        r#"{"Message":{},"experiment":{},"config":{}}"#,
        r#"{"MESSAGE":0,"experiment":{},"config":{}}"#,
        r#"{"experiment":{},"config":{},"message":{"payload":"x"}}"#,
    ] {
        let refused = UnauthenticatedRequest::admit(text.as_bytes(), &allowing, false).map(|_| ()).unwrap_err();
        assert_eq!(refused, ClearTextError::Request(RequestError::Envelope), "{text}");
    }
    let mut clear = REQUEST.to_vec();
    assert_eq!(Message::parse(&mut clear, 1 << 20).unwrap_err(), MessageError::NotAnEnvelope);
}

/// Cannot be prevented: headers are clear text beside the payload. Their type says so and the difference is reported.
#[test]
fn changed_headers_pass_and_are_reported() {
    let parties = Parties::new(&provider::default());
    let message = parties.message();
    let headers = serde_json::json!({"status": "running", "pythonver": "3.8"});
    let mut changed = with_member(&message, "experiment", Some(headers)).into_bytes();
    let parsed = Message::parse(&mut changed, 1 << 20).unwrap();
    let headers = parsed.unauthenticated_headers().clone();
    let opened = parties.opener.open(parties.verifier.verify(parsed).unwrap()).unwrap();
    let request = opened.request().unwrap();
    assert_eq!(request.disagreements(&headers), ["experiment.status"]);
    assert_eq!(request.as_json().as_bytes(), REQUEST, "the Request inside is the only truth");
}
