//! `kubernetes`: manifests from key files, in the seed's layout.

use std::path::{Path, PathBuf};

use studioml_envelope::{Provider, SecretBytes};
use studioml_envelope_keys::{
    disk::{self, Access},
    kubernetes::{
        DeploymentOptions, ManifestError, QueueKeys, deployment, encryption_secrets, is_read_by_older_runners,
        prefix_warning, queue_secret,
    },
};

use crate::{
    args::{Global, Kubernetes},
    failure::{Failure, Outcome},
    io::{Contents, name_of, read_input, warn, write_output},
    load::key_failure,
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
    let access = if global.allow_readable_key { Access::Anyone } else { Access::OwnerOnly };
    let private_file = disk::read_private(private, access)
        .map_err(|error| Failure::unusable(format!("{}: {error}", private.display())))?;
    let public_file = read_input(Some(public))?;
    let passphrase = secret_input::given(&global.passphrase)?;
    let manifest =
        encryption_secrets(private_file.expose_secret(), &public_file, passphrase.as_ref(), namespace, provider)
            .map_err(unusable)?;
    let older = is_read_by_older_runners(private_file.expose_secret(), provider);
    if !older.map_err(|error| key_failure(&name_of(Some(private)), &error))? {
        warn(format!(
            "{}: deployed runners read legacy PEM only; `keys convert --to legacy-pem` makes it",
            private.display()
        ));
    }
    write_output(None, SecretBytes::expose_secret(&manifest), Contents::Secret, false)
}

fn queue_keys(keys: &[String], kind: QueueKeys, namespace: Option<&str>) -> Outcome {
    let mut files = Vec::with_capacity(keys.len());
    for key in keys {
        let Some((prefix, file)) = key.split_once('=') else {
            return Err(
                Failure::usage(format!("{key:?} is not PREFIX=FILE")).hint("--key rmq_cpu_=studioml_signing.pub")
            );
        };
        if let Some(problem) = prefix_warning(prefix) {
            warn(format!("{prefix}: {problem}"));
        }
        files.push((prefix, read_input(Some(&PathBuf::from(file)))?));
    }
    let files = files.iter().map(|(prefix, contents)| (*prefix, contents.as_slice()));
    let manifest = queue_secret(kind, files, namespace).map_err(unusable)?;
    write_output(None, manifest.as_bytes(), Contents::Public, false)
}

fn unusable(error: ManifestError) -> Failure {
    Failure::unusable(error)
}
