//! `keys`: what key files and mounted key directories hold.

use std::path::Path;

use serde_json::json;
use studioml_envelope::{Fingerprint, FingerprintForm, PrivateKey, Provider, PublicKey};
use studioml_envelope_keys::{
    Description, KeyFileError, Passphrase, PrivateFormat, PublicFormat,
    directory::{DirectoryKind, ReportKeys, Selection, SigningKeys, check_directory},
    encode_private, encode_public,
};

use crate::{
    args::{Convert, Global, KeyFormat, Keys},
    failure::{Failure, Outcome},
    io::{Contents, check_output, name_of, print_json, print_line, warn, write_output},
    load::{self, Unlocked},
    secret_input,
    verbs::fingerprint::as_json,
};

/// Runs a `keys` verb.
pub fn run(global: &Global, keys: Keys, provider: &Provider) -> Outcome {
    match keys {
        Keys::Show { file } => show(global, &file, provider),
        Keys::Convert(wanted) => convert(global, &wanted, provider),
        Keys::Check { directory } => check(global, &directory, provider),
        Keys::Select { directory, queue } => select(global, &directory, &queue, provider),
    }
}

fn show(global: &Global, file: &Path, provider: &Provider) -> Outcome {
    let keys = load::descriptions(file, global, provider)?;
    keys.iter().filter_map(|key| key.public_key.as_ref()).for_each(|key| load::warn_if_weak(&name_of(Some(file)), key));
    if global.json {
        let keys: Vec<_> = keys.iter().map(|key| key_as_json(key, provider)).collect();
        return print_json(&json!({ "keys": keys }));
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

fn convert(global: &Global, wanted: &Convert, provider: &Provider) -> Outcome {
    check_output(Some(&wanted.output), wanted.force)?;
    match wanted.to {
        KeyFormat::Pkcs8 => convert_private(global, wanted, PrivateFormat::Pkcs8, provider),
        KeyFormat::LegacyPem => convert_private(global, wanted, PrivateFormat::LegacyPem, provider),
        KeyFormat::Openssh => convert_private(global, wanted, PrivateFormat::OpenSsh, provider),
        KeyFormat::Pkcs1Pub => convert_public(global, wanted, PublicFormat::Pkcs1Pem, provider),
        KeyFormat::SpkiPub => convert_public(global, wanted, PublicFormat::SpkiPem, provider),
        KeyFormat::SshPub => convert_public(global, wanted, PublicFormat::SshLine, provider),
    }
}

fn convert_public(global: &Global, wanted: &Convert, format: PublicFormat, provider: &Provider) -> Outcome {
    let keys = match wanted.ed25519_seed {
        true => vec![(load::ed25519_seed(&wanted.file, global, provider)?.public_key().clone(), String::new())],
        false => load::public_halves(&wanted.file, global, provider)?,
    };
    let encoded = keys.iter().map(|(key, comment)| encode_public(key, format, comment));
    let encoded = encoded.collect::<Result<Vec<_>, _>>().map_err(|error| unusable(&wanted.file, &error))?.concat();
    write_output(Some(&wanted.output), &encoded, Contents::Public, wanted.force)
}

fn convert_private(global: &Global, wanted: &Convert, format: PrivateFormat, provider: &Provider) -> Outcome {
    let read = match wanted.ed25519_seed {
        true => Unlocked { key: load::ed25519_seed(&wanted.file, global, provider)?, passphrase: None },
        false => load::unlocked(&wanted.file, global, provider)?,
    };
    let passphrase = new_passphrase(wanted, read.passphrase)?;
    let comment = read.key.description().comment.clone().unwrap_or_default();
    let key: PrivateKey = read.key.into_key();
    let encoded = encode_private(&key, format, passphrase.as_ref(), &comment, provider);
    let encoded = encoded.map_err(|error| unusable(&wanted.file, &error))?;
    write_output(Some(&wanted.output), encoded.expose_secret(), Contents::Secret, wanted.force)
}

/// The passphrase of the key to be written: as the command line says, else the one that the key was read with.
fn new_passphrase(wanted: &Convert, old: Option<Passphrase>) -> Outcome<Option<Passphrase>> {
    if wanted.no_new_passphrase {
        return Ok(None);
    }
    let Some(path) = &wanted.new_passphrase_file else {
        if old.is_none() {
            warn(format!("{}: not encrypted, and neither is what is written", name_of(Some(&wanted.file))));
        }
        return Ok(old);
    };
    let (new, _) = secret_input::read_file(path)?.strip_line_end();
    if new.is_empty() {
        return Err(Failure::unusable(format!("passphrase file {}: the passphrase is empty", path.display()))
            .hint("--no-new-passphrase writes the key without one"));
    }
    Ok(Some(new))
}

fn unusable(file: &Path, error: &KeyFileError) -> Failure {
    Failure::unusable(format!("{}: {error}", name_of(Some(file))))
}

fn check(global: &Global, directory: &Path, provider: &Provider) -> Outcome {
    let report =
        check_directory(directory, None, provider).map_err(|error| load::unreadable_directory(directory, &error))?;
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
        print_json(&json!({ "kind": report.kind.name(), "sound": sound, "live": live, "findings": findings }))?;
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
    let report =
        check_directory(directory, None, provider).map_err(|error| load::unreadable_directory(directory, &error))?;
    if report.kind == DirectoryKind::Reports {
        let keys =
            ReportKeys::load(directory, provider).map_err(|error| load::unreadable_directory(directory, &error))?;
        return print_selection(global, queue, provider, &keys.select(queue), |key| {
            PublicKey::Rsa(key.public_key().clone())
        });
    }
    let keys = SigningKeys::load(directory, provider).map_err(|error| load::unreadable_directory(directory, &error))?;
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
        return print_json(&json!({ "prefix": prefix, "fingerprints": fingerprints }));
    }
    fingerprints.iter().try_for_each(|fingerprint| print_line(&format!("{prefix} {fingerprint}")))
}
