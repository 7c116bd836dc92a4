//! `seal` and `sign`: the experimenter's verbs.

use std::path::PathBuf;

use serde_json::json;
use studioml_envelope::{Payload, Provider, Sealer};
use studioml_envelope_keys::client_config::{ClientConfig, ConfigError};

use crate::{
    args::{Global, Seal, Sign},
    failure::{Failure, Outcome},
    io::{Contents, Limit, check_output, read_input, warn, write_output},
    load,
};

/// Seals a Request or a report.
pub fn seal(global: &Global, seal: &Seal, provider: &Provider) -> Outcome {
    let (recipient, signing_key) = keys_of(seal)?;
    let envelope = seal.envelope || signing_key.is_some() || seal.unsigned;
    if envelope && signing_key.is_none() && !seal.unsigned {
        return Err(Failure::usage("--envelope needs a signature: everybody who checks refuses a message without one")
            .hint("--sign KEY signs it; --unsigned writes it without a signature all the same"));
    }
    let io = &seal.io;
    check_output(io.output.as_deref(), io.force)?;

    let Some(recipient) = recipient else {
        return clear_text(global, seal);
    };
    let sealer = Sealer::new(provider, &load::recipient(&recipient)?).map_err(Failure::unusable)?;
    let sealer = sealer.with_max_plaintext(global.max_plaintext);
    let signer = signing_key.map(|path| load::signer(&path, global, provider)).transpose()?;
    let limit = Limit::plaintext(global.max_plaintext);
    let plaintext = zeroize::Zeroizing::new(read_input(io.input.as_deref(), limit)?);
    let sealed = match (&signer, envelope) {
        (Some(signer), _) => sealer.seal_signed_envelope(&plaintext, signer),
        (None, true) => sealer.seal_unsigned_envelope(&plaintext),
        (None, false) => sealer.seal(&plaintext),
    };
    write_output(io.output.as_deref(), &sealed.map_err(Failure::unusable)?, Contents::Public, io.force)
}

/// Recipient and signing key, from the command line or from a StudioML configuration.
fn keys_of(seal: &Seal) -> Outcome<(Option<PathBuf>, Option<PathBuf>)> {
    let Some(path) = &seal.config else {
        return Ok((seal.recipient.clone(), seal.sign.clone()));
    };
    let config = ClientConfig::read(path).map_err(|error| {
        let cause = format!("{}: {error}", path.display());
        match &error {
            ConfigError::Io(error) => Failure::input(cause, error),
            _ => Failure::unusable(cause),
        }
    })?;
    let recipient = seal.recipient.clone().or(config.public_key_path);
    if recipient.is_none() && !seal.clear_text {
        return Err(Failure::refused(format!("{}: public_key_path is not set", path.display()))
            .hint("set public_key_path, or say --clear-text to submit the Request unencrypted"));
    }
    let signing_key = if seal.unsigned { None } else { seal.sign.clone().or(config.signing_key_path) };
    Ok((recipient, signing_key))
}

/// Passes the Request through unchanged, as the configuration and `--clear-text` say.
fn clear_text(global: &Global, seal: &Seal) -> Outcome {
    let request = read_input(seal.io.input.as_deref(), Limit::plaintext(global.max_plaintext))?;
    warn("the Request is passed through in clear text: neither sealed nor signed");
    write_output(seal.io.output.as_deref(), &request, Contents::Public, seal.io.force)
}

/// Signs a payload string; the signature is base64.
pub fn sign(global: &Global, sign: &Sign, provider: &Provider) -> Outcome {
    let io = &sign.io;
    check_output(io.output.as_deref(), io.force)?;
    let signer = load::signer(&sign.key, global, provider)?;
    let mut input = read_input(io.input.as_deref(), Limit::message(global.max_plaintext))?;
    // without its line end; what is no payload is not signed with a key that signs payloads
    let payload = Payload::parse_file(&mut input, global.max_plaintext).map_err(Failure::unusable)?;
    let signature = signer.sign(payload.as_bytes()).map_err(Failure::unusable)?;
    let line = if global.json {
        let fingerprint = signer.fingerprint(studioml_envelope::FingerprintForm::SshSha256).to_string();
        format!("{}\n", json!({ "signature": signature, "fingerprint": fingerprint }))
    } else {
        format!("{signature}\n")
    };
    write_output(io.output.as_deref(), line.as_bytes(), Contents::Public, io.force)
}
