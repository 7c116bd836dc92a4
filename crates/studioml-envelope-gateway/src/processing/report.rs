//! A report on its way out: opaque, but for being a JSON object. It is sealed as it is, never printed again.

use std::sync::Arc;

use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use studioml_envelope_core::{SealError, seal};
use studioml_envelope_keys::directory::Selection;
use zeroize::Zeroizing;

use super::{Job, Judged, Processor, refuse};
use crate::decision::{PauseReason, ReasonCode, Verdict};
use crate::keyring::Keys;
use crate::queue::Outgoing;

impl Processor {
    pub(super) fn judge_report(&self, job: &Job, keys: &Keys) -> Judged {
        let report = match self.read(job) {
            Ok(bytes) => Zeroizing::new(bytes),
            Err(verdict) => return verdict.into(),
        };
        if let Err(problem) = check_object(&report) {
            return refuse(ReasonCode::NotAReport, &problem).into();
        }
        let Selection::Found { keys, .. } = keys.reports.select(job.queue.as_str()) else {
            return Verdict::Misconfigured(PauseReason::NoQueueKey).into();
        };
        let Some(key) = keys.first() else { return Verdict::Misconfigured(PauseReason::NoQueueKey).into() };
        let sealed = match seal(&self.provider, key.recipient().as_ref(), &report, self.rules.message_bytes) {
            Ok(sealed) => sealed,
            Err(error @ SealError::TooLarge { .. }) => return refuse(ReasonCode::TooLarge, &error).into(),
            Err(_) => return Verdict::Failed.into(),
        };
        let outgoing = Outgoing {
            // of the sealed text: a digest of the clear one would tell outsiders when they have guessed it
            message_id: hex::encode(self.provider.digest.sha256(&sealed)),
            body: Arc::new(Zeroizing::new(sealed)),
            file_name: job.delivery.file_name.clone(),
            source_queue: job.queue.clone(),
            signer: None,
            taken_at: job.taken_at,
        };
        let digest = self.provider.digest.sha256(&report);
        Judged { verdict: Verdict::Publish { digest, remembered: false }, outgoing: Some(outgoing) }
    }
}

/// Whether the text is one JSON object in UTF-8, and nothing else.
fn check_object(text: &[u8]) -> Result<(), String> {
    struct Object;
    impl<'de> Visitor<'de> for Object {
        type Value = ();
        fn expecting(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
            f.write_str("a JSON object")
        }
        fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
            while members.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            Ok(())
        }
    }
    let text = core::str::from_utf8(text).map_err(|_| "report: not UTF-8".to_owned())?;
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let checked = deserializer.deserialize_map(Object).and_then(|()| deserializer.end());
    checked.map_err(|error| match error.classify() {
        serde_json::error::Category::Data => "report: not a JSON object".to_owned(),
        _ => format!("report: not JSON at line {}, column {}", error.line(), error.column()),
    })
}

#[cfg(test)]
mod tests {
    use super::check_object;

    #[test]
    fn a_report_is_one_json_object() {
        let started = r#"{"time":"2020-10-12T00:00:00Z","experimentId":"e","progress":{"state":"Started"}}"#;
        for good in [started, "{}", " {\"a\":[1,{\"b\":null}]} \n"] {
            assert_eq!(check_object(good.as_bytes()), Ok(()), "{good}");
        }
        for bad in ["", "[]", "\"text\"", "null", "{", "{}{}", "{} x", "{\"a\":}", "{'a':1}"] {
            assert!(check_object(bad.as_bytes()).is_err(), "{bad}");
        }
        assert!(check_object(b"{\"a\":\"\xff\"}").is_err());
        assert!(check_object("{\"a\":".repeat(100_000).as_bytes()).is_err());
    }
}
