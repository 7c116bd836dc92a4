//! A request on its way in (docs/spec.md §2, §3, §7): parse, verify, ask whether it has been seen, open, look inside. In this order,
//! so that nothing that is forged or replayed costs a private-key operation.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use studioml_envelope_core::{
    ClearTextError, Message, MessageError, OpenError, Opened, TrustedSigner, UnauthenticatedHeaders,
    UnauthenticatedRequest, VerifyError,
};
use studioml_envelope_keys::directory::Selection;
use zeroize::Zeroizing;

use super::{Job, Judged, Processor, refuse};
use crate::decision::{PauseReason, ReasonCode, Verdict};
use crate::keyring::Keys;
use crate::queue::Outgoing;

/// How far a clock may be ahead of ours before a Request's time says nothing about its age.
const CLOCK_SKEW: Duration = Duration::from_secs(300);

impl Processor {
    pub(super) fn judge_request(&self, job: &Job, keys: &Keys) -> Judged {
        // the message is opened in this copy; the original stays what it is, for the reject queue
        let mut working_copy = match self.read(job) {
            Ok(bytes) => Zeroizing::new(bytes),
            Err(verdict) => return verdict.into(),
        };
        let signers: &[Arc<TrustedSigner>] = match keys.signing.select(job.queue.as_str()) {
            Selection::Found { keys, .. } => keys,
            // without the directory nobody knows whether a key covers the queue
            Selection::None if self.rules.policy.clear_text_messages && !keys.signing.is_lost() => &[],
            Selection::None | Selection::Broken { .. } => {
                return Verdict::Misconfigured(PauseReason::NoQueueKey).into();
            }
        };
        let message = match Message::parse(&mut working_copy, self.rules.message_bytes) {
            Ok(message) => message,
            Err(MessageError::NotAnEnvelope) => return self.judge_clear_text(job, working_copy, !signers.is_empty()),
            Err(error) => return refuse(ReasonCode::Malformed, &error).into(),
        };
        let headers = message.unauthenticated_headers().clone();
        let verified = match message.verify(signers, &self.rules.policy) {
            Ok(verified) => verified,
            Err(error) => return refuse(code_of(&error), &error).into(),
        };
        let digest = self.provider.digest.sha256(verified.payload());
        let offered = match self.offer(job, digest) {
            Ok(offered) => offered,
            Err(verdict) => return verdict.into(),
        };
        let identities = keys.identities.identities();
        if identities.is_empty() {
            return Verdict::Misconfigured(PauseReason::NoPrivateKey).into();
        }
        self.private_key_operations.inc();
        let opened = match verified.open(&self.provider, identities) {
            Ok(opened) => opened,
            Err(OpenError::Random(_)) => return Verdict::Failed.into(),
            Err(error @ OpenError::Payload(_)) => return offered.refused(ReasonCode::Malformed, &error).into(),
            Err(error) => return offered.refused(ReasonCode::CannotOpen, &error).into(),
        };
        if let Err((code, detail)) = self.look_inside(&opened, job.taken_at) {
            return offered.refused(code, &detail).into();
        }
        tell_of_disagreements(job, &opened, &headers);
        let outgoing = Outgoing {
            body: Arc::new(Zeroizing::new(opened.plaintext().to_vec())),
            message_id: hex::encode(digest),
            file_name: job.delivery.file_name.clone(),
            source_queue: job.queue.clone(),
            signer: Some(opened.verification().fingerprint),
            taken_at: job.taken_at,
        };
        Judged { verdict: offered.goes_on(), outgoing: Some(outgoing) }
    }

    /// A top-level object without `message`: a clear-text Request where those are allowed, and junk everywhere else.
    fn judge_clear_text(&self, job: &Job, text: Zeroizing<Vec<u8>>, queue_has_key: bool) -> Judged {
        match UnauthenticatedRequest::admit(&text, &self.rules.policy, queue_has_key) {
            Ok(_) => {}
            Err(error @ ClearTextError::Request(_)) => return refuse(ReasonCode::NotARequest, &error).into(),
            Err(error) => return refuse(ReasonCode::ClearText, &error).into(),
        }
        let digest = self.provider.digest.sha256(&text);
        let outgoing = Outgoing {
            body: Arc::new(text),
            message_id: hex::encode(digest),
            file_name: job.delivery.file_name.clone(),
            source_queue: job.queue.clone(),
            signer: None,
            taken_at: job.taken_at,
        };
        Judged { verdict: Verdict::Publish { digest, remembered: false }, outgoing: Some(outgoing) }
    }

    /// Whether what was opened is a Request, and of an age that is let through.
    fn look_inside(&self, opened: &Opened<'_>, now: SystemTime) -> Result<(), (ReasonCode, String)> {
        let request = opened.request().map_err(|error| (ReasonCode::NotARequest, error.to_string()))?;
        let Some(max_age) = self.rules.max_age else { return Ok(()) };
        let too_old = |detail: String| Err((ReasonCode::TooOld, detail));
        let Some(time_added) = request.time_added().filter(|time| time.is_finite()) else {
            return too_old("the Request does not tell its time, and a maximum age is configured".to_owned());
        };
        let now = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        let age = now - time_added;
        if age > max_age.as_secs_f64() {
            return too_old(format!("the Request is {age:.0} s old, {} s are allowed", max_age.as_secs()));
        }
        if age < -CLOCK_SKEW.as_secs_f64() {
            return too_old(format!("the Request's time is {:.0} s ahead of the clock", -age));
        }
        Ok(())
    }
}

/// A scheduler that looked at the headers may have been misled, by the broker or by whoever can write to it. Their values are
/// not told, and of their names the first few.
fn tell_of_disagreements(job: &Job, opened: &Opened<'_>, headers: &UnauthenticatedHeaders) {
    const MOST_NAMES: usize = 8;
    let Ok(request) = opened.request() else { return };
    let names = request.disagreements(headers);
    if !names.is_empty() {
        let (count, names) = (names.len(), names.get(..MOST_NAMES).unwrap_or(&names).join(", "));
        tracing::warn!(queue = %job.queue, headers = names, count, "clear-text headers say something else than the Request");
    }
}

const fn code_of(error: &VerifyError) -> ReasonCode {
    match error {
        VerifyError::Unsigned => ReasonCode::Unsigned,
        VerifyError::NoKey => ReasonCode::NoSigningKey,
        VerifyError::FingerprintMismatch | VerifyError::FingerprintMissing => ReasonCode::Fingerprint,
        _ => ReasonCode::BadSignature,
    }
}
