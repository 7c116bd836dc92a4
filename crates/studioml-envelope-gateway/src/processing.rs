//! What the gateway does with the bytes of a message: the only part that sees them, and the only one that computes.
//!
//! Runs on a [pool](pool::Pool) of threads of its own, never on async workers: one RSA operation takes longer than a worker
//! may be busy.

pub(crate) mod pool;
mod report;
mod request;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use prometheus_client::metrics::counter::Counter;
use studioml_envelope_core::{Policy, Provider};

use crate::decision::{DeliveryId, Direction, Memory, MessageDigest, ReasonCode, Verdict};
use crate::keyring::Keys;
use crate::queue::{Delivery, Outgoing, QueueName};

/// By which rules messages are judged.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    pub(crate) policy: Policy,
    /// The largest message in bytes, as it stands in the queue.
    pub(crate) message_bytes: usize,
    /// How old a Request may be by its own time.
    pub(crate) max_age: Option<Duration>,
}

/// One message to be worked on.
pub(crate) struct Job {
    pub(crate) direction: Direction,
    pub(crate) queue: QueueName,
    pub(crate) id: DeliveryId,
    pub(crate) delivery: Arc<Delivery>,
    pub(crate) taken_at: SystemTime,
}

/// A verdict, and what is to be published if that is what it says.
pub(crate) struct Judged {
    pub(crate) verdict: Verdict,
    pub(crate) outgoing: Option<Outgoing>,
}

impl From<Verdict> for Judged {
    fn from(verdict: Verdict) -> Self {
        Self { verdict, outgoing: None }
    }
}

/// The libraries, the rules and the memory that all messages are judged with.
pub(crate) struct Processor {
    provider: Provider,
    rules: Rules,
    memory: Arc<Mutex<Memory>>,
    private_key_operations: Counter,
}

impl Processor {
    pub(crate) const fn new(
        provider: Provider,
        rules: Rules,
        memory: Arc<Mutex<Memory>>,
        private_key_operations: Counter,
    ) -> Self {
        Self { provider, rules, memory, private_key_operations }
    }

    /// Judges one message with the keys given. Blocks and computes.
    pub(crate) fn judge(&self, job: &Job, keys: &Keys) -> Judged {
        // after a broker died its client still yields what it had buffered: not worth an RSA operation
        if !job.delivery.claim.is_live() {
            return Verdict::Gone.into();
        }
        match job.direction {
            Direction::Requests => self.judge_request(job, keys),
            Direction::Reports => self.judge_report(job, keys),
        }
    }

    fn read(&self, job: &Job) -> Result<Vec<u8>, Verdict> {
        let limit = self.rules.message_bytes;
        let claim = &job.delivery.claim;
        let too_large = |found: &dyn core::fmt::Display| {
            let detail = format!("message of {found} bytes is larger than the maximum of {limit}");
            Err(refuse(ReasonCode::TooLarge, &detail))
        };
        if claim.len() > limit as u64 {
            return too_large(&claim.len());
        }
        match claim.read(limit) {
            Ok(bytes) if bytes.len() > limit => too_large(&format_args!("more than {limit}")),
            Ok(bytes) => Ok(bytes),
            Err(error) => {
                tracing::warn!(queue = %job.queue, %error, "a message cannot be read");
                Err(Verdict::Failed)
            }
        }
    }

    /// Asks the memory about a message whose signature has verified.
    fn offer<'p>(&'p self, job: &'p Job, digest: MessageDigest) -> Result<Offered<'p>, Verdict> {
        use crate::decision::Offer;
        match lock(&self.memory).offer(digest, job.queue.shared(), job.id) {
            Offer::New => Ok(Offered { memory: &self.memory, id: job.id, digest, settled: false }),
            Offer::InFlight => Err(Verdict::Busy),
            Offer::Confirmed => Err(Verdict::Duplicate),
            Offer::Refused(code) => Err(refuse(code, &"as when it was first seen")),
            Offer::OtherQueue => {
                Err(refuse(ReasonCode::Replayed, &"the same message was seen on another queue before"))
            }
        }
    }
}

/// A message that the memory holds for this delivery. Whatever way processing ends, the memory hears of it: were it not to,
/// no later delivery of the message would ever be worked on.
struct Offered<'p> {
    memory: &'p Mutex<Memory>,
    id: DeliveryId,
    digest: MessageDigest,
    settled: bool,
}

impl Offered<'_> {
    /// It goes on to be published: the lane speaks for it from now on.
    fn goes_on(mut self) -> Verdict {
        self.settled = true;
        Verdict::Publish { digest: self.digest, remembered: true }
    }

    /// It is refused, and will be again without another look.
    fn refused(mut self, code: ReasonCode, detail: &dyn core::fmt::Display) -> Verdict {
        self.settled = true;
        lock(self.memory).refuse(&self.digest, code);
        refuse(code, detail)
    }
}

impl Drop for Offered<'_> {
    fn drop(&mut self) {
        if !self.settled {
            lock(self.memory).abandon(&self.digest, self.id);
        }
    }
}

fn refuse(code: ReasonCode, detail: &dyn core::fmt::Display) -> Verdict {
    Verdict::Refuse(crate::decision::Reason { code, detail: detail.to_string() })
}

/// A panic elsewhere leaves the memory usable: each of its steps is whole.
pub(crate) fn lock(memory: &Mutex<Memory>) -> std::sync::MutexGuard<'_, Memory> {
    memory.lock().unwrap_or_else(PoisonError::into_inner)
}
