//! Keys from files and directories, with the file named in every failure.

use std::path::Path;

use studioml_envelope::{
    Opener, Provider, PublicKey, RsaPublicKey, SecretBytes, Signer, SigningPublicKey, Verifier, provider,
};
use studioml_envelope_keys::{
    Description, KeyFileError, Passphrase, PrivateKeyFile, Protection,
    directory::{DirectoryError, MountedIdentities, Selection, SigningKeys},
    disk::{self, Access, DiskError},
    inspect,
    limits::MAX_KEY_FILE,
    read_ed25519_seed, read_private, read_public, read_public_keys,
};

use crate::{
    args::{FingerprintRule, Global, Trust},
    failure::{Failure, Outcome},
    io::{Limit, is_stream, name_of, read_input, read_secret, standard_input, warn},
    secret_input,
};

/// The provider that `--backend` names, or the best one compiled in.
pub fn chosen_provider(global: &Global) -> Outcome<Provider> {
    let Some(name) = &global.backend else { return Ok(provider::default()) };
    provider::by_name(name).ok_or_else(|| {
        let names: Vec<_> = provider::ALL.iter().map(|provider| provider.name).collect();
        Failure::usage(format!("no backend {name:?} is compiled in"))
            .hint(format!("--backend is one of {}", names.join(", ")))
    })
}

/// A private key file. A file that others can read is refused unless `--allow-readable-key` is given.
pub fn private_key(path: &Path, global: &Global, provider: &Provider) -> Outcome<PrivateKeyFile> {
    unlocked(path, global, provider).map(|unlocked| unlocked.key)
}

/// A private key with the passphrase that opened it.
pub struct Unlocked {
    pub key: PrivateKeyFile,
    /// `None` if the file is not encrypted.
    pub passphrase: Option<Passphrase>,
}

/// Reads a private key file and asks for a passphrase where one is needed and none was given.
pub fn unlocked(path: &Path, global: &Global, provider: &Provider) -> Outcome<Unlocked> {
    let bytes = read_private_file(path, global, provider)?;
    unlock(&name_of(Some(path)), bytes.expose_secret(), global, provider)
}

/// The same for a file that has been read.
pub fn unlock(name: &str, bytes: &[u8], global: &Global, provider: &Provider) -> Outcome<Unlocked> {
    let descriptions = inspect(bytes, provider).map_err(|error| key_failure(name, &error))?;
    let encrypted = descriptions.into_iter().map(|key| key.protection).find(Protection::is_encrypted);
    let Some(protection) = encrypted else {
        let key = read_private(bytes, None, provider).map_err(|error| key_failure(name, &error))?;
        return Ok(Unlocked { key, passphrase: None });
    };
    let given = match secret_input::given(&global.passphrase)? {
        Some(given) => Some(given),
        None => secret_input::prompt(&format!("passphrase for {name}: "))?,
    };
    let Some(given) = given else {
        return Err(key_failure(name, &KeyFileError::PassphraseMissing { protection }));
    };
    // as it is, and then without one line end (docs/spec.md §5); which of the two fits matters to `keys convert`
    let exact = Passphrase::exact(given.expose_secret().to_vec());
    let first = read_private(bytes, Some(&exact), provider);
    match (first, given.strip_line_end()) {
        (Ok(key), _) => Ok(Unlocked { key, passphrase: Some(exact) }),
        (Err(_), (stripped, true)) => {
            let key = read_private(bytes, Some(&stripped), provider).map_err(|error| key_failure(name, &error))?;
            Ok(Unlocked { key, passphrase: Some(stripped) })
        }
        (Err(error), _) => Err(key_failure(name, &error)),
    }
}

/// A private key file that is nothing but an Ed25519 seed, which no other function takes for a key.
pub fn ed25519_seed(path: &Path, global: &Global, provider: &Provider) -> Outcome<PrivateKeyFile> {
    let bytes = read_private_file(path, global, provider)?;
    read_ed25519_seed(bytes.expose_secret(), provider).map_err(|error| key_failure(&name_of(Some(path)), &error))
}

/// Reads a private key file, refused like in [`private_key`]; that a public key is none is said first.
pub fn read_private_file(path: &Path, global: &Global, provider: &Provider) -> Outcome<SecretBytes> {
    if is_stream(Some(path)) || global.allow_readable_key {
        return read_key_file(path);
    }
    disk::read_private(path, Access::OwnerOnly).map_err(|error| {
        let failure = Failure::disk(format!("{}: {error}", path.display()), &error);
        if !matches!(error, DiskError::ReadableByOthers { .. }) {
            return failure;
        }
        match read_key_file(path) {
            Ok(bytes) if holds_public_keys_only(&bytes, provider) => {
                key_failure(&name_of(Some(path)), &KeyFileError::PublicWherePrivate)
            }
            _ => failure.hint(format!("chmod 600 {}, or --allow-readable-key", path.display())),
        }
    })
}

fn holds_public_keys_only(bytes: &SecretBytes, provider: &Provider) -> bool {
    inspect(bytes.expose_secret(), provider).is_ok_and(|keys| keys.iter().all(|key| !key.is_private))
}

/// Reads a key file of either kind, whoever else can read it.
fn read_key_file(path: &Path) -> Outcome<SecretBytes> {
    if is_stream(Some(path)) {
        let name = name_of(Some(path));
        let mut bytes = read_secret(&standard_input()?, &name, MAX_KEY_FILE)?;
        return Ok(SecretBytes::new(std::mem::take(&mut *bytes)));
    }
    disk::read_private(path, Access::Anyone)
        .map_err(|error| Failure::disk(format!("{}: {error}", path.display()), &error))
}

/// A key file of either kind and what it says of itself. A private one that others can read is not refused, as nothing is
/// done with it, but said.
fn described(path: &Path, global: &Global, provider: &Provider) -> Outcome<(SecretBytes, Vec<Description>)> {
    let name = name_of(Some(path));
    let bytes = read_key_file(path)?;
    let descriptions = inspect(bytes.expose_secret(), provider).map_err(|error| key_failure(&name, &error))?;
    let is_private = descriptions.iter().any(|key| key.is_private);
    let is_readable = || !is_stream(Some(path)) && disk::is_readable_by_others(path).unwrap_or_default();
    if is_private && !global.allow_readable_key && is_readable() {
        warn(format!("{name}: others can read or change this private key; chmod 600 makes it its owner's alone"));
    }
    Ok((bytes, descriptions))
}

/// Exit 3, the file's name, and what to do where something can be done.
pub fn key_failure(name: &str, error: &KeyFileError) -> Failure {
    let failure = Failure::unusable(format!("{name}: {error}"));
    match error {
        KeyFileError::PassphraseMissing { .. } => {
            failure.hint("--passphrase-file F, --passphrase-fd N or STUDIOML_PASSPHRASE_FILE gives the passphrase")
        }
        KeyFileError::PrivateWherePublic => {
            failure.hint("give the .pub or .pub.pem file, and keep this one to yourself")
        }
        KeyFileError::PublicWherePrivate => failure.hint("give the private key file, which has no .pub in its name"),
        _ => failure,
    }
}

/// A public key file with one key in it.
pub fn public_key(path: &Path) -> Outcome<PublicKey> {
    let bytes = read_input(Some(path), Limit::KEY_FILE)?;
    Ok(read_public(&bytes).map_err(|error| key_failure(&name_of(Some(path)), &error))?.key)
}

/// The public keys in a file of either kind, with the comments that can be read. The passphrase is asked for only where the
/// file hides its public key.
pub fn public_halves(path: &Path, global: &Global, provider: &Provider) -> Outcome<Vec<(PublicKey, String)>> {
    let (bytes, descriptions) = described(path, global, provider)?;
    let readable = |key: Description| Some((key.public_key?, key.comment.unwrap_or_default()));
    if let Some(keys) = descriptions.into_iter().map(readable).collect() {
        return Ok(keys);
    }
    let key = unlock(&name_of(Some(path)), bytes.expose_secret(), global, provider)?.key;
    Ok(vec![(key.public_key().clone(), key.description().comment.clone().unwrap_or_default())])
}

/// What a file says of the keys in it: what its encryption hides only with a passphrase. One that the environment points to
/// may be another key's.
pub fn descriptions(path: &Path, global: &Global, provider: &Provider) -> Outcome<Vec<Description>> {
    let (bytes, descriptions) = described(path, global, provider)?;
    let passphrase = &global.passphrase;
    let is_given = passphrase.is_on_command_line() || passphrase.file_of_environment().is_some();
    if !is_given || !descriptions.iter().any(|key| key.protection.is_encrypted()) {
        return Ok(descriptions);
    }
    match unlock(&name_of(Some(path)), bytes.expose_secret(), global, provider) {
        Ok(unlocked) => Ok(vec![unlocked.key.description().clone()]),
        Err(failure) if passphrase.is_on_command_line() => Err(failure),
        Err(failure) => {
            warn(format!("STUDIOML_PASSPHRASE_FILE: {}", failure.cause()));
            Ok(descriptions)
        }
    }
}

/// A short RSA key gets a warning.
pub fn warn_if_weak(name: &str, key: &PublicKey) {
    if let PublicKey::Rsa(key) = key
        && key.is_weak()
    {
        warn(format!("{name}: RSA modulus of {} bits; 3072 or more is advised", key.bits()));
    }
}

/// A recipient's public key file; a short key gets a warning.
pub fn recipient(path: &Path) -> Outcome<RsaPublicKey> {
    let name = name_of(Some(path));
    let key = public_key(path)?;
    warn_if_weak(&name, &key);
    RsaPublicKey::try_from(key).map_err(|error| Failure::unusable(format!("{name}: {error}")))
}

/// A private signing key.
pub fn signer(path: &Path, global: &Global, provider: &Provider) -> Outcome<Signer> {
    let name = name_of(Some(path));
    let unusable = |error| Failure::unusable(format!("{name}: {error}"));
    let key = private_key(path, global, provider)?.into_signing_key().map_err(unusable)?;
    Ok(Signer::from_key(provider, key))
}

/// The private keys to open with: one file, or the mounted layout.
pub fn opener(key: Option<&Path>, secrets: Option<&Path>, global: &Global, provider: &Provider) -> Outcome<Opener> {
    if let Some(directory) = secrets {
        let mounted = MountedIdentities::load(&directory.join("encryption"), &directory.join("passphrase"), provider);
        for finding in mounted.findings() {
            warn(finding);
        }
        if mounted.identities().is_empty() {
            return Err(Failure::unusable(format!("{}: no private key that can be used", directory.display()))
                .hint("the layout is encryption/ssh-privatekey and passphrase/ssh-passphrase"));
        }
        return Ok(Opener::from_identities(provider, mounted.identities().to_vec()));
    }
    let Some(path) = key else { return Err(Failure::usage("--key or --secrets is needed")) };
    let name = name_of(Some(path));
    let key = private_key(path, global, provider)?;
    warn_if_weak(&name, key.public_key());
    let identity = key.into_identity().map_err(|error| Failure::unusable(format!("{name}: {error}")))?;
    Ok(Opener::from_identities(provider, vec![identity.into()]))
}

/// Whose signatures count: all the keys of a file, or those of the prefix that owns the queue.
pub fn verifier(trust: &Trust, provider: &Provider) -> Outcome<Verifier> {
    let mut policy = studioml_envelope::Policy::default();
    if trust.fingerprint == FingerprintRule::Warn {
        policy.fingerprint = studioml_envelope::FingerprintPolicy::Warn;
    }
    if let Some(path) = &trust.signer {
        let name = name_of(Some(path));
        let bytes = read_input(Some(path), Limit::KEY_FILE)?;
        let files = read_public_keys(&bytes).map_err(|error| key_failure(&name, &error))?;
        let keys = files.into_iter().map(|file| SigningPublicKey::try_from(file.key)).collect::<Result<Vec<_>, _>>();
        let keys = keys.map_err(|error| Failure::unusable(format!("{name}: {error}")))?;
        let verifier = Verifier::new(provider, &keys).map_err(|error| Failure::unusable(format!("{name}: {error}")))?;
        return Ok(verifier.with_policy(policy));
    }
    let (Some(directory), Some(queue)) = (&trust.signing_keys, &trust.queue) else {
        return Err(Failure::usage("--signer, or --signing-keys with --queue, is needed"));
    };
    let held = SigningKeys::load(directory, provider).map_err(|error| unreadable_directory(directory, &error))?;
    match held.select(queue) {
        Selection::Found { keys, .. } => Ok(Verifier::from_trusted(keys.to_vec()).with_policy(policy)),
        Selection::Broken { prefix, reason } => {
            Err(Failure::refused(format!("the key file {prefix:?}, which owns queue {queue:?}, is broken: {reason}")))
        }
        Selection::None => Err(Failure::refused(format!("no signing key is held for queue {queue:?}"))
            .hint(format!("keys check {} tells which prefixes there are", directory.display()))),
    }
}

/// A key directory that cannot be read.
pub fn unreadable_directory(directory: &Path, error: &DirectoryError) -> Failure {
    let cause = format!("{}: {error}", directory.display());
    match error {
        DirectoryError::Io(error) => Failure::input(cause, error),
        _ => Failure::io(cause),
    }
}
