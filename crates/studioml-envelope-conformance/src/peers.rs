//! What deployed peers wrote, opened and verified byte for byte.

use std::collections::BTreeMap;

use serde_json::Value;
use studioml_envelope_core::{
    DEFAULT_MAX_PLAINTEXT, FingerprintClaim, Identity, Message, Payload, Policy, Provider, TrustedSigner,
};

use crate::{
    Cases, Role, SuiteReport, Vectors, Verdict, expect_bytes, expect_eq, keys,
    vectors::{PeerItem, PeerSet},
};

/// Opens and verifies every payload, signature and envelope that the deployed Python and Go peers made, and the payload and
/// signatures of `keyfiles`.
#[must_use]
pub fn peers(vectors: &Vectors, provider: &Provider) -> SuiteReport {
    let mut cases = Cases::new("peers' messages", Role::Provider, provider.name, &[]);
    for (name, set) in &vectors.expected().sets {
        match Receiver::of_peer(vectors, provider, name, set) {
            Err(error) => cases.check("expected.json", name, Err(error)),
            Ok(receiver) => {
                for item in &set.items {
                    receiver.item(&mut cases, set, item);
                }
            }
        }
    }
    cases.check("keyfiles/check.payload", "opened and verified", keyfiles(vectors, provider));
    cases.finish()
}

struct Receiver<'v> {
    vectors: &'v Vectors,
    provider: &'v Provider,
    identities: [Box<dyn Identity>; 1],
    trusted: [TrustedSigner; 1],
}

impl<'v> Receiver<'v> {
    fn of_peer(vectors: &'v Vectors, provider: &'v Provider, name: &str, set: &PeerSet) -> Result<Self, String> {
        let private = keys::rsa_private(vectors, name)?;
        let public = private.public_key();
        expect_eq("bits", &public.bits(), &set.keys.rsa.bits)?;
        expect_eq("public exponent", &public.exponent(), &set.keys.rsa.e)?;
        expect_eq("modulus", &hex::encode(provider.digest.sha256(public.modulus())), &set.keys.rsa.n_sha256)?;
        let signer = keys::peer_signer(vectors, name)?;
        let signer = TrustedSigner::load(provider, &signer).map_err(|error| error.to_string())?;
        expect_eq("fingerprint", &signer.fingerprint().to_string(), &set.keys.ed25519.fingerprints.sha256)?;
        let identity = provider.key_unwrap.load(&private).map_err(|error| error.to_string())?;
        Ok(Self { vectors, provider, identities: [identity], trusted: [signer] })
    }

    fn item(&self, cases: &mut Cases, set: &PeerSet, item: &PeerItem) {
        let path = |file: &str| format!("{}/{file}", set.dir);
        cases.check(&path(&item.payload), "opened as a report is", self.report(&path(&item.payload), item));
        for signature in [&item.signature].into_iter().chain(&item.signature_ssh_wire) {
            let verdict = self.signed_payload(&path(&item.payload), &path(signature), item);
            cases.check(&path(signature), "verified and opened", verdict);
        }
        cases.check(&path(&item.envelope), "verified and opened", self.envelope(&path(&item.envelope), item));
    }

    fn expect_request(&self, plaintext: &[u8], item: &PeerItem) -> Verdict {
        let requests: &BTreeMap<_, _> = &self.vectors.expected().requests;
        let request = requests.get(&item.request).ok_or("no such request")?;
        expect_bytes("plaintext", plaintext, self.vectors.bytes(&request.file)?)?;
        expect_eq("bytes", &plaintext.len(), &item.payload_plaintext_bytes)?;
        expect_eq("SHA-256", &hex::encode(self.provider.digest.sha256(plaintext)), &item.payload_plaintext_sha256)
    }

    fn report(&self, file: &str, item: &PeerItem) -> Verdict {
        let mut text = self.vectors.bytes(file)?.to_vec();
        let payload = Payload::parse(&mut text, DEFAULT_MAX_PLAINTEXT).map_err(|error| error.to_string())?;
        expect_eq("length told before opening", &payload.plaintext_len(), &item.payload_plaintext_bytes)?;
        let opened =
            payload.open_unauthenticated(self.provider, &self.identities).map_err(|error| error.to_string())?;
        self.expect_request(opened.unauthenticated_plaintext(), item)
    }

    fn signed_payload(&self, file: &str, signature: &str, item: &PeerItem) -> Verdict {
        let mut text = self.vectors.bytes(file)?.to_vec();
        let payload = Payload::parse(&mut text, DEFAULT_MAX_PLAINTEXT).map_err(|error| error.to_string())?;
        let verified =
            payload.verify(self.vectors.text(signature)?, &self.trusted).map_err(|error| error.to_string())?;
        expect_eq("claim", &verified.verification().claim, &FingerprintClaim::NotMade)?;
        let opened = verified.open(self.provider, &self.identities).map_err(|error| error.to_string())?;
        self.expect_request(opened.plaintext(), item)
    }

    fn envelope(&self, file: &str, item: &PeerItem) -> Verdict {
        let original = self.vectors.bytes(file)?;
        let mut json = original.to_vec();
        let message = Message::parse(&mut json, DEFAULT_MAX_PLAINTEXT).map_err(|error| error.to_string())?;
        emitted_as_it_came(&message, original)?;
        let headers = message.unauthenticated_headers().clone();
        let verified = message.verify(&self.trusted, &Policy::default()).map_err(|error| error.to_string())?;
        expect_eq("claim", &verified.verification().claim, &FingerprintClaim::Matches)?;
        let opened = verified.open(self.provider, &self.identities).map_err(|error| error.to_string())?;
        let plaintext = opened.plaintext();
        expect_eq("bytes", &plaintext.len(), &item.envelope_plaintext_bytes)?;
        expect_eq("SHA-256", &hex::encode(self.provider.digest.sha256(plaintext)), &item.envelope_plaintext_sha256)?;
        if let Ok(expected) = self.vectors.bytes(&file.replace(".json", ".plaintext")) {
            expect_bytes("plaintext", plaintext, expected)?;
        }
        let request = opened.request().map_err(|error| error.to_string())?;
        expect_eq("headers that disagree with the Request", &request.disagreements(&headers), &Vec::new())
    }
}

/// That a message written again says what it said: every member, those that nobody knows included.
pub(crate) fn emitted_as_it_came(message: &Message<'_>, original: &[u8]) -> Verdict {
    let parsed = |text: &[u8]| serde_json::from_slice::<Value>(text).map_err(|error| error.to_string());
    let (again, before) = (parsed(&message.to_json())?, parsed(original)?);
    if again == before { Ok(()) } else { Err("the message written again says something else".to_owned()) }
}

/// One payload, verified under both algorithms and opened.
fn keyfiles(vectors: &Vectors, provider: &Provider) -> Verdict {
    let check = &vectors.expected().keyfiles.check;
    let path = |file: &str| format!("keyfiles/{file}");
    let identity = provider.key_unwrap.load(&keys::rsa_private(vectors, keys::KEYFILES)?);
    let identities = [identity.map_err(|error| error.to_string())?];
    let mut trusted = Vec::new();
    for key in keys::signers(vectors)? {
        trusted.push(TrustedSigner::load(provider, &key).map_err(|error| error.to_string())?);
    }
    for (signature, signer) in
        [&check.ed25519_signature, &check.ecdsa_p256_sha256_der_signature].into_iter().zip(&trusted)
    {
        let mut text = vectors.bytes(&path(&check.payload))?.trim_ascii_end().to_vec();
        let payload = Payload::parse(&mut text, DEFAULT_MAX_PLAINTEXT).map_err(|error| error.to_string())?;
        let verified = payload.verify(vectors.text(&path(signature))?, &trusted).map_err(|error| error.to_string())?;
        expect_eq("signer", &verified.verification().signer, signer.public_key())?;
        let opened = verified.open(provider, &identities).map_err(|error| error.to_string())?;
        expect_bytes("plaintext", opened.plaintext(), vectors.bytes(&path(&check.plaintext))?)?;
    }
    Ok(())
}
