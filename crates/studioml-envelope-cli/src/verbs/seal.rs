//! `seal` and `sign`: the experimenter's verbs.

use serde_json::json;
use studioml_envelope::{Provider, Sealer};

use crate::{
    args::{Global, Seal, Sign},
    failure::{Failure, Outcome},
    io::{Contents, check_output, read_input, without_line_end, write_output},
    load,
};

/// Seals a Request or a report.
pub fn seal(global: &Global, seal: &Seal, provider: &Provider) -> Outcome {
    let envelope = seal.envelope || seal.sign.is_some() || seal.unsigned;
    if envelope && seal.sign.is_none() && !seal.unsigned {
        return Err(Failure::usage("--envelope needs a signature: everybody who checks refuses a message without one")
            .hint("--sign KEY signs it; --unsigned writes it without a signature all the same"));
    }
    let io = &seal.io;
    check_output(io.output.as_deref(), io.force)?;

    let sealer = Sealer::new(provider, &load::recipient(&seal.recipient)?).map_err(Failure::unusable)?;
    let signer = seal.sign.as_ref().map(|path| load::signer(path, global, provider)).transpose()?;
    let plaintext = zeroize::Zeroizing::new(read_input(io.input.as_deref())?);
    let sealed = match (&signer, envelope) {
        (Some(signer), _) => sealer.seal_signed_envelope(&plaintext, signer),
        (None, true) => sealer.seal_unsigned_envelope(&plaintext),
        (None, false) => sealer.seal(&plaintext),
    };
    write_output(io.output.as_deref(), &sealed.map_err(Failure::unusable)?, Contents::Public, io.force)
}

/// Signs a payload string; the signature is base64.
pub fn sign(global: &Global, sign: &Sign, provider: &Provider) -> Outcome {
    let io = &sign.io;
    check_output(io.output.as_deref(), io.force)?;
    let signer = load::signer(&sign.key, global, provider)?;
    let input = read_input(io.input.as_deref())?;
    let payload = without_line_end(&input);
    let signature = signer.sign(payload).map_err(Failure::unusable)?;
    let line = if global.json {
        let fingerprint = signer.fingerprint(studioml_envelope::FingerprintForm::SshSha256).to_string();
        format!("{}\n", json!({ "signature": signature, "fingerprint": fingerprint }))
    } else {
        format!("{signature}\n")
    };
    write_output(io.output.as_deref(), line.as_bytes(), Contents::Public, io.force)
}
