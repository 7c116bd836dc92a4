//! The messages of `bad/`: what this implementation does with each, as `bad/verdicts.json` reads it off docs/spec.md.

use std::collections::BTreeSet;

use studioml_envelope_core::{
    ClearTextError, DEFAULT_MAX_PLAINTEXT, Identity, Message, MessageError, Policy, Provider, SigningPublicKey,
    TrustedSigner, UnauthenticatedRequest,
};

use crate::{
    Cases, Role, SuiteReport, Vectors, Verdict, expect, expect_eq, keys,
    peers::emitted_as_it_came,
    vectors::{AcceptedOrRefused, ExpectedVerdict},
};

/// Takes every message of `bad/` through parsing, verification and opening under the default policy, and compares what
/// comes of it with the verdict that docs/spec.md asks for: accepted, or refused at which stage with which error.
#[must_use]
pub fn bad_messages(vectors: &Vectors, provider: &Provider) -> SuiteReport {
    let mut cases = Cases::new("bad messages", Role::Provider, provider.name, &[]);
    let expected = &vectors.expected().bad.items;
    let verdicts = &vectors.verdicts().items;
    let missing = expected.iter().filter(|case| !verdicts.iter().any(|verdict| verdict.file == case.file));
    for case in missing {
        cases.check(&case.file, &case.case, Err("bad/verdicts.json has no verdict".to_owned()));
    }
    match Runner::new(vectors, provider) {
        Err(error) => cases.check("bad/verdicts.json", "the keys", Err(error)),
        Ok(runner) => {
            for verdict in verdicts {
                let known = expected.iter().any(|case| case.file == verdict.file && case.case == verdict.case);
                let outcome = expect("expected.json has no such case", known)
                    .and_then(|()| runner.outcome(vectors, verdict))
                    .map_err(|error| format!("{error} ({})", verdict.clause));
                cases.check(&verdict.file, &verdict.case, outcome);
            }
        }
    }
    cases.finish()
}

struct Runner<'p> {
    provider: &'p Provider,
    identities: [Box<dyn Identity>; 1],
    trusted: [TrustedSigner; 1],
}

/// What became of a message.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Refused { stage: &'static str, error: String },
    Accepted { plaintext_bytes: usize, request: String, disagreements: Vec<String> },
}

impl<'p> Runner<'p> {
    /// The receiver that `expected.json` names: the Python set's key, and the signing key of the queue's longest prefix.
    fn new(vectors: &Vectors, provider: &'p Provider) -> Result<Self, String> {
        let bad = &vectors.expected().bad;
        let set = bad.keys.split('/').next().unwrap_or_default();
        let private = keys::rsa_private(vectors, set)?;
        let identity = provider.key_unwrap.load(&private).map_err(|error| error.to_string())?;
        let directory = &vectors.expected().signing_dir.dir;
        expect_eq("signing directory", &bad.signing_dir, directory)?;
        let prefix = vectors
            .origins()
            .filter_map(|(file, _)| file.strip_prefix(directory.as_str())?.strip_prefix('/'))
            .filter(|prefix| bad.queue.starts_with(prefix))
            .max_by_key(|prefix| prefix.len())
            .ok_or("no signing key for the queue")?;
        let signer = SigningPublicKey::try_from(keys::ssh_line(vectors, &format!("{directory}/{prefix}"))?);
        let signer = TrustedSigner::load(provider, &signer.map_err(|error| error.to_string())?);
        Ok(Self { provider, identities: [identity], trusted: [signer.map_err(|error| error.to_string())?] })
    }

    fn outcome(&self, vectors: &Vectors, verdict: &ExpectedVerdict) -> Verdict {
        let original = vectors.bytes(&verdict.file)?;
        let found = self.receive(original)?;
        match (&found, verdict.verdict) {
            (Outcome::Refused { stage, error }, AcceptedOrRefused::Refused) => {
                expect_eq("stage", &Some(*stage), &verdict.stage.as_deref())?;
                expect_eq("error", &Some(error), &verdict.error.as_ref())
            }
            (Outcome::Accepted { plaintext_bytes, request, disagreements }, AcceptedOrRefused::Accepted) => {
                expect_eq("bytes of plaintext", &Some(*plaintext_bytes), &verdict.plaintext_bytes)?;
                let expected = verdict.request.as_deref().unwrap_or_default();
                // a verdict may leave out where in the plaintext the error is
                let variant = request.split([' ', '(']).next().unwrap_or_default();
                expect(
                    &format!("request: expected {expected}, found {request}"),
                    [variant, request].contains(&expected),
                )?;
                // which headers disagree is the verdict, not in which order they are named
                let (found, expected): (BTreeSet<_>, BTreeSet<_>) =
                    (disagreements.iter().collect(), verdict.disagreements.iter().flatten().collect());
                expect_eq("disagreements", &found, &expected)
            }
            _ => Err(format!("expected {verdict:?}, found {found:?}")),
        }
    }

    fn receive(&self, original: &[u8]) -> Result<Outcome, String> {
        let refused = |stage, error: String| Ok(Outcome::Refused { stage, error });
        let mut json = original.to_vec();
        let message = match Message::parse(&mut json, DEFAULT_MAX_PLAINTEXT) {
            Err(error) => {
                if error == MessageError::NotAnEnvelope {
                    admitted_by_configuration_only(original)?;
                }
                return refused("parse", format!("{error:?}"));
            }
            Ok(message) => message,
        };
        emitted_as_it_came(&message, original)?;
        let headers = message.unauthenticated_headers().clone();
        let verified = match message.verify(&self.trusted, &Policy::default()) {
            Err(error) => return refused("verify", format!("{error:?}")),
            Ok(verified) => verified,
        };
        let opened = match verified.open(self.provider, &self.identities) {
            Err(error) => return refused("open", format!("{error:?}")),
            Ok(opened) => opened,
        };
        let (request, disagreements) = match opened.request() {
            Err(error) => (format!("{error:?}"), Vec::new()),
            Ok(request) => ("ok".to_owned(), request.disagreements(&headers)),
        };
        Ok(Outcome::Accepted { plaintext_bytes: opened.plaintext().len(), request, disagreements })
    }
}

/// A clear-text Request passes where the configuration allows it and no key is assigned to the queue, and nowhere else.
fn admitted_by_configuration_only(json: &[u8]) -> Verdict {
    let mut allowing = Policy::default();
    allowing.clear_text_messages = true;
    for (policy, queue_has_key, expected) in [
        (&Policy::default(), true, Err(ClearTextError::QueueHasKey)),
        (&Policy::default(), false, Err(ClearTextError::NotAllowed)),
        (&allowing, true, Err(ClearTextError::QueueHasKey)),
        (&allowing, false, Ok(())),
    ] {
        let admitted = UnauthenticatedRequest::admit(json, policy, queue_has_key).map(|_| ());
        expect_eq("admitting as clear text", &admitted, &expected)?;
    }
    Ok(())
}
