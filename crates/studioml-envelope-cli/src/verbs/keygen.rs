//! `keygen`: key pairs in the files that the seed's own commands would have made.

use std::path::{Path, PathBuf};

use serde_json::json;
use studioml_envelope::{
    Fingerprint, FingerprintForm, PrivateKey, Provider, PublicKey, SecretBytes, Signer, generate_ed25519,
    generate_p256, generate_rsa,
};
use studioml_envelope_keys::{Passphrase, PrivateFormat, PublicFormat, encode_private, encode_public};

use crate::{
    args::{Algorithm, EncryptionPair, Global, Keygen, SigningPair},
    failure::{Failure, Outcome},
    io::{Contents, check_output, is_stream, print_json, print_line, warn, write_file},
    load::warn_if_weak,
    secret_input,
};

/// Makes a key pair.
pub fn run(global: &Global, keygen: &Keygen, provider: &Provider) -> Outcome {
    match keygen {
        Keygen::Encryption(wanted) => encryption(global, wanted, provider),
        Keygen::Signing(wanted) => signing(global, wanted, provider),
    }
}

fn encryption(global: &Global, wanted: &EncryptionPair, provider: &Provider) -> Outcome {
    let files = Files::checked(&wanted.name, [".pem", ".pub.pem"], wanted.force)?;
    let passphrase = if wanted.no_passphrase { None } else { Some(new_passphrase(global, &files.private)?) };

    let key = generate_rsa(provider, wanted.bits).map_err(Failure::unusable)?;
    let public = PublicKey::Rsa(key.public_key().clone());
    warn_if_weak(&files.private.display().to_string(), &public);
    let format = if wanted.legacy_pem { PrivateFormat::LegacyPem } else { PrivateFormat::Pkcs8 };
    let private = encode_private(&PrivateKey::Rsa(key), format, passphrase.as_ref(), "", provider);
    let public_pem = encode_public(&public, PublicFormat::Pkcs1Pem, "").map_err(Failure::unusable)?;
    files.write(&private.map_err(Failure::unusable)?, &public_pem)?;
    report(global, provider, &public, &files)
}

/// A signing pair; the channel's static keys are such pairs too.
pub fn signing(global: &Global, wanted: &SigningPair, provider: &Provider) -> Outcome {
    let files = Files::checked(&wanted.name, ["", ".pub"], wanted.force)?;
    let passphrase = secret_input::given(&global.passphrase)?.map(without_line_end);

    let key = match wanted.algorithm {
        Algorithm::Ed25519 => generate_ed25519(provider),
        Algorithm::P256 => generate_p256(provider),
    };
    let key = key.map_err(Failure::unusable)?;
    let public = PublicKey::from(*Signer::new(provider, &key).map_err(Failure::unusable)?.public_key());
    let private = encode_private(&key.into(), PrivateFormat::OpenSsh, passphrase.as_ref(), &wanted.comment, provider);
    let line = encode_public(&public, PublicFormat::SshLine, &wanted.comment).map_err(Failure::unusable)?;
    files.write(&private.map_err(Failure::unusable)?, &line)?;
    report(global, provider, &public, &files)
}

/// The two files of a pair.
struct Files {
    private: PathBuf,
    public: PathBuf,
    force: bool,
}

impl Files {
    /// Two places that can be written to, as far as that can be told beforehand.
    fn checked(name: &Path, [private, public]: [&str; 2], force: bool) -> Outcome<Self> {
        if is_stream(Some(name)) {
            return Err(Failure::usage("-o: a key pair is two files, and `-` names none"));
        }
        if name.as_os_str().as_encoded_bytes().ends_with(b"/") {
            return Err(Failure::usage(format!("-o: {} is a directory, and names no file", name.display())));
        }
        let (private, public) = (with_suffix(name, private), with_suffix(name, public));
        check_output(Some(&private), force)?;
        check_output(Some(&public), force)?;
        Ok(Self { private, public, force })
    }

    /// The public key first, and taken back where the private one cannot be written: an old private key is not lost for a
    /// pair that is not whole.
    fn write(&self, private: &SecretBytes, public: &[u8]) -> Outcome {
        write_file(&self.public, public, Contents::Public, self.force)?;
        write_file(&self.private, private.expose_secret(), Contents::Secret, self.force).inspect_err(|_| {
            if self.public.symlink_metadata().is_ok_and(|metadata| metadata.is_file()) {
                let _ = std::fs::remove_file(&self.public);
            }
        })
    }
}

/// The passphrase for a new private key: from where the command line says, else typed twice.
fn new_passphrase(global: &Global, file: &Path) -> Outcome<Passphrase> {
    let passphrase = match secret_input::given(&global.passphrase)? {
        Some(given) => Some(without_line_end(given)),
        None => secret_input::prompt_new(&file.display().to_string())?,
    };
    match passphrase {
        Some(passphrase) if passphrase.is_empty() => {
            Err(Failure::unusable("the passphrase is empty").hint("--no-passphrase writes the key without one"))
        }
        Some(passphrase) => Ok(passphrase),
        None => Err(Failure::usage("a passphrase is needed and there is no terminal to ask on")
            .hint("--passphrase-file F gives it, --no-passphrase does without")),
    }
}

/// A file's trailing line end is not part of a new passphrase, and the user is told (docs/spec.md §5).
fn without_line_end(passphrase: Passphrase) -> Passphrase {
    let (passphrase, stripped) = passphrase.strip_line_end();
    if stripped {
        warn("one trailing line end of the passphrase file is not part of the passphrase");
    }
    passphrase
}

fn with_suffix(name: &Path, suffix: &str) -> PathBuf {
    let mut file = name.as_os_str().to_owned();
    file.push(suffix);
    PathBuf::from(file)
}

fn report(global: &Global, provider: &Provider, public: &PublicKey, files: &Files) -> Outcome {
    let fingerprint = Fingerprint::of(public, FingerprintForm::SshSha256, provider.digest).to_string();
    // a name that is not UTF-8 is shown as far as it is
    let (private_file, public_file) = (files.private.display().to_string(), files.public.display().to_string());
    if global.json {
        return print_json(&json!({
            "private_key": private_file, "public_key": public_file, "kind": public.kind(), "fingerprint": fingerprint,
        }));
    }
    print_line(&format!("private key: {private_file} (keep it to yourself)"))?;
    print_line(&format!("public key:  {public_file}"))?;
    print_line(&format!("fingerprint: {fingerprint}"))
}
