//! `kubernetes`: manifests from key files, in the seed's layout.

use std::path::Path;

use studioml_envelope::{Provider, SecretBytes};
use studioml_envelope_keys::{
    kubernetes::{
        DeploymentOptions, ManifestError, PASSPHRASE_SECRET, QueueKeys, deployment, encryption_secrets,
        is_read_by_older_runners, prefix_warning, queue_secret,
    },
    read_public,
};

use crate::{
    args::{Global, Kubernetes},
    failure::{Failure, Outcome},
    io::{Contents, Limit, name_of, read_input, warn, write_output},
    load::{self, key_failure, warn_if_weak},
    secret_input,
};

/// Writes manifests to standard output.
pub fn run(global: &Global, kubernetes: Kubernetes, provider: &Provider) -> Outcome {
    match kubernetes {
        Kubernetes::Secrets { private, public, place } => {
            secrets(global, provider, &private, &public, place.namespace.as_deref())
        }
        Kubernetes::Signing { keys, reports, place } => {
            let kind = if reports { QueueKeys::Reports } else { QueueKeys::Signing };
            queue_keys(&keys, kind, place.namespace.as_deref())
        }
        Kubernetes::Deployment { image, clear_text, several_keys, place } => {
            if clear_text {
                warn("CLEAR_TEXT_MESSAGES lets anybody who can write to a queue without a signing key run work");
            }
            let mut options = DeploymentOptions::default();
            options.clear_text_messages = clear_text;
            options.several_keys = several_keys;
            let manifest = deployment(&image, options, place.namespace.as_deref()).map_err(unusable)?;
            write_output(None, manifest.as_bytes(), Contents::Public, false)
        }
    }
}

fn secrets(global: &Global, provider: &Provider, private: &Path, public: &Path, namespace: Option<&str>) -> Outcome {
    let name = name_of(Some(private));
    let private_file = load::read_private_file(private, global, provider)?;
    let unlocked = load::unlock(&name, private_file.expose_secret(), global, provider)?;
    let public_file = read_input(Some(public), Limit::KEY_FILE)?;
    let passphrase = match unlocked.passphrase {
        // for a key that needs none it is refused, unless it stands in the environment for other keys
        None if global.passphrase.is_on_command_line() => secret_input::given(&global.passphrase)?,
        passphrase => passphrase,
    };
    let manifest =
        encryption_secrets(private_file.expose_secret(), &public_file, passphrase.as_ref(), namespace, provider);
    let manifest = manifest.map_err(|error| match error {
        // the private key has been read above
        ManifestError::KeyFile { error, .. } => key_failure(&name_of(Some(public)), &error),
        error => unusable(error),
    })?;
    let older = is_read_by_older_runners(private_file.expose_secret(), provider);
    if !older.map_err(|error| key_failure(&name, &error))? {
        warn(format!("{name}: deployed runners read legacy PEM only; `keys convert --to legacy-pem` makes it"));
    }
    if passphrase.is_none() {
        warn(format!(
            "{name}: not encrypted, so there is no {PASSPHRASE_SECRET}, without which a pod of `kubernetes deployment` \
             does not start"
        ));
    }
    write_output(None, SecretBytes::expose_secret(&manifest), Contents::Secret, false)
}

fn queue_keys(keys: &[String], kind: QueueKeys, namespace: Option<&str>) -> Outcome {
    let mut files = Vec::with_capacity(keys.len());
    for key in keys {
        let Some((prefix, file)) = key.split_once('=').filter(|(prefix, file)| !prefix.is_empty() && !file.is_empty())
        else {
            return Err(
                Failure::usage(format!("{key:?} is not PREFIX=FILE")).hint("--key rmq_cpu_=studioml_signing.pub")
            );
        };
        files.push((prefix, file, read_input(Some(Path::new(file)), Limit::KEY_FILE)?));
    }
    let contents = files.iter().map(|(prefix, _, contents)| (*prefix, contents.as_slice()));
    let manifest = queue_secret(kind, contents, namespace).map_err(unusable)?;
    for (prefix, file, contents) in &files {
        if let Some(problem) = prefix_warning(prefix) {
            warn(format!("{prefix}: {problem}"));
        }
        if let Ok(key) = read_public(contents) {
            warn_if_weak(file, &key.key);
        }
    }
    write_output(None, manifest.as_bytes(), Contents::Public, false)
}

fn unusable(error: ManifestError) -> Failure {
    Failure::unusable(error)
}
