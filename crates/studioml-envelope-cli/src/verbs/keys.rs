//! `keys`: what key files and mounted key directories hold.

use std::path::Path;

use serde_json::json;
use studioml_envelope::{Fingerprint, FingerprintForm, PrivateKey, Provider, PublicKey};
use studioml_envelope_keys::{
    Description, KeyFileError, PrivateFormat, PublicFormat,
    directory::{DirectoryError, DirectoryKind, ReportKeys, Selection, SigningKeys, check_directory},
    encode_private, encode_public,
};

use crate::{
    args::{Global, KeyFormat, Keys},
    failure::{Failure, Outcome},
    io::{Contents, check_output, name_of, print_line, write_output},
    load, secret_input,
    verbs::fingerprint::as_json,
};

/// Runs a `keys` verb.
pub fn run(global: &Global, keys: Keys, provider: &Provider) -> Outcome {
    match keys {
        Keys::Show { file } => show(global, &file, provider),
        Keys::Convert { file, to, output, new_passphrase_file, no_new_passphrase, force } => {
            let new = NewPassphrase { file: new_passphrase_file.as_deref(), none: no_new_passphrase };
            convert(global, provider, &file, to, &output, &new, force)
        }
        Keys::Check { directory } => check(global, &directory, provider),
        Keys::Select { directory, queue } => select(global, &directory, &queue, provider),
    }
}

fn show(global: &Global, file: &Path, provider: &Provider) -> Outcome {
    let keys = load::descriptions(file, global, provider)?;
    if global.json {
        let keys: Vec<_> = keys.iter().map(|key| key_as_json(key, provider)).collect();
        return print_line(&json!({ "keys": keys }).to_string());
    }
    for key in &keys {
        for line in described(key) {
            print_line(&line)?;
        }
        match &key.public_key {
            Some(public) => Fingerprint::all_of(public, provider.digest)
                .iter()
                .try_for_each(|one| print_line(&format!("{:<12} {one}", one.form().name())))?,
            None => print_line("fingerprint  hidden by the encryption; --passphrase-file shows it")?,
        }
    }
    Ok(())
}

fn key_as_json(key: &Description, provider: &Provider) -> serde_json::Value {
    let fingerprints = key.public_key.as_ref().map(|public| as_json(&Fingerprint::all_of(public, provider.digest)));
    json!({
        "kind": key.kind, "private": key.is_private, "bits": key.public_key.as_ref().map(size_in_bits),
        "format": key.format.to_string(), "encoding": key.encoding.to_string(),
        "protection": key.protection.to_string(), "encrypted": key.protection.is_encrypted(),
        "comment": key.comment, "fingerprints": fingerprints,
    })
}

fn described(description: &Description) -> Vec<String> {
    let half = if description.is_private { "private" } else { "public" };
    let bits = description.public_key.as_ref().map(size_in_bits);
    let size = bits.map(|bits| format!(", {bits} bits")).unwrap_or_default();
    let kind = match description.kind {
        Some(kind) => format!("{kind} {half} key{size}"),
        None => format!("{half} key; the encryption hides of which kind"),
    };
    let mut lines = vec![
        format!("{:<12} {kind}", "kind"),
        format!("{:<12} {}, {}", "format", description.format, description.encoding),
    ];
    if description.is_private {
        lines.push(format!("{:<12} {}", "protection", description.protection));
    }
    if let Some(comment) = description.comment.as_deref().filter(|comment| !comment.is_empty()) {
        lines.push(format!("{:<12} {comment}", "comment"));
    }
    lines
}

fn size_in_bits(key: &PublicKey) -> usize {
    match key {
        PublicKey::Rsa(key) => key.bits(),
        _ => 256,
    }
}

/// What the command line says of the passphrase of the key to be written.
struct NewPassphrase<'p> {
    file: Option<&'p Path>,
    none: bool,
}

fn convert(
    global: &Global,
    provider: &Provider,
    file: &Path,
    to: KeyFormat,
    output: &Path,
    new: &NewPassphrase<'_>,
    force: bool,
) -> Outcome {
    check_output(Some(output), force)?;
    let public_format = match to {
        KeyFormat::Pkcs8 => return convert_private(global, provider, file, PrivateFormat::Pkcs8, output, new, force),
        KeyFormat::LegacyPem => {
            return convert_private(global, provider, file, PrivateFormat::LegacyPem, output, new, force);
        }
        KeyFormat::Openssh => {
            return convert_private(global, provider, file, PrivateFormat::OpenSsh, output, new, force);
        }
        KeyFormat::Pkcs1Pub => PublicFormat::Pkcs1Pem,
        KeyFormat::SpkiPub => PublicFormat::SpkiPem,
        KeyFormat::SshPub => PublicFormat::SshLine,
    };
    let keys = load::public_halves(file, global, provider)?;
    let encoded = keys.iter().map(|(key, comment)| encode_public(key, public_format, comment));
    let encoded = encoded.collect::<Result<Vec<_>, _>>().map_err(|error| unusable(file, &error))?.concat();
    write_output(Some(output), &encoded, Contents::Public, force)
}

fn convert_private(
    global: &Global,
    provider: &Provider,
    file: &Path,
    format: PrivateFormat,
    output: &Path,
    new: &NewPassphrase<'_>,
    force: bool,
) -> Outcome {
    let read = load::unlocked(file, global, provider)?;
    let given = match (new.none, new.file) {
        (true, _) => None,
        (false, Some(path)) => Some(secret_input::read_file(path)?.strip_line_end().0),
        (false, None) => read.passphrase,
    };
    let comment = read.key.description().comment.clone().unwrap_or_default();
    let key: PrivateKey = read.key.into_key();
    let encoded = encode_private(&key, format, given.as_ref(), &comment, provider);
    let encoded = encoded.map_err(|error| unusable(file, &error))?;
    write_output(Some(output), encoded.expose_secret(), Contents::Secret, force)
}

fn unusable(file: &Path, error: &KeyFileError) -> Failure {
    Failure::unusable(format!("{}: {error}", name_of(Some(file))))
}

fn check(global: &Global, directory: &Path, provider: &Provider) -> Outcome {
    let report = check_directory(directory, None, provider).map_err(|error| unreadable(directory, &error))?;
    let fingerprint = |key| Fingerprint::of(key, FingerprintForm::SshSha256, provider.digest).to_string();
    if global.json {
        let live: Vec<_> = report
            .live
            .iter()
            .map(|file| json!({ "file": file.file, "fingerprints": file.keys.iter().map(fingerprint).collect::<Vec<_>>() }))
            .collect();
        let findings: Vec<_> = report
            .findings
            .iter()
            .map(|finding| {
                let severity = finding.severity().to_string();
                json!({ "file": finding.file, "severity": severity, "problem": finding.problem.to_string() })
            })
            .collect();
        let sound = report.is_sound();
        print_line(
            &json!({ "kind": report.kind.name(), "sound": sound, "live": live, "findings": findings }).to_string(),
        )?;
    } else {
        for file in &report.live {
            let keys: Vec<_> = file.keys.iter().map(|key| format!("{} {}", key.kind(), fingerprint(key))).collect();
            print_line(&format!("ok       {}: {}", file.file, keys.join(", ")))?;
        }
        for finding in &report.findings {
            print_line(&format!("{:<8} {finding}", finding.severity().to_string()))?;
        }
        if report.live.is_empty() {
            print_line("no keys: everything is refused")?;
        }
    }
    if report.is_sound() {
        return Ok(());
    }
    Err(Failure::unusable(format!("{}: not everything in it can be used", directory.display())))
}

fn select(global: &Global, directory: &Path, queue: &str, provider: &Provider) -> Outcome {
    let report = check_directory(directory, None, provider).map_err(|error| unreadable(directory, &error))?;
    if report.kind == DirectoryKind::Reports {
        let keys = ReportKeys::load(directory, provider).map_err(|error| unreadable(directory, &error))?;
        return print_selection(global, queue, provider, &keys.select(queue), |key| {
            PublicKey::Rsa(key.public_key().clone())
        });
    }
    let keys = SigningKeys::load(directory, provider).map_err(|error| unreadable(directory, &error))?;
    print_selection(global, queue, provider, &keys.select(queue), |key| (*key.public_key()).into())
}

fn print_selection<K>(
    global: &Global,
    queue: &str,
    provider: &Provider,
    selection: &Selection<'_, K>,
    public: impl Fn(&K) -> PublicKey,
) -> Outcome {
    let (prefix, keys) = match selection {
        Selection::Found { prefix, keys } => (prefix, keys),
        Selection::Broken { prefix, reason } => {
            return Err(Failure::refused(format!(
                "the key file {prefix:?}, which owns queue {queue:?}, is broken: {reason}"
            )));
        }
        Selection::None => return Err(Failure::refused(format!("no prefix owns queue {queue:?}"))),
    };
    let fingerprint = |key: &K| Fingerprint::of(&public(key), FingerprintForm::SshSha256, provider.digest).to_string();
    let fingerprints: Vec<_> = keys.iter().map(|key| fingerprint(key)).collect();
    if global.json {
        return print_line(&json!({ "prefix": prefix, "fingerprints": fingerprints }).to_string());
    }
    fingerprints.iter().try_for_each(|fingerprint| print_line(&format!("{prefix} {fingerprint}")))
}

fn unreadable(directory: &Path, error: &DirectoryError) -> Failure {
    Failure::io(format!("{}: {error}", directory.display()))
}
