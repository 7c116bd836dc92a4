//! The reject queue on a broker: the gateway's own, durable, bounded by the broker in count, bytes and age.
//!
//! Not dead-lettering: `reject(requeue = false)` drops a message unless somebody has set up a policy.

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

fn with_reason(properties: &BasicProperties, queue: &QueueName, reason: &Reason) -> BasicProperties {
    let mut headers = properties.headers().clone().unwrap_or_default();
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
