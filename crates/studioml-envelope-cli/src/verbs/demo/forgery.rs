//! What an attacker on the queue can try, each as a message, and the refusal that it meets.

use std::path::Path;

use serde_json::{Value, json};
use studioml_envelope::{
    DEFAULT_MAX_PLAINTEXT, FingerprintForm, Message, Opener, Policy, Provider, Sealer, Signer, UnauthenticatedRequest,
    Verifier,
};
use studioml_envelope_keys::{
    PublicFormat,
    directory::{Selection, SigningKeys},
    encode_public,
};

use super::Cast;
use crate::{
    failure::{Failure, Outcome},
    io::{Contents, write_file},
};

/// What became of a forgery.
pub struct Verdict {
    pub forgery: String,
    /// Why it was refused; `None` if it was accepted.
    pub refusal: Option<String>,
}

impl Verdict {
    pub fn shown(&self) -> String {
        match &self.refusal {
            Some(refusal) => format!("refused: {refusal}"),
            None => "ACCEPTED".to_owned(),
        }
    }
}

/// Tries every forgery on one provider.
pub fn try_all(
    provider: &Provider,
    cast: &Cast,
    request: &[u8],
    queue: &str,
    directory: &Path,
) -> Outcome<Vec<Verdict>> {
    let stage = Stage::new(provider, cast, request)?;
    let mut verdicts: Vec<Verdict> = forgeries(&stage)?
        .into_iter()
        .map(|(forgery, message)| Verdict { forgery, refusal: stage.refusal(&message) })
        .collect();
    verdicts.push(stage.for_another_cluster(cast)?);
    verdicts.push(stage.on_another_queue(queue, directory)?);
    verdicts.push(Verdict {
        forgery: "the Request in clear text".to_owned(),
        refusal: UnauthenticatedRequest::admit(request, &Policy::default(), true).err().map(|error| error.to_string()),
    });
    Ok(verdicts)
}

/// One provider's receiver, and two good messages to take apart.
struct Stage<'p> {
    provider: &'p Provider,
    signer: Signer,
    stranger: Signer,
    verifier: Verifier,
    opener: Opener,
    message: Parts,
    other: Parts,
}

/// The fields of a message.
#[derive(Clone)]
struct Parts {
    wrapped_key: String,
    boxed: String,
    signature: String,
    fingerprint: String,
}

impl Parts {
    fn of(message: &[u8]) -> Outcome<Self> {
        let json: Value = serde_json::from_slice(message).map_err(Failure::refused)?;
        let text =
            |member: &str| json.pointer(&format!("/message/{member}")).and_then(Value::as_str).unwrap_or_default();
        let (wrapped_key, boxed) = text("payload").split_once(',').unwrap_or_default();
        Ok(Self {
            wrapped_key: wrapped_key.to_owned(),
            boxed: boxed.to_owned(),
            signature: text("signature").to_owned(),
            fingerprint: text("fingerprint").to_owned(),
        })
    }

    fn payload(&self) -> String {
        format!("{},{}", self.wrapped_key, self.boxed)
    }

    fn message(&self) -> Vec<u8> {
        json!({ "message": {
            "payload": self.payload(), "signature": self.signature, "fingerprint": self.fingerprint,
        }})
        .to_string()
        .into_bytes()
    }
}

impl<'p> Stage<'p> {
    fn new(provider: &'p Provider, cast: &Cast, request: &[u8]) -> Outcome<Self> {
        let sealer = Sealer::new(provider, &cast.cluster_public).map_err(Failure::unusable)?;
        let signer = Signer::new(provider, &cast.signing).map_err(Failure::unusable)?;
        let seal = || sealer.seal_signed_envelope(request, &signer).map_err(Failure::refused);
        let (message, other) = (Parts::of(&seal()?)?, Parts::of(&seal()?)?);
        let stage = Self {
            provider,
            stranger: Signer::new(provider, &cast.stranger).map_err(Failure::unusable)?,
            verifier: Verifier::new(provider, [&cast.signing_public]).map_err(Failure::unusable)?,
            opener: Opener::new(provider, [&cast.cluster]).map_err(Failure::unusable)?,
            signer,
            message,
            other,
        };
        // a stage on which nothing opens would refuse every forgery too
        match stage.refusal(&stage.message.message()) {
            None => Ok(stage),
            Some(refusal) => Err(Failure::refused(format!("an honest message was refused: {refusal}"))),
        }
    }

    /// Why a message is refused, or `None` if it opens.
    fn refusal(&self, message: &[u8]) -> Option<String> {
        self.refusal_by(&self.verifier, &self.opener, message)
    }

    fn refusal_by(&self, verifier: &Verifier, opener: &Opener, message: &[u8]) -> Option<String> {
        let mut buffer = message.to_vec();
        let parsed = match Message::parse(&mut buffer, DEFAULT_MAX_PLAINTEXT) {
            Ok(parsed) => parsed,
            Err(error) => return Some(error.to_string()),
        };
        match verifier.verify(parsed) {
            Err(error) => Some(error.to_string()),
            Ok(verified) => opener.open(verified).err().map(|error| error.to_string()),
        }
    }

    fn for_another_cluster(&self, cast: &Cast) -> Outcome<Verdict> {
        let opener = Opener::new(self.provider, [&cast.other_cluster]).map_err(Failure::unusable)?;
        Ok(Verdict {
            forgery: "opened with another cluster's private key".to_owned(),
            refusal: self.refusal_by(&self.verifier, &opener, &self.message.message()),
        })
    }

    /// The signer's key is held for one prefix; the message is offered on a queue of another.
    fn on_another_queue(&self, queue: &str, directory: &Path) -> Outcome<Verdict> {
        let keys = directory.join("signing");
        std::fs::create_dir_all(&keys).map_err(|error| Failure::io(format!("{}: {error}", keys.display())))?;
        let line = encode_public(&(*self.signer.public_key()).into(), PublicFormat::SshLine, "");
        write_file(&keys.join("rmq_cpu_"), &line.map_err(Failure::unusable)?, Contents::Public, true)?;
        let held = SigningKeys::load(&keys, self.provider).map_err(Failure::io)?;
        let refusal_on = |queue: &str| match held.select(queue) {
            Selection::Found { keys, .. } => {
                self.refusal_by(&Verifier::from_trusted(keys.to_vec()), &self.opener, &self.message.message())
            }
            _ => Some("no signing key is held for the queue".to_owned()),
        };
        if let Some(refusal) = refusal_on(queue) {
            return Err(Failure::refused(format!("an honest message was refused on {queue}: {refusal}")));
        }
        Ok(Verdict { forgery: "offered on another queue".to_owned(), refusal: refusal_on("rmq_gpu_demo_1") })
    }
}

/// Every forged message with its name.
fn forgeries(stage: &Stage<'_>) -> Outcome<Vec<(String, Vec<u8>)>> {
    let good = &stage.message;
    let mut all = Vec::new();
    let mut forge = |name: &str, change: &dyn Fn(&mut Parts)| {
        let mut parts = good.clone();
        change(&mut parts);
        all.push((name.to_owned(), parts.message()));
    };
    type Field = fn(&mut Parts) -> &mut String;
    type Change = fn(&mut Parts);
    let fields: [(&str, Field); 4] = [
        ("wrapped key", |parts| &mut parts.wrapped_key),
        ("box", |parts| &mut parts.boxed),
        ("signature", |parts| &mut parts.signature),
        ("fingerprint", |parts| &mut parts.fingerprint),
    ];
    for (name, field) in fields {
        forge(&format!("{name} truncated by 4 characters"), &|parts| {
            let field = field(parts);
            field.truncate(field.len().saturating_sub(4));
        });
        forge(&format!("{name} with one bit flipped"), &|parts| flip(field(parts)));
        forge(&format!("{name} empty"), &|parts| field(parts).clear());
    }
    forge("wrapped key of another message", &|parts| parts.wrapped_key.clone_from(&stage.other.wrapped_key));
    forge("box of another message", &|parts| parts.boxed.clone_from(&stage.other.boxed));
    forge("signature of another message", &|parts| parts.signature.clone_from(&stage.other.signature));
    forge("wrapped key and box swapped", &|parts| std::mem::swap(&mut parts.wrapped_key, &mut parts.boxed));
    forge("a third field", &|parts| parts.boxed.push_str(",AAAA"));
    forge("a line feed inside the base64", &|parts| parts.boxed.insert(64, '\n'));
    forge("fingerprint of somebody else", &|parts| {
        parts.fingerprint = stage.stranger.fingerprint(FingerprintForm::SshSha256).to_string();
    });

    let sign = |signer: &Signer, payload: &str| signer.sign(payload.as_bytes()).map_err(Failure::refused);
    let stranger = stage.stranger.fingerprint(FingerprintForm::SshSha256).to_string();
    let by_stranger = sign(&stage.stranger, &good.payload())?;
    forge("signed by a stranger", &|parts| parts.signature.clone_from(&by_stranger));
    forge("signed by a stranger under the stranger's fingerprint", &|parts| {
        parts.signature.clone_from(&by_stranger);
        parts.fingerprint.clone_from(&stranger);
    });
    // what a thief of the signing key could try: signed well, and still not openable
    let resealed: [(&str, Change); 2] = [
        ("wrapped key flipped and signed again", |parts| flip(&mut parts.wrapped_key)),
        ("box flipped and signed again", |parts| flip(&mut parts.boxed)),
    ];
    for (name, change) in resealed {
        let mut parts = good.clone();
        change(&mut parts);
        parts.signature = sign(&stage.signer, &parts.payload())?;
        all.push((name.to_owned(), parts.message()));
    }

    let payload = good.payload();
    let unsigned = json!({ "message": { "payload": payload, "fingerprint": good.fingerprint } });
    let anonymous = json!({ "message": { "payload": payload, "signature": good.signature } });
    all.push(("unsigned".to_owned(), unsigned.to_string().into_bytes()));
    all.push(("without a fingerprint".to_owned(), anonymous.to_string().into_bytes()));
    let twice = format!(
        "{{\"message\":{{\"payload\":\"{payload}\",\"payload\":\"{}\",\"signature\":\"{}\",\"fingerprint\":\"{}\"}}}}",
        stage.other.payload(),
        good.signature,
        good.fingerprint
    );
    all.push(("two payloads in one message".to_owned(), twice.into_bytes()));
    let folded = format!(
        "{{\"message\":{{\"payload\":\"{payload}\",\"PayLoad\":\"{}\",\"signature\":\"{}\",\"fingerprint\":\"{}\"}}}}",
        stage.other.payload(),
        good.signature,
        good.fingerprint
    );
    all.push(("a second payload under PayLoad".to_owned(), folded.into_bytes()));
    Ok(all)
}

/// Flips the lowest bit that changes the decoded bytes and keeps the base64 canonical: bit 2 of a character in the middle.
fn flip(field: &mut String) {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let middle = field.len() / 2;
    let flipped = field.as_bytes().get(middle).copied().and_then(|byte| {
        let value = ALPHABET.iter().position(|symbol| *symbol == byte)?;
        ALPHABET.get(value ^ 4).copied()
    });
    if let Some(symbol) = flipped {
        field.replace_range(middle..=middle, &char::from(symbol).to_string());
    }
}
