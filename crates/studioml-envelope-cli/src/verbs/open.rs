//! `open`: verify, then open; or open without verifying, and say so.

use serde_json::json;
use studioml_envelope::{Message, MessageError, OpenError, Opener, Payload, Provider};

use super::verify::{verify_input, warn_of_claim};
use crate::{
    args::{Global, Open},
    failure::{Failure, Outcome},
    io::{Contents, Limit, check_output, is_standard_output, print_json, read_input, warn, write_output},
    load,
};

/// Opens a message. Nothing is written unless everything was good.
pub fn run(global: &Global, open: &Open, provider: &Provider) -> Outcome {
    let io = &open.io;
    check_output(io.output.as_deref(), io.force)?;
    if global.json && is_standard_output(io.output.as_deref()) {
        return Err(Failure::usage("--json and the plaintext cannot both go to standard output").hint("give -o OUT"));
    }
    // whose signature counts is settled before a private key is unlocked
    let verifier = if open.unverified { None } else { Some(load::verifier(&open.trust, provider)?) };
    let opener = load::opener(open.key.as_deref(), open.secrets.as_deref(), global, provider)?;

    let mut input = zeroize::Zeroizing::new(read_input(io.input.as_deref(), Limit::message(global.max_plaintext))?);
    match verifier {
        Some(verifier) => {
            let signature = open.trust.signature.as_deref();
            let (verified, headers) = verify_input(&mut input, signature, &verifier, global.max_plaintext)?;
            warn_of_claim(verified.verification());
            let signer = verified.verification().fingerprint;
            let opened = opener.open(verified).map_err(|error| refusal(&error))?;
            if let (Some(headers), Ok(request)) = (headers, opened.request()) {
                warn_of_headers(&request.disagreements(&headers));
            }
            write_output(io.output.as_deref(), opened.plaintext(), Contents::Secret, io.force)?;
            report(global, opened.plaintext().len(), Some(&signer.to_string()))
        }
        None => {
            let opened = open_unverified(&mut input, &opener, global.max_plaintext)?;
            warn("opened without a signature check: anybody who has the public key can have made it");
            write_output(io.output.as_deref(), opened.unauthenticated_plaintext(), Contents::Secret, io.force)?;
            report(global, opened.unauthenticated_plaintext().len(), None)
        }
    }
}

/// Says which clear-text headers lie. They are anybody's to write, so there may be any number of them.
fn warn_of_headers(names: &[String]) {
    const SHOWN: usize = 8;
    for name in names.iter().take(SHOWN) {
        warn(format!("the clear-text header {name} says something else than the Request"));
    }
    if let Some(more) = names.len().checked_sub(SHOWN).filter(|more| *more > 0) {
        warn(format!("and {more} more"));
    }
}

/// Opens an envelope or a bare payload without a signature check.
fn open_unverified<'a>(
    input: &'a mut [u8],
    opener: &Opener,
    max_plaintext: usize,
) -> Outcome<studioml_envelope::UnauthenticatedPlaintext<'a>> {
    let is_json = input.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{');
    let payload = if is_json {
        Message::parse(input, max_plaintext).map_err(|error| malformed(&error))?.into_payload_unverified()
    } else {
        Payload::parse_file(input, max_plaintext).map_err(Failure::unusable)?
    };
    opener.open_unauthenticated(payload).map_err(|error| refusal(&error))
}

fn malformed(error: &MessageError) -> Failure {
    let failure = Failure::unusable(error);
    match error {
        MessageError::NotAnEnvelope => failure.hint("a clear-text Request has nothing to open"),
        _ => failure,
    }
}

fn refusal(error: &OpenError) -> Failure {
    match error {
        OpenError::Payload(error) => Failure::unusable(error),
        error => Failure::refused(error),
    }
}

fn report(global: &Global, bytes: usize, signer: Option<&str>) -> Outcome {
    if global.json {
        return print_json(&json!({ "bytes": bytes, "signer": signer, "verified": signer.is_some() }));
    }
    Ok(())
}
