//! The reject queue on a broker: the gateway's own, durable, bounded by the broker in count, bytes and age.
//!
//! Not dead-lettering: `reject(requeue = false)` drops a message unless somebody has set up a policy.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use lapin::BasicProperties;
use lapin::options::QueueDeclareOptions;
use lapin::types::{AMQPValue, FieldTable, LongString};
use tokio::time::timeout;

use super::sink::seconds;
use super::{ACCESS_REFUSED, Broker, code_of, declare_passively};
use crate::config::RejectsConfig;
use crate::decision::{Published, Reason};
use crate::queue::{QueueName, REJECT_REFUSED};

/// The most bytes of a message's own headers that go along. All properties have to fit into one frame, of 128 KiB unless the
/// broker says otherwise, together with what the gateway adds: a broker closes the connection on one that is larger.
const MOST_HEADER_BYTES: usize = 64 << 10;
/// How deep they may be nested: to copy them takes stack.
const DEEPEST_HEADER: usize = 32;
/// A broker copies a message to the queues that these headers name, by the rights of whoever publishes it. Put aside with them, it
/// would come back to its queue for ever, and reach others that its sender may not write to.
const COPIES_TO: [&str; 2] = ["CC", "BCC"];

pub(super) struct Queue {
    bounds: RejectsConfig,
    /// Whether it was made sure of. If it is deleted later, the broker returns what is published to it.
    declared: AtomicBool,
}

impl Queue {
    pub(super) fn new(bounds: &RejectsConfig) -> Self {
        Self { bounds: bounds.clone(), declared: AtomicBool::new(false) }
    }

    /// Publishes a message as it came, with what it came with and the reason, and waits for the broker's word on it.
    pub(super) async fn publish(
        &self,
        broker: &Broker,
        queue: &QueueName,
        body: &[u8],
        properties: &BasicProperties,
        reason: &Reason,
    ) -> Published {
        if !self.declared.load(Ordering::Acquire)
            && let Err(outcome) = self.declare(broker).await
        {
            return outcome;
        }
        let properties = with_reason(properties, queue, reason);
        let outcome = broker.0.publisher.publish(&self.bounds.queue, body, properties).await;
        match outcome {
            Published::Returned => self.declared.store(false, Ordering::Release),
            Published::Misconfigured(_) => {
                tracing::warn!(queue = self.bounds.queue, "the reject queue is there, and it may not be written to");
                return REJECT_REFUSED;
            }
            _ => {}
        }
        outcome
    }

    /// # Errors
    /// How a publish would end now.
    async fn declare(&self, broker: &Broker) -> Result<(), Published> {
        let live = broker.0.publisher.live().map_err(|_| Published::Unavailable)?;
        if live.is_blocked() {
            return Err(Published::Unavailable);
        }
        let name = self.bounds.queue.as_str();
        let declared = timeout(broker.0.timeout, async {
            // one that exists stays as it is: somebody may have bounded it by a policy
            if declare_passively(&live.create_channel().await?, name).await.is_err() {
                let channel = live.create_channel().await?;
                let durable = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
                channel.queue_declare(name.into(), durable, self.arguments()).await?;
                channel.close(200, "done".into()).await?;
            }
            Ok::<(), lapin::Error>(())
        });
        match declared.await {
            Ok(Ok(())) => {
                self.declared.store(true, Ordering::Release);
                Ok(())
            }
            Ok(Err(error)) => {
                tracing::warn!(queue = name, %error, "the reject queue cannot be made");
                Err(if code_of(&error) == Some(ACCESS_REFUSED) { REJECT_REFUSED } else { Published::Unavailable })
            }
            Err(_) => {
                live.give_up();
                Err(Published::Unavailable)
            }
        }
    }

    fn arguments(&self) -> FieldTable {
        let number = |value: u64| AMQPValue::LongLongInt(i64::try_from(value).unwrap_or(i64::MAX));
        let mut arguments = FieldTable::default();
        arguments.insert("x-max-length".into(), number(self.bounds.max_count));
        arguments.insert("x-max-length-bytes".into(), number(self.bounds.max_bytes));
        arguments.insert("x-message-ttl".into(), number(self.bounds.max_age_seconds.saturating_mul(1000)));
        arguments.insert("x-overflow".into(), AMQPValue::LongString(LongString::from("drop-head")));
        arguments
    }
}

/// Whether a message's own headers are few and flat enough. By levels and not by recursion: whoever made them chose the depth.
fn may_go_along(headers: &FieldTable) -> bool {
    /// Of a value: its type, and eight bytes of a number, or the length of a text.
    const FIXED: usize = 9;
    let names =
        |table: &FieldTable| table.inner().keys().map(|name| name.as_str().len().saturating_add(1)).sum::<usize>();
    let mut bytes = names(headers);
    let mut level: Vec<&AMQPValue> = headers.inner().values().collect();
    for _ in 0..DEEPEST_HEADER {
        if level.is_empty() {
            return bytes <= MOST_HEADER_BYTES;
        }
        let mut next = Vec::new();
        for value in level {
            let variable = match value {
                AMQPValue::ShortString(text) => text.as_str().len(),
                AMQPValue::LongString(text) => text.len(),
                AMQPValue::ByteArray(array) => array.len(),
                AMQPValue::FieldArray(array) => {
                    next.extend(array.as_slice());
                    0
                }
                AMQPValue::FieldTable(table) => {
                    next.extend(table.inner().values());
                    names(table)
                }
                _ => 0,
            };
            bytes = bytes.saturating_add(variable).saturating_add(FIXED);
        }
        level = next;
    }
    false
}

fn with_reason(properties: &BasicProperties, queue: &QueueName, reason: &Reason) -> BasicProperties {
    let own = properties.headers().as_ref().filter(|headers| may_go_along(headers)).into_iter().flatten();
    let own = own.filter(|(name, _)| !COPIES_TO.contains(&name.as_str()));
    let own: BTreeMap<_, _> = own.map(|(name, value)| (name.clone(), value.clone())).collect();
    let mut headers = FieldTable::from(own);
    for (name, value) in [
        ("x-studioml-reason", reason.code.as_str()),
        ("x-studioml-detail", &reason.detail),
        ("x-studioml-source-queue", queue.as_str()),
    ] {
        headers.insert(name.into(), AMQPValue::LongString(LongString::from(value)));
    }
    headers.insert("x-studioml-rejected-at".into(), AMQPValue::Timestamp(seconds(SystemTime::now())));
    // an expiration of its own would shorten its stay; a user id that is not ours would be refused
    let mut kept = BasicProperties::default().with_headers(headers).with_delivery_mode(2);
    if let Some(content_type) = properties.content_type() {
        kept = kept.with_content_type(content_type.clone());
    }
    if let Some(encoding) = properties.content_encoding() {
        kept = kept.with_content_encoding(encoding.clone());
    }
    if let Some(app_id) = properties.app_id() {
        kept = kept.with_app_id(app_id.clone());
    }
    if let Some(id) = properties.message_id() {
        kept = kept.with_message_id(id.clone());
    }
    kept
}

#[cfg(test)]
mod tests {
    use lapin::types::FieldArray;

    use super::*;
    use crate::decision::ReasonCode;

    /// How many headers a message has in the reject queue that had this one.
    fn headers_with(value: AMQPValue) -> usize {
        let mut own = FieldTable::default();
        own.insert("own".into(), value);
        let reason = Reason::new(ReasonCode::Malformed, &"text");
        let properties = BasicProperties::default().with_headers(own);
        let rejected = with_reason(&properties, &QueueName::new("rmq_one").unwrap(), &reason);
        rejected.headers().as_ref().unwrap().inner().len()
    }

    #[test]
    fn headers_that_leave_no_room_for_the_reason_do_not_go_along() {
        let text = |length: usize| AMQPValue::LongString(LongString::from("h".repeat(length)));
        assert_eq!(headers_with(text(60_000)), 5);
        assert_eq!(headers_with(text(66_000)), 4);
        assert_eq!(headers_with(AMQPValue::FieldArray(FieldArray::from(vec![text(30_000), text(40_000)]))), 4);
    }

    #[test]
    fn headers_that_are_nested_without_end_do_not_go_along() {
        let nested = |depth: usize| {
            (0..depth).fold(AMQPValue::Void, |inner, _| AMQPValue::FieldArray(FieldArray::from(vec![inner])))
        };
        assert_eq!(headers_with(nested(10)), 5);
        assert_eq!(headers_with(nested(1000)), 4);
    }
}
