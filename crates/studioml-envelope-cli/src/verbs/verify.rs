//! `verify`: whether a message is signed by a key that is trusted.

use serde_json::json;
use studioml_envelope::{
    FingerprintClaim, Message, Payload, Provider, UnauthenticatedHeaders, Verification, Verified, Verifier, VerifyError,
};

use crate::{
    args::{Global, Verify},
    failure::{Failure, Outcome},
    io::{Limit, print_json, print_line, read_input, warn},
    load,
};

/// Verifies, and prints the signer's fingerprint.
pub fn run(global: &Global, verify: &Verify, provider: &Provider) -> Outcome {
    let verifier = load::verifier(&verify.trust, provider)?;
    let mut input = read_input(verify.input.as_deref(), Limit::message(global.max_plaintext))?;
    let (verified, _) = verify_input(&mut input, verify.trust.signature.as_deref(), &verifier, global.max_plaintext)?;
    let verification = verified.verification();
    warn_of_claim(verification);
    let fingerprint = verification.fingerprint.to_string();
    if global.json {
        let claim = match verification.claim {
            FingerprintClaim::Matches => "matches",
            FingerprintClaim::Differs => "differs",
            FingerprintClaim::Missing => "missing",
            _ => "not made",
        };
        let algorithm = verification.signer.kind();
        let report = json!({ "signer": fingerprint, "algorithm": algorithm, "claimed_fingerprint": claim });
        return print_json(&report);
    }
    print_line(&fingerprint)
}

/// Verifies an envelope, or a payload with the signature that came beside it. An envelope's clear-text headers come along, to
/// be compared with the Request.
pub fn verify_input<'a>(
    input: &'a mut [u8],
    signature: Option<&str>,
    verifier: &Verifier,
    max_plaintext: usize,
) -> Outcome<(Verified<'a>, Option<UnauthenticatedHeaders>)> {
    let is_json = input.trim_ascii_start().starts_with(b"{");
    match signature {
        None => {
            let message = Message::parse(input, max_plaintext).map_err(|error| match is_json {
                true => Failure::unusable(error),
                false => Failure::unusable(error).hint("a bare payload string is verified with --signature B64"),
            })?;
            let headers = message.unauthenticated_headers().clone();
            let verified = verifier.verify(message).map_err(|error| refusal(&error))?;
            Ok((verified, Some(headers)))
        }
        Some(signature) => {
            let payload = Payload::parse_file(input, max_plaintext).map_err(|error| match is_json {
                true => Failure::unusable(error).hint("an envelope has its signature in it: leave --signature out"),
                false => Failure::unusable(error),
            })?;
            let verified = verifier.verify_payload(payload, signature.trim_end()).map_err(|error| refusal(&error))?;
            Ok((verified, None))
        }
    }
}

fn refusal(error: &VerifyError) -> Failure {
    let failure = Failure::refused(error);
    match error {
        VerifyError::Unsigned => failure.hint("an unsigned message is opened only with open --unverified"),
        VerifyError::FingerprintMismatch | VerifyError::FingerprintMissing => {
            failure.hint("--fingerprint warn lets it pass, as deployed runners do")
        }
        _ => failure,
    }
}

/// With `--fingerprint warn` a false claim passes, and is said.
pub fn warn_of_claim(verification: &Verification) {
    match verification.claim {
        FingerprintClaim::Differs => warn("the message's fingerprint is not that of the key that signed"),
        FingerprintClaim::Missing => warn("the message has no fingerprint"),
        _ => {}
    }
}
