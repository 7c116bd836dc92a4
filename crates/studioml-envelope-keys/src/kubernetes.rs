//! Kubernetes manifests for the layout of deployed runners (docs/spec.md §6), from key files.
//!
//! Key pair and passphrase are two secrets, so that access control can give them to different people. A clear-text switch is
//! written only when asked for.

use std::collections::BTreeMap;

use base64::Engine as _;
use serde::{Serialize, Serializer};
use studioml_envelope_core::{KeyError, Provider, PublicKey, RsaPublicKey, SecretBytes, SigningPublicKey};
use thiserror::Error;
use zeroize::Zeroizing;

use crate::{
    Format, KeyFileError, Passphrase, Protection, directory::Problem, file::BASE64, read_private, read_public,
    read_public_keys,
};

/// The secret with the runner's RSA key pair.
pub const KEY_SECRET: &str = "studioml-runner-key-secret";
/// The secret with its passphrase.
pub const PASSPHRASE_SECRET: &str = "studioml-runner-passphrase-secret";
/// The secret with the signing keys of queues.
pub const SIGNING_SECRET: &str = "studioml-signing";
/// The secret with the report keys of queues.
pub const REPORTS_SECRET: &str = "studioml-report-keys";
/// The configuration that a clear-text switch goes into.
const CONFIG_MAP: &str = "studioml-go-runner-config";
const APPLICATION: &str = "studioml-go-runner";

/// A secret's data may take 1 MiB in all (Kubernetes `MaxSecretSize`).
const MAX_SECRET: usize = 1024 * 1024;
/// What keeps a secret from being empty, which is skipped when keys are loaded.
const PLACEHOLDER: (&str, &[u8]) = ("info", b"Dummy Secret so resource remains present");

/// A manifest cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// A key file cannot be used.
    #[error("{file}: {error}")]
    KeyFile {
        /// `private key`, `public key`, or a prefix.
        file: String,
        /// Why.
        error: KeyFileError,
    },
    /// The public key is not the private key's.
    #[error("the public key does not belong to the private key")]
    NotAPair,
    /// A passphrase for a private key that is not encrypted: the secret would suggest a protection that there is not.
    #[error("the private key is not encrypted, and there is a passphrase for it")]
    PassphraseNotNeeded,
    /// A name that Kubernetes, or a key directory, does not take.
    #[error("{name:?} cannot be a queue-name prefix here: {reason}")]
    Prefix {
        /// The name, cut to 64 characters.
        name: String,
        /// Why.
        reason: &'static str,
    },
    /// Two files for one prefix.
    #[error("{0:?} is given more than once")]
    PrefixTwice(String),
    /// No file at all.
    #[error("no keys")]
    Empty,
    /// More than a secret can hold.
    #[error("{found} bytes of keys: a secret holds {maximum}", maximum = MAX_SECRET)]
    TooLarge {
        /// Bytes in all.
        found: usize,
    },
    /// The namespace is no DNS label (RFC 1123).
    #[error("{name:?} cannot be a namespace: at most 63 lower-case letters, digits and '-'")]
    Namespace {
        /// The name, cut to 64 characters.
        name: String,
    },
    /// The manifest could not be written as YAML.
    #[error("the manifest could not be written")]
    Write,
}

/// Which directory queue keys are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueueKeys {
    /// Signing keys: `/runner/certs/queues/signing`.
    Signing,
    /// Report keys: `/runner/certs/queues/response-encrypt`.
    Reports,
}

/// The two secrets of the runner's key pair, as `kubectl create secret generic` makes them: YAML, secret.
///
/// `private` and `public` are the files as they are; they are checked to be an RSA pair that the passphrase unlocks. The
/// passphrase goes in as the form that did unlock it, without the line end that an editor may have added. An unencrypted
/// private key gets no passphrase secret.
///
/// # Errors
/// [`ManifestError`].
pub fn encryption_secrets(
    private: &[u8],
    public: &[u8],
    passphrase: Option<&Passphrase>,
    namespace: Option<&str>,
    provider: &Provider,
) -> Result<SecretBytes, ManifestError> {
    let in_file = |file: &'static str| move |error| ManifestError::KeyFile { file: file.to_owned(), error };
    let unlocked = unlock(private, passphrase, provider).map_err(in_file("private key"))?;
    let public_key = read_public(public).map_err(in_file("public key"))?.key;
    RsaPublicKey::try_from(public_key.clone()).map_err(|error| in_file("public key")(error.into()))?;
    if public_key != unlocked.public {
        return Err(ManifestError::NotAPair);
    }
    let metadata = |name| Metadata::new(name, namespace);
    let mut documents =
        vec![to_yaml(&Secret::new(metadata(KEY_SECRET)?, [("ssh-privatekey", private), ("ssh-publickey", public)])?)?];
    match (unlocked.passphrase, passphrase) {
        (Some(passphrase), _) => {
            let data = [("ssh-passphrase", passphrase.expose_secret())];
            documents.push(to_yaml(&Secret::new(metadata(PASSPHRASE_SECRET)?, data)?)?);
        }
        (None, Some(_)) => return Err(ManifestError::PassphraseNotNeeded),
        (None, None) => {}
    }
    Ok(SecretBytes::new(join(&documents)))
}

/// Whether deployed runners, which read legacy PEM and nothing else, can use a private key file.
///
/// # Errors
/// [`KeyFileError`] if it is no private key file.
pub fn is_read_by_older_runners(private: &[u8], provider: &Provider) -> Result<bool, KeyFileError> {
    let found = crate::inspect(private, provider)?;
    Ok(found.iter().any(|found| {
        let legacy = matches!(found.protection, Protection::Encrypted { kdf: crate::Kdf::Md5, .. });
        found.is_private && found.format == Format::Pkcs1 && legacy
    }))
}

/// What came of unlocking a private key.
struct Unlocked {
    public: PublicKey,
    /// The form of the passphrase that unlocked it; `None` if it is not encrypted.
    passphrase: Option<Passphrase>,
}

fn unlock(private: &[u8], passphrase: Option<&Passphrase>, provider: &Provider) -> Result<Unlocked, KeyFileError> {
    let mut last = None;
    for candidate in passphrase.into_iter().flat_map(Passphrase::candidates) {
        let exact = Passphrase::exact(candidate.to_vec());
        match read_private(private, Some(&exact), provider) {
            Ok(read) => {
                let encrypted = read.description().protection.is_encrypted();
                return Ok(Unlocked { public: rsa_only(read.public_key())?, passphrase: encrypted.then_some(exact) });
            }
            Err(error) => last = Some(error),
        }
    }
    match last {
        Some(error) => Err(error),
        None => {
            let read = read_private(private, None, provider)?;
            Ok(Unlocked { public: rsa_only(read.public_key())?, passphrase: None })
        }
    }
}

fn rsa_only(key: &PublicKey) -> Result<PublicKey, KeyFileError> {
    match key {
        PublicKey::Rsa(_) => Ok(key.clone()),
        other => Err(KeyError::Kind { expected: "RSA", found: other.kind() }.into()),
    }
}

/// The secret with the signing keys or report keys of queues, a file per prefix: YAML, public.
///
/// Each file is checked as the loader would; a placeholder keeps the secret from being empty.
///
/// # Errors
/// [`ManifestError`].
pub fn queue_secret<'f>(
    kind: QueueKeys,
    files: impl IntoIterator<Item = (&'f str, &'f [u8])>,
    namespace: Option<&str>,
) -> Result<String, ManifestError> {
    let mut data = BTreeMap::from([PLACEHOLDER]);
    for (prefix, contents) in files {
        check_prefix(prefix)?;
        check_queue_file(kind, contents).map_err(|error| ManifestError::KeyFile { file: prefix.to_owned(), error })?;
        if data.insert(prefix, contents).is_some() {
            return Err(ManifestError::PrefixTwice(prefix.to_owned()));
        }
    }
    if data.len() == 1 {
        return Err(ManifestError::Empty);
    }
    let name = match kind {
        QueueKeys::Signing => SIGNING_SECRET,
        QueueKeys::Reports => REPORTS_SECRET,
    };
    let document = to_yaml(&Secret::new(Metadata::new(name, namespace)?, data)?)?;
    String::from_utf8(join(&[document])).map_err(|_| ManifestError::Write)
}

/// The warning that `keys check` would give for a prefix.
#[must_use]
pub fn prefix_warning(prefix: &str) -> Option<Problem> {
    (!prefix.ends_with('_')).then_some(Problem::PrefixOpenEnded)
}

/// A key of a secret: at most 253 of `[-._a-zA-Z0-9]`, and not `..data` or the like (Kubernetes `IsConfigMapKey`).
fn check_prefix(name: &str) -> Result<(), ManifestError> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let reason = if name.chars().count() < 4 {
        "it has fewer than 4 characters"
    } else if name.len() > 253 {
        "it has more than 253 characters"
    } else if !name.chars().all(allowed) {
        "Kubernetes takes letters, digits, '-', '_' and '.'"
    } else if name.starts_with('.') || name == PLACEHOLDER.0 {
        "files of this name are skipped"
    } else {
        return Ok(());
    };
    Err(ManifestError::Prefix { name: name.chars().take(64).collect(), reason })
}

fn check_queue_file(kind: QueueKeys, contents: &[u8]) -> Result<(), KeyFileError> {
    match kind {
        QueueKeys::Signing => {
            for file in read_public_keys(contents)? {
                SigningPublicKey::try_from(file.key)?;
            }
        }
        QueueKeys::Reports => {
            RsaPublicKey::try_from(read_public(contents)?.key)?;
        }
    }
    Ok(())
}

/// What a Deployment is to have beyond the deployed runner's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct DeploymentOptions {
    /// Sets `CLEAR_TEXT_MESSAGES: "true"` by a ConfigMap. Without it nothing says `CLEAR_TEXT_MESSAGES`.
    pub clear_text_messages: bool,
    /// Mounts every file of the encryption secrets and not only the three that deployed ones name, so that a rotation can add
    /// `ssh-privatekey.1` without a change of the Deployment.
    pub several_keys: bool,
}

/// The runner's Deployment with its volumes and mounts as they are deployed, and those of the queue keys: YAML, public.
///
/// # Errors
/// [`ManifestError::Namespace`].
pub fn deployment(image: &str, options: DeploymentOptions, namespace: Option<&str>) -> Result<String, ManifestError> {
    let mut documents = Vec::new();
    if options.clear_text_messages {
        documents.push(to_yaml(&ConfigMap {
            api_version: "v1",
            kind: "ConfigMap",
            metadata: Metadata::new(CONFIG_MAP, namespace)?,
            data: BTreeMap::from([("CLEAR_TEXT_MESSAGES", "true")]),
        })?);
    }
    documents.push(to_yaml(&Deployment::new(image, options, namespace)?)?);
    String::from_utf8(join(&documents)).map_err(|_| ManifestError::Write)
}

/// In a buffer that holds the largest secret in base64 and does not grow: growing would leave copies behind.
fn to_yaml(document: &impl Serialize) -> Result<SecretBytes, ManifestError> {
    let mut text = Zeroizing::new(String::with_capacity(2 * MAX_SECRET));
    let options = serde_saphyr::ser_options! { prefer_block_scalars: false };
    serde_saphyr::to_fmt_writer_with_options(&mut *text, document, options).map_err(|_| ManifestError::Write)?;
    Ok(SecretBytes::copy_from(text.as_bytes()))
}

/// Documents of one stream, each behind its marker. One buffer of the right size.
fn join(documents: &[SecretBytes]) -> Vec<u8> {
    let mut joined = Vec::with_capacity(documents.iter().map(|document| document.len().saturating_add(5)).sum());
    for document in documents {
        joined.extend_from_slice(b"---\n");
        joined.extend_from_slice(document.expose_secret());
        if !document.expose_secret().ends_with(b"\n") {
            joined.push(b'\n');
        }
    }
    joined
}

#[derive(Serialize)]
struct Metadata<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<&'a str>,
    labels: Labels,
}

#[derive(Serialize)]
struct Labels {
    app: &'static str,
}

impl<'a> Metadata<'a> {
    fn new(name: &'a str, namespace: Option<&'a str>) -> Result<Self, ManifestError> {
        let is_label = |name: &str| {
            let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
            (1..=63).contains(&name.len()) && name.chars().all(inner) && !name.starts_with('-') && !name.ends_with('-')
        };
        match namespace {
            Some(name) if !is_label(name) => Err(ManifestError::Namespace { name: name.chars().take(64).collect() }),
            _ => Ok(Self { name, namespace, labels: Labels { app: APPLICATION } }),
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Secret<'a> {
    api_version: &'static str,
    kind: &'static str,
    metadata: Metadata<'a>,
    r#type: &'static str,
    data: BTreeMap<&'a str, Base64>,
}

/// The base64 of a file, wiped on drop: it may be a private key.
struct Base64(Zeroizing<String>);

impl Serialize for Base64 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'a> Secret<'a> {
    fn new(
        metadata: Metadata<'a>,
        files: impl IntoIterator<Item = (&'a str, &'a [u8])>,
    ) -> Result<Self, ManifestError> {
        let files: Vec<_> = files.into_iter().collect();
        let found = files.iter().map(|(_, contents)| contents.len()).sum();
        if found > MAX_SECRET {
            return Err(ManifestError::TooLarge { found });
        }
        let encode = |(name, contents): (&'a str, &[u8])| (name, Base64(Zeroizing::new(BASE64.encode(contents))));
        let data = files.into_iter().map(encode).collect();
        Ok(Self { api_version: "v1", kind: "Secret", metadata, r#type: "Opaque", data })
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ConfigMap<'a> {
    api_version: &'static str,
    kind: &'static str,
    metadata: Metadata<'a>,
    data: BTreeMap<&'static str, &'static str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Deployment<'a> {
    api_version: &'static str,
    kind: &'static str,
    metadata: Metadata<'a>,
    spec: DeploymentSpec<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DeploymentSpec<'a> {
    selector: Selector,
    template: PodTemplate<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Selector {
    match_labels: Labels,
}

#[derive(Serialize)]
struct PodTemplate<'a> {
    metadata: PodMetadata,
    spec: PodSpec<'a>,
}

#[derive(Serialize)]
struct PodMetadata {
    labels: Labels,
}

#[derive(Serialize)]
struct PodSpec<'a> {
    containers: [Container<'a>; 1],
    volumes: [Volume; 4],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Container<'a> {
    name: &'static str,
    image: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    env_from: Vec<EnvironmentSource>,
    volume_mounts: [VolumeMount; 4],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct EnvironmentSource {
    config_map_ref: Reference,
}

#[derive(Serialize)]
struct Reference {
    name: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct VolumeMount {
    name: &'static str,
    mount_path: &'static str,
    read_only: bool,
}

#[derive(Serialize)]
struct Volume {
    name: &'static str,
    secret: SecretVolume,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SecretVolume {
    optional: bool,
    secret_name: &'static str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    items: &'static [Item],
}

#[derive(Serialize)]
struct Item {
    key: &'static str,
    path: &'static str,
}

const KEY_ITEMS: &[Item] =
    &[Item { key: "ssh-privatekey", path: "ssh-privatekey" }, Item { key: "ssh-publickey", path: "ssh-publickey" }];
const PASSPHRASE_ITEMS: &[Item] = &[Item { key: "ssh-passphrase", path: "ssh-passphrase" }];

impl<'a> Deployment<'a> {
    fn new(image: &'a str, options: DeploymentOptions, namespace: Option<&'a str>) -> Result<Self, ManifestError> {
        let mount = |name, mount_path| VolumeMount { name, mount_path, read_only: true };
        let volume =
            |name, secret_name, optional, items| Volume { name, secret: SecretVolume { optional, secret_name, items } };
        let config_map = EnvironmentSource { config_map_ref: Reference { name: CONFIG_MAP } };
        let container = Container {
            name: APPLICATION,
            image,
            env_from: if options.clear_text_messages { vec![config_map] } else { Vec::new() },
            volume_mounts: [
                mount("message-encryption", "/runner/certs/message/encryption"),
                mount("encryption-passphrase", "/runner/certs/message/passphrase"),
                mount("queue-signing", "/runner/certs/queues/signing"),
                mount("queue-response-encrypt", "/runner/certs/queues/response-encrypt"),
            ],
        };
        // without its own keys the pod stays pending (seed); which queues have keys changes while it runs, and none at all
        // means that nothing is accepted
        let items = |named: &'static [Item]| if options.several_keys { &[] } else { named };
        let volumes = [
            volume("message-encryption", KEY_SECRET, false, items(KEY_ITEMS)),
            volume("encryption-passphrase", PASSPHRASE_SECRET, false, items(PASSPHRASE_ITEMS)),
            volume("queue-signing", SIGNING_SECRET, true, &[]),
            volume("queue-response-encrypt", REPORTS_SECRET, true, &[]),
        ];
        Ok(Self {
            api_version: "apps/v1",
            kind: "Deployment",
            metadata: Metadata::new("studioml-go-runner-deployment", namespace)?,
            spec: DeploymentSpec {
                selector: Selector { match_labels: Labels { app: APPLICATION } },
                template: PodTemplate {
                    metadata: PodMetadata { labels: Labels { app: APPLICATION } },
                    spec: PodSpec { containers: [container], volumes },
                },
            },
        })
    }
}
