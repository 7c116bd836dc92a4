//! `demo`: the whole story on this machine, in a temporary directory, with what happened printed.
//!
//! A real StudioML Request is sealed by each provider, signed, verified and opened by every other, and every forgery that
//! the field knows is tried on each. It ends well only if every success succeeded and every forgery was refused.

mod forgery;

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use studioml_envelope::{
    DEFAULT_MAX_PLAINTEXT, FingerprintForm, Message, Opener, PrivateKey, Provider, PublicKey, RsaPrivateKey,
    RsaPublicKey, Sealer, Signer, SigningPrivateKey, SigningPublicKey, Verifier, generate_ed25519, generate_rsa,
    provider,
};
use studioml_envelope_keys::{
    Passphrase, PrivateFormat, PublicFormat, encode_private, encode_public, read_private, read_public,
};

use crate::{
    args::{Demo, Global},
    failure::{Failure, Outcome},
    io::{Contents, print_json, print_lines, write_file},
};

/// The Request of the story: the one that StudioML's own tests carry.
const REQUEST: &[u8] = include_bytes!("../../../assets/request.json");
/// The experimenter's queue.
const QUEUE: &str = "rmq_cpu_demo_1";
/// How often a step is timed; the median counts.
const ROUNDS: usize = 5;

/// The keys of the story, read back from the files that it wrote.
pub(super) struct Cast {
    pub cluster: RsaPrivateKey,
    pub cluster_public: RsaPublicKey,
    pub other_cluster: RsaPrivateKey,
    pub signing: SigningPrivateKey,
    pub signing_public: SigningPublicKey,
    pub stranger: SigningPrivateKey,
}

/// Runs the story.
pub fn run(global: &Global, demo: &Demo, chosen: &Provider) -> Outcome {
    let directory = tempfile::tempdir().map_err(|error| Failure::io(format!("temporary directory: {error}")))?;
    let say = |line: &str| if global.json { Ok(()) } else { print_lines(line) };
    say(
        "StudioML Envelope: a Request from an experimenter to a cluster, and everything that could go wrong with it.\n",
    )?;

    let started = Instant::now();
    let cast = make_keys(chosen, demo.bits, directory.path())?;
    say(&format!(
        "1. Keys. The cluster owner made an RSA-{} key pair (studioml_message.pem, encrypted, and studioml_message.pub.pem),\n   \
         the experimenter an Ed25519 pair (studioml_signing, studioml_signing.pub). Written, read back and checked by {} in {}.\n   \
         The experimenter is {}.\n",
        demo.bits,
        chosen.name,
        shown(started.elapsed()),
        Signer::new(chosen, &cast.signing).map_err(Failure::unusable)?.fingerprint(FingerprintForm::SshSha256),
    ))?;

    say(&format!("2. The way of a Request of {} bytes, with each provider (median of {ROUNDS}):\n", REQUEST.len()))?;
    say(&format!("   {:<24}{:>12}{:>12}{:>12}{:>12}", "", "seal", "sign", "verify", "open"))?;
    let mut steps = Vec::new();
    for provider in provider::ALL {
        let times = time_steps(provider, &cast)?;
        let cells: String = times.iter().map(|time| format!("{:>12}", shown(*time))).collect();
        say(&format!("   {:<24}{cells}", provider.name))?;
        steps.push((provider.name, times));
    }

    let pairs = every_pair(&cast)?;
    say(&format!(
        "\n3. Sealed and signed by each provider, verified and opened by each: {pairs} pairs, {pairs} byte for byte.\n"
    ))?;

    say("4. Forgeries, each tried on every provider:\n")?;
    let (mut tried, mut accepted) = (0_usize, Vec::new());
    for provider in provider::ALL {
        let verdicts = forgery::try_all(provider, &cast, REQUEST, QUEUE, directory.path())?;
        if provider.name == chosen.name {
            for verdict in &verdicts {
                say(&format!("   {:<58}{}", verdict.forgery, verdict.shown()))?;
            }
        }
        tried += verdicts.len();
        let passed = verdicts.iter().filter(|verdict| verdict.refusal.is_none());
        accepted.extend(passed.map(|verdict| format!("{} by {}", verdict.forgery, provider.name)));
    }
    if !accepted.is_empty() {
        return Err(Failure::refused(format!("forgeries were accepted: {}", accepted.join("; "))));
    }
    say(&format!("\n   {tried} forgeries tried, {tried} refused."))?;
    directory.close().map_err(|error| Failure::io(format!("temporary directory: {error}")))?;
    say(&format!("\nDone in {}. Nothing was left behind: the temporary directory is gone.", shown(started.elapsed())))?;
    if global.json {
        print_json(&as_json(&steps, pairs, tried))?;
    }
    Ok(())
}

fn as_json(steps: &[(&str, [Duration; 4])], pairs: usize, forgeries: usize) -> serde_json::Value {
    let providers: Vec<_> = steps
        .iter()
        .map(|(name, [seal, sign, verify, open])| {
            serde_json::json!({
                "provider": name,
                "seal_ns": seal.as_nanos(), "sign_ns": sign.as_nanos(),
                "verify_ns": verify.as_nanos(), "open_ns": open.as_nanos(),
            })
        })
        .collect();
    serde_json::json!({ "providers": providers, "pairs": pairs, "forgeries_refused": forgeries })
}

/// Makes the keys, writes them as files and reads them back: the story runs on what a user would have.
fn make_keys(provider: &Provider, bits: usize, directory: &Path) -> Outcome<Cast> {
    let passphrase = Passphrase::exact(b"PassPhrase".to_vec());
    let cluster = generate_rsa(provider, bits).map_err(Failure::unusable)?;
    let cluster_public = cluster.public_key().clone();
    let private_file = directory.join("studioml_message.pem");
    let public_file = directory.join("studioml_message.pub.pem");
    let pem = encode_private(&PrivateKey::Rsa(cluster), PrivateFormat::Pkcs8, Some(&passphrase), "", provider);
    write_file(&private_file, pem.map_err(Failure::unusable)?.expose_secret(), Contents::Secret, false)?;
    let pem = encode_public(&PublicKey::Rsa(cluster_public), PublicFormat::Pkcs1Pem, "").map_err(Failure::unusable)?;
    write_file(&public_file, &pem, Contents::Public, false)?;

    let signing = generate_ed25519(provider).map_err(Failure::unusable)?;
    let signing_file = directory.join("studioml_signing");
    let public_line_file = directory.join("studioml_signing.pub");
    let signing_public = *Signer::new(provider, &signing).map_err(Failure::unusable)?.public_key();
    let line = encode_public(&signing_public.into(), PublicFormat::SshLine, "demo").map_err(Failure::unusable)?;
    let openssh = encode_private(&signing.into(), PrivateFormat::OpenSsh, None, "demo", provider);
    write_file(&signing_file, openssh.map_err(Failure::unusable)?.expose_secret(), Contents::Secret, false)?;
    write_file(&public_line_file, &line, Contents::Public, false)?;

    let read = |path: &Path| fs::read(path).map_err(|error| Failure::io(format!("{}: {error}", path.display())));
    let private = |path: &Path, passphrase| read_private(&read(path)?, passphrase, provider).map_err(Failure::unusable);
    let public = |path: &Path| read_public(&read(path)?).map_err(Failure::unusable);
    Ok(Cast {
        cluster: private(&private_file, Some(&passphrase))?.into_key().try_into().map_err(Failure::unusable)?,
        cluster_public: public(&public_file)?.key.try_into().map_err(Failure::unusable)?,
        other_cluster: generate_rsa(provider, bits).map_err(Failure::unusable)?,
        signing: private(&signing_file, None)?.into_key().try_into().map_err(Failure::unusable)?,
        signing_public: public(&public_line_file)?.key.try_into().map_err(Failure::unusable)?,
        stranger: generate_ed25519(provider).map_err(Failure::unusable)?,
    })
}

/// One provider's four parties.
struct Parties {
    sealer: Sealer,
    signer: Signer,
    verifier: Verifier,
    opener: Opener,
}

impl Parties {
    fn new(provider: &Provider, cast: &Cast) -> Outcome<Self> {
        Ok(Self {
            sealer: Sealer::new(provider, &cast.cluster_public).map_err(Failure::unusable)?,
            signer: Signer::new(provider, &cast.signing).map_err(Failure::unusable)?,
            verifier: Verifier::new(provider, [&cast.signing_public]).map_err(Failure::unusable)?,
            opener: Opener::new(provider, [&cast.cluster]).map_err(Failure::unusable)?,
        })
    }
}

/// The median times of seal, sign, verify and open with loaded keys.
fn time_steps(provider: &Provider, cast: &Cast) -> Outcome<[Duration; 4]> {
    let parties = Parties::new(provider, cast)?;
    let mut times: [Vec<Duration>; 4] = Default::default();
    for _ in 0..ROUNDS {
        let clock = Instant::now();
        let payload = parties.sealer.seal(REQUEST).map_err(Failure::refused)?;
        let sealed = clock.elapsed();
        let clock = Instant::now();
        parties.signer.sign(&payload).map_err(Failure::refused)?;
        let signed = clock.elapsed();

        let mut message = parties.sealer.seal_signed_envelope(REQUEST, &parties.signer).map_err(Failure::refused)?;
        let clock = Instant::now();
        let message = Message::parse(&mut message, REQUEST.len()).map_err(Failure::refused)?;
        let verified = parties.verifier.verify(message).map_err(Failure::refused)?;
        let checked = clock.elapsed();
        let clock = Instant::now();
        let opened = parties.opener.open(verified).map_err(Failure::refused)?;
        let open = clock.elapsed();
        if opened.plaintext() != REQUEST {
            return Err(Failure::refused(format!("{} opened something else than was sealed", provider.name)));
        }
        for (all, time) in times.iter_mut().zip([sealed, signed, checked, open]) {
            all.push(time);
        }
    }
    Ok(times.map(|mut all| {
        all.sort_unstable();
        all.get(ROUNDS / 2).copied().unwrap_or_default()
    }))
}

/// Sealed and signed by each provider, verified and opened by each, byte for byte. Returns how many pairs there were.
fn every_pair(cast: &Cast) -> Outcome<usize> {
    let parties = provider::ALL.iter().map(|provider| Parties::new(provider, cast)).collect::<Outcome<Vec<_>>>()?;
    let mut pairs = 0;
    for (sender, from) in parties.iter().zip(provider::ALL) {
        for (receiver, to) in parties.iter().zip(provider::ALL) {
            let mut message = sender.sealer.seal_signed_envelope(REQUEST, &sender.signer).map_err(Failure::refused)?;
            let message = Message::parse(&mut message, DEFAULT_MAX_PLAINTEXT).map_err(Failure::refused)?;
            let verified = receiver.verifier.verify(message).map_err(Failure::refused)?;
            let opened = receiver.opener.open(verified).map_err(Failure::refused)?;
            if opened.plaintext() != REQUEST {
                let (from, to) = (from.name, to.name);
                return Err(Failure::refused(format!("sealed by {from}, opened by {to}: not the same bytes")));
            }
            pairs += 1;
        }
    }
    Ok(pairs)
}

fn shown(time: Duration) -> String {
    let micros = time.as_secs_f64() * 1e6;
    match micros {
        ..1_000.0 => format!("{micros:.0} µs"),
        ..1_000_000.0 => format!("{:.2} ms", micros / 1e3),
        _ => format!("{:.2} s", micros / 1e6),
    }
}
