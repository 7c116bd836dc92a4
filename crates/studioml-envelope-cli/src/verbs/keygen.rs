//! `keygen`: key pairs in the files that the seed's own commands would have made.

use std::path::{Path, PathBuf};

use serde_json::json;
use studioml_envelope::{
    Fingerprint, FingerprintForm, PrivateKey, Provider, PublicKey, Signer, generate_ed25519, generate_p256,
    generate_rsa,
};
use studioml_envelope_keys::{Passphrase, PrivateFormat, PublicFormat, encode_private, encode_public};

use crate::{
    args::{Algorithm, Global, Keygen},
    failure::{Failure, Outcome},
    io::{Contents, check_output, print_line, warn, write_file},
    secret_input,
};

/// Makes a key pair.
pub fn run(global: &Global, keygen: Keygen, provider: &Provider) -> Outcome {
    match keygen {
        Keygen::Encryption { name, bits, no_passphrase, legacy_pem, force } => {
            encryption(global, provider, &name, bits, no_passphrase, legacy_pem, force)
        }
        Keygen::Signing { name, algorithm, comment, force } => {
            signing(global, provider, &name, algorithm, &comment, force)
        }
    }
}

fn encryption(
    global: &Global,
    provider: &Provider,
    name: &Path,
    bits: usize,
    no_passphrase: bool,
    legacy_pem: bool,
    force: bool,
) -> Outcome {
    let (private_file, public_file) = (with_suffix(name, ".pem"), with_suffix(name, ".pub.pem"));
    check_output(Some(&private_file), force)?;
    check_output(Some(&public_file), force)?;
    let passphrase = if no_passphrase { None } else { Some(new_passphrase(global, &private_file)?) };

    let key = generate_rsa(provider, bits).map_err(Failure::unusable)?;
    let public = key.public_key().clone();
    let public = PublicKey::Rsa(public);
    let format = if legacy_pem { PrivateFormat::LegacyPem } else { PrivateFormat::Pkcs8 };
    let private = encode_private(&PrivateKey::Rsa(key), format, passphrase.as_ref(), "", provider);
    let public_pem = encode_public(&public, PublicFormat::Pkcs1Pem, "").map_err(Failure::unusable)?;
    write_file(&private_file, private.map_err(Failure::unusable)?.expose_secret(), Contents::Secret, force)?;
    write_file(&public_file, &public_pem, Contents::Public, force)?;
    report(global, provider, &public, &private_file, &public_file)
}

fn signing(
    global: &Global,
    provider: &Provider,
    name: &Path,
    algorithm: Algorithm,
    comment: &str,
    force: bool,
) -> Outcome {
    let public_file = with_suffix(name, ".pub");
    check_output(Some(name), force)?;
    check_output(Some(&public_file), force)?;
    let passphrase = secret_input::given(&global.passphrase)?.map(without_line_end);

    let key = match algorithm {
        Algorithm::Ed25519 => generate_ed25519(provider),
        Algorithm::P256 => generate_p256(provider),
    };
    let key = key.map_err(Failure::unusable)?;
    let public = PublicKey::from(*Signer::new(provider, &key).map_err(Failure::unusable)?.public_key());
    let private = encode_private(&key.into(), PrivateFormat::OpenSsh, passphrase.as_ref(), comment, provider);
    let line = encode_public(&public, PublicFormat::SshLine, comment).map_err(Failure::unusable)?;
    write_file(name, private.map_err(Failure::unusable)?.expose_secret(), Contents::Secret, force)?;
    write_file(&public_file, &line, Contents::Public, force)?;
    report(global, provider, &public, name, &public_file)
}

/// A P-256 pair for the channel, in the same files as a signing pair.
pub fn channel(global: &Global, provider: &Provider, name: &Path, comment: &str, force: bool) -> Outcome {
    signing(global, provider, name, Algorithm::P256, comment, force)
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

/// A file's trailing line end is not part of a new passphrase, and the user is told (FORMAT §5).
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

fn report(
    global: &Global,
    provider: &Provider,
    public: &PublicKey,
    private_file: &Path,
    public_file: &Path,
) -> Outcome {
    let fingerprint = Fingerprint::of(public, FingerprintForm::SshSha256, provider.digest).to_string();
    if global.json {
        let report = json!({
            "private_key": private_file, "public_key": public_file, "kind": public.kind(), "fingerprint": fingerprint,
        });
        return print_line(&report.to_string());
    }
    print_line(&format!("private key: {} (keep it to yourself)", private_file.display()))?;
    print_line(&format!("public key:  {}", public_file.display()))?;
    print_line(&format!("fingerprint: {fingerprint}"))
}
