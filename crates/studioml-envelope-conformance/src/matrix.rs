//! Every ordered pair of providers: what one seals, signs, agrees and encrypts, the other opens, verifies, agrees and
//! decrypts.

use std::collections::BTreeSet;

use studioml_envelope_core::{
    DEFAULT_MAX_PLAINTEXT, FingerprintClaim, Identity, Message, Payload, Policy, Provider, Recipient, SigningKey,
    TrustedSigner, UnauthenticatedHeaders, seal, seal_envelope,
};

use crate::{Cases, Report, Role, SuiteReport, Vectors, Verdict, expect, expect_bytes, expect_eq, keys};

/// Runs every ordered pair, a provider with itself included.
///
/// A pair of the same library proves nothing about two libraries, so every slot must be served by at least two different
/// ones among `providers`; where it is not, the first suite of the report fails.
#[must_use]
pub fn matrix(vectors: &Vectors, providers: &[Provider]) -> Report {
    let mut suites = vec![two_libraries_in_every_slot(providers)];
    let loaded: Vec<_> = providers.iter().map(|provider| Party::load(vectors, provider)).collect();
    for sender in &loaded {
        for receiver in &loaded {
            suites.push(match (sender, receiver) {
                (Ok(sender), Ok(receiver)) => pair(sender, receiver),
                (Err(error), _) | (_, Err(error)) => {
                    let mut cases = Cases::new("loading", Role::Provider, "keys", &[]);
                    cases.check("keyfiles", "the keys", Err(error.clone()));
                    cases.finish()
                }
            });
        }
    }
    Report { suites, absent: Vec::new() }
}

fn two_libraries_in_every_slot(providers: &[Provider]) -> SuiteReport {
    let mut cases = Cases::new("at least two libraries", Role::Provider, "all", &[]);
    for role in Role::PARTS {
        let served_by = |provider: &Provider| {
            provider.describe().into_iter().find(|(slot, _)| *slot == role.name()).map(|(_, part)| part.library)
        };
        let libraries: BTreeSet<_> = providers.iter().filter_map(served_by).collect();
        let verdict = expect(&format!("served by {libraries:?} only"), libraries.len() >= 2);
        cases.check("providers", role.name(), verdict);
    }
    cases.finish()
}

/// A provider with the keys of `keyfiles` loaded for both sides.
struct Party<'p> {
    provider: &'p Provider,
    recipient: Box<dyn Recipient>,
    identities: [Box<dyn Identity>; 1],
    signers: Vec<Box<dyn SigningKey>>,
    trusted: Vec<TrustedSigner>,
}

impl<'p> Party<'p> {
    fn load(vectors: &Vectors, provider: &'p Provider) -> Result<Self, String> {
        let private = keys::rsa_private(vectors, keys::KEYFILES)?;
        let recipient = provider.key_wrap.load(private.public_key()).map_err(|error| error.to_string())?;
        let identity = provider.key_unwrap.load(&private).map_err(|error| error.to_string())?;
        let (mut signers, mut trusted) = (Vec::new(), Vec::new());
        for key in keys::signing_keys(vectors)? {
            signers.push(provider.sign.load(&key).map_err(|error| error.to_string())?);
        }
        for key in keys::signers(vectors)? {
            trusted.push(TrustedSigner::load(provider, &key).map_err(|error| error.to_string())?);
        }
        Ok(Self { provider, recipient, identities: [identity], signers, trusted })
    }
}

fn pair(sender: &Party<'_>, receiver: &Party<'_>) -> SuiteReport {
    let suite = format!("from {}", sender.provider.name);
    let mut cases = Cases::new(suite, Role::Provider, receiver.provider.name, &[]);
    let plaintexts: [(&str, Vec<u8>); 4] = [
        ("nothing", Vec::new()),
        ("one byte", vec![0]),
        ("bytes that are no UTF-8", (0..=255_u8).cycle().take(1000).collect()),
        ("100,001 bytes", vec![b'x'; 100_001]),
    ];
    for (what, plaintext) in &plaintexts {
        cases.check("sealed", *what, report(sender, receiver, plaintext));
        for signer in 0..sender.signers.len() {
            let kind = sender.signers.get(signer).map_or("", |signer| signer.public_key().kind());
            cases.check("signed", format_args!("{what}, {kind}"), envelope(sender, receiver, signer, plaintext));
        }
    }
    cases.check("agreed", "ephemeral and ephemeral", ephemeral_and_ephemeral(sender.provider, receiver.provider));
    cases.check("agreed", "ephemeral and static", ephemeral_and_static(sender.provider, receiver.provider));
    cases.check("agreed", "static and static", static_and_static(sender.provider, receiver.provider));
    for length in [0, 1, 16, 1000, 16384] {
        cases.check("AES-GCM", format_args!("{length} bytes"), records(sender.provider, receiver.provider, length));
    }
    for length in [0, 1, 32, 64, 8160] {
        cases.check("HKDF", format_args!("{length} bytes"), derived(sender.provider, receiver.provider, length));
    }
    for length in [0, 1, 55, 56, 64, 1000] {
        let data = vec![0x61; length];
        let (one, other) = (sender.provider.digest, receiver.provider.digest);
        let verdict = expect_bytes("SHA-256", &one.sha256(&data), &other.sha256(&data))
            .and_then(|()| expect_bytes("SHA-1", &one.sha1(&data), &other.sha1(&data)));
        cases.check("digests", format_args!("{length} bytes"), verdict);
    }
    cases.finish()
}

/// A bare payload, opened as a report is.
fn report(sender: &Party<'_>, receiver: &Party<'_>, plaintext: &[u8]) -> Verdict {
    let mut text = seal(sender.provider, &*sender.recipient, plaintext, DEFAULT_MAX_PLAINTEXT)
        .map_err(|error| error.to_string())?;
    let payload = Payload::parse(&mut text, DEFAULT_MAX_PLAINTEXT).map_err(|error| error.to_string())?;
    let opened =
        payload.open_unauthenticated(receiver.provider, &receiver.identities).map_err(|error| error.to_string())?;
    expect_bytes("plaintext", opened.unauthenticated_plaintext(), plaintext)
}

/// A signed envelope, verified and opened; and refused where the other key is held.
fn envelope(sender: &Party<'_>, receiver: &Party<'_>, signer: usize, plaintext: &[u8]) -> Verdict {
    let key = sender.signers.get(signer).ok_or("no such signer")?;
    let mut json = seal_envelope(
        sender.provider,
        &*sender.recipient,
        Some(&**key),
        &UnauthenticatedHeaders::default(),
        plaintext,
        DEFAULT_MAX_PLAINTEXT,
    )
    .map_err(|error| error.to_string())?;
    let others: Vec<_> = receiver.trusted.iter().filter(|trusted| trusted.public_key() != key.public_key()).collect();
    let mut copy = json.clone();
    let forged = Message::parse(&mut copy, DEFAULT_MAX_PLAINTEXT).map_err(|error| error.to_string())?;
    expect("verified under another key", forged.verify(&others, &Policy::default()).is_err())?;

    let message = Message::parse(&mut json, DEFAULT_MAX_PLAINTEXT).map_err(|error| error.to_string())?;
    let verified = message.verify(&receiver.trusted, &Policy::default()).map_err(|error| error.to_string())?;
    expect_eq("signer", &verified.verification().signer, key.public_key())?;
    expect_eq("claim", &verified.verification().claim, &FingerprintClaim::Matches)?;
    let opened = verified.open(receiver.provider, &receiver.identities).map_err(|error| error.to_string())?;
    expect_bytes("plaintext", opened.plaintext(), plaintext)
}

fn ephemeral_and_ephemeral(sender: &Provider, receiver: &Provider) -> Verdict {
    let one = sender.agree.generate(sender.random).map_err(|error| error.to_string())?;
    let other = receiver.agree.generate(receiver.random).map_err(|error| error.to_string())?;
    let (one_public, other_public) = (*one.public_key(), *other.public_key());
    let here = one.agree(&other_public).map_err(|error| error.to_string())?;
    let there = other.agree(&one_public).map_err(|error| error.to_string())?;
    expect_bytes("shared secret", here.expose_secret(), there.expose_secret())
}

fn ephemeral_and_static(sender: &Provider, receiver: &Provider) -> Verdict {
    let pair = sender.agree.generate(sender.random).map_err(|error| error.to_string())?;
    let kept = receiver.agree_static.generate(receiver.random).map_err(|error| error.to_string())?;
    let kept = receiver.agree_static.load(&kept).map_err(|error| error.to_string())?;
    let public = *pair.public_key();
    let here = pair.agree(kept.public_key()).map_err(|error| error.to_string())?;
    let there = kept.agree(&public).map_err(|error| error.to_string())?;
    expect_bytes("shared secret", here.expose_secret(), there.expose_secret())
}

fn static_and_static(sender: &Provider, receiver: &Provider) -> Verdict {
    let make = |provider: &Provider| {
        let key = provider.agree_static.generate(provider.random).map_err(|error| error.to_string())?;
        provider.agree_static.load(&key).map_err(|error| error.to_string())
    };
    let (one, other) = (make(sender)?, make(receiver)?);
    let here = one.agree(other.public_key()).map_err(|error| error.to_string())?;
    let there = other.agree(one.public_key()).map_err(|error| error.to_string())?;
    expect_bytes("shared secret", here.expose_secret(), there.expose_secret())
}

fn records(sender: &Provider, receiver: &Provider, length: usize) -> Verdict {
    let (key, nonce, associated_data) = ([0x2a; 32], [7; 12], b"associated data");
    let plaintext = vec![0x70; length];
    let (mut here, mut there) = (plaintext.clone(), plaintext.clone());
    let tag = sender.aead.load(&key).seal_in_place(&nonce, associated_data, &mut here);
    let other_tag = receiver.aead.load(&key).seal_in_place(&nonce, associated_data, &mut there);
    expect_bytes("ciphertext", &here, &there)?;
    expect_bytes("tag", &tag, &other_tag)?;
    let opened = receiver.aead.load(&key).open_in_place(&nonce, associated_data, &tag, &mut here);
    expect_eq("opening", &opened, &Ok(()))?;
    expect_bytes("plaintext", &here, &plaintext)
}

fn derived(sender: &Provider, receiver: &Provider, length: usize) -> Verdict {
    let (mut here, mut there) = (vec![0; length], vec![0; length]);
    sender.kdf.hkdf_sha256(b"salt", b"key material", b"info", &mut here).map_err(|error| error.to_string())?;
    receiver.kdf.hkdf_sha256(b"salt", b"key material", b"info", &mut there).map_err(|error| error.to_string())?;
    expect_bytes("output", &here, &there)
}
