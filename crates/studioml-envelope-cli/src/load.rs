//! Keys from files and directories, with the file named in every failure.

use std::path::Path;

use studioml_envelope::{
    Opener, Provider, PublicKey, RsaPublicKey, SecretBytes, Signer, SigningPublicKey, Verifier, provider,
};
use studioml_envelope_keys::{
    Description, KeyFileError, Passphrase, PrivateKeyFile, Protection,
    directory::{MountedIdentities, Selection, SigningKeys},
    disk::{self, Access, DiskError},
    inspect, read_private, read_public, read_public_keys,
};

use crate::{
    args::{FingerprintRule, Global, Trust},
    failure::{Failure, Outcome},
    io::{is_stream, name_of, read_input, warn},
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
    let bytes = read_private_file(path, global)?;
    unlock(&name_of(Some(path)), bytes.expose_secret(), global, provider)
}

fn unlock(name: &str, bytes: &[u8], global: &Global, provider: &Provider) -> Outcome<Unlocked> {
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
    // as it is, and then without one line end (FORMAT §5); which of the two fits matters to `keys convert`
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

fn read_private_file(path: &Path, global: &Global) -> Outcome<SecretBytes> {
    if is_stream(Some(path)) {
        return Ok(SecretBytes::new(read_input(Some(path))?));
    }
    let access = if global.allow_readable_key { Access::Anyone } else { Access::OwnerOnly };
    disk::read_private(path, access).map_err(|error| {
        let cause = format!("{}: {error}", path.display());
        match error {
            DiskError::ReadableByOthers { .. } => {
                Failure::unusable(cause).hint(format!("chmod 600 {}, or --allow-readable-key", path.display()))
            }
            DiskError::TooLarge { .. } => Failure::unusable(cause),
            _ => Failure::io(cause),
        }
    })
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
    let bytes = read_input(Some(path))?;
    Ok(read_public(&bytes).map_err(|error| key_failure(&name_of(Some(path)), &error))?.key)
}

/// The public keys in a file of either kind, with the comments that can be read. The passphrase is asked for only where the
/// file hides its public key.
pub fn public_halves(path: &Path, global: &Global, provider: &Provider) -> Outcome<Vec<(PublicKey, String)>> {
    let name = name_of(Some(path));
    let bytes = SecretBytes::new(read_input(Some(path))?);
    let descriptions = inspect(bytes.expose_secret(), provider).map_err(|error| key_failure(&name, &error))?;
    let readable = |key: Description| Some((key.public_key?, key.comment.unwrap_or_default()));
    if let Some(keys) = descriptions.into_iter().map(readable).collect() {
        return Ok(keys);
    }
    let key = unlock(&name, bytes.expose_secret(), global, provider)?.key;
    Ok(vec![(key.public_key().clone(), key.description().comment.clone().unwrap_or_default())])
}

/// What a file says of the keys in it: what its encryption hides only where the command line points to a passphrase.
pub fn descriptions(path: &Path, global: &Global, provider: &Provider) -> Outcome<Vec<Description>> {
    let name = name_of(Some(path));
    let bytes = SecretBytes::new(read_input(Some(path))?);
    let descriptions = inspect(bytes.expose_secret(), provider).map_err(|error| key_failure(&name, &error))?;
    let hides_something = descriptions.iter().any(|key| key.protection.is_encrypted());
    if !hides_something || !global.passphrase.is_given() {
        return Ok(descriptions);
    }
    let key = unlock(&name, bytes.expose_secret(), global, provider)?.key;
    Ok(vec![key.description().clone()])
}

/// A recipient's public key file; a short key gets a warning.
pub fn recipient(path: &Path) -> Outcome<RsaPublicKey> {
    let name = name_of(Some(path));
    let key =
        RsaPublicKey::try_from(public_key(path)?).map_err(|error| Failure::unusable(format!("{name}: {error}")))?;
    if key.is_weak() {
        warn(format!("{name}: RSA modulus of {} bits; 3072 or more is advised", key.bits()));
    }
    Ok(key)
}

/// A private signing key.
pub fn signer(path: &Path, global: &Global, provider: &Provider) -> Outcome<Signer> {
    let name = name_of(Some(path));
    let unusable = |error| Failure::unusable(format!("{name}: {error}"));
    let key = private_key(path, global, provider)?.into_signing_key().map_err(unusable)?;
    Ok(Signer::from_key(provider, key.into()))
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
        let bytes = read_input(Some(path))?;
        let files = read_public_keys(&bytes).map_err(|error| key_failure(&name, &error))?;
        let keys = files.into_iter().map(|file| SigningPublicKey::try_from(file.key)).collect::<Result<Vec<_>, _>>();
        let keys = keys.map_err(|error| Failure::unusable(format!("{name}: {error}")))?;
        let verifier = Verifier::new(provider, &keys).map_err(|error| Failure::unusable(format!("{name}: {error}")))?;
        return Ok(verifier.with_policy(policy));
    }
    let (Some(directory), Some(queue)) = (&trust.signing_keys, &trust.queue) else {
        return Err(Failure::usage("--signer, or --signing-keys with --queue, is needed"));
    };
    let held = SigningKeys::load(directory, provider)
        .map_err(|error| Failure::io(format!("{}: {error}", directory.display())))?;
    match held.select(queue) {
        Selection::Found { keys, .. } => Ok(Verifier::from_trusted(keys.to_vec()).with_policy(policy)),
        Selection::Broken { prefix, reason } => {
            Err(Failure::refused(format!("the key file {prefix:?}, which owns queue {queue:?}, is broken: {reason}")))
        }
        Selection::None => Err(Failure::refused(format!("no signing key is held for queue {queue:?}"))
            .hint(format!("keys check {} tells which prefixes there are", directory.display()))),
    }
}
