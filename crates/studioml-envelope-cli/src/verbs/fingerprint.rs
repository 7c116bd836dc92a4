//! `fingerprint`: of a public or private key file of any kind.

use serde_json::{Map, Value, json};
use studioml_envelope::{Fingerprint, FingerprintForm, Provider};

use crate::{
    args::{Fingerprint as Arguments, Form, Global},
    failure::Outcome,
    io::{print_json, print_line},
    load,
};

/// Prints the fingerprint of each key in the file, or all four forms with their names.
pub fn run(global: &Global, arguments: &Arguments, provider: &Provider) -> Outcome {
    let form = match arguments.format {
        Form::SshSha256 => Some(FingerprintForm::SshSha256),
        Form::SpkiSha256 => Some(FingerprintForm::SpkiSha256),
        Form::SshSha1 => Some(FingerprintForm::SshSha1),
        Form::SpkiSha1 => Some(FingerprintForm::SpkiSha1),
        Form::All => None,
    };
    let keys = load::public_halves(&arguments.key, global, provider)?;
    let keys = keys.iter().map(|(key, _)| match form {
        Some(form) => vec![Fingerprint::of(key, form, provider.digest)],
        None => Fingerprint::all_of(key, provider.digest).to_vec(),
    });
    if global.json {
        let keys: Vec<_> = keys.map(|fingerprints| as_json(&fingerprints)).collect();
        return print_json(&json!({ "keys": keys }));
    }
    for fingerprints in keys {
        if form.is_some() {
            fingerprints.iter().try_for_each(|one| print_line(&one.to_string()))?;
        } else {
            fingerprints.iter().try_for_each(|one| print_line(&format!("{:<12}{one}", one.form().name())))?;
        }
    }
    Ok(())
}

/// Fingerprints by the names of their forms.
pub fn as_json(fingerprints: &[Fingerprint]) -> Value {
    fingerprints.iter().map(|one| (one.form().name().to_owned(), one.to_string().into())).collect::<Map<_, _>>().into()
}
