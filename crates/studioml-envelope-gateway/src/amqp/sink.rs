//! An AMQP broker as a sink. At the inner side queues are the gateway's to make; at the outer side they are the
//! experimenters', and are only looked at: to declare one otherwise than they did would be an error to both.

use std::collections::HashMap;
use std::sync::PoisonError;
use std::time::{Duration, Instant, SystemTime};

use async_trait::async_trait;
use lapin::options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions, QueueDeleteOptions};
use lapin::types::{AMQPValue, FieldTable, LongString};
use lapin::{BasicProperties, Channel, ExchangeKind};
use tokio::sync::watch;
use tokio::time::timeout;

use super::{ACCESS_REFUSED, Broker, EXCHANGE, code_of, declare_passively, link::Live, unavailable};
use crate::decision::Published;
use crate::metrics::Side;
use crate::queue::{Outgoing, QueueName, REFUSED, Sink, SourceError};

/// How long it is taken on trust that an inner queue exists: somebody may delete it, or a broker come back without it.
const MADE_SURE_FOR: Duration = Duration::from_secs(15);
/// Survives a restart of the broker.
const PERSISTENT: u8 = 2;

#[async_trait]
impl Sink for Broker {
    async fn exists(&self, queue: &QueueName) -> Result<bool, SourceError> {
        self.queue_exists(queue.as_str()).await
    }

    fn makes_queues(&self) -> bool {
        self.0.side == Side::inner
    }

    async fn prepare(&self, queue: &QueueName) -> Result<(), Published> {
        if !self.makes_queues() {
            return match self.queue_exists(queue.as_str()).await {
                Ok(true) => Ok(()),
                Ok(false) => Err(Published::Returned),
                Err(_) => Err(Published::Unavailable),
            };
        }
        if self.prepared().get(queue).is_some_and(|at| at.elapsed() < MADE_SURE_FOR) {
            return Ok(());
        }
        let live = self.0.publisher.live().map_err(|_| Published::Unavailable)?;
        if live.is_blocked() {
            return Err(Published::Unavailable);
        }
        match timeout(self.0.timeout, make_queue(&live, queue)).await {
            Ok(Ok(())) => {
                self.prepared().insert(queue.clone(), Instant::now());
                Ok(())
            }
            Ok(Err(error)) => {
                tracing::warn!(%queue, %error, "an inner queue cannot be made");
                Err(if code_of(&error) == Some(ACCESS_REFUSED) { REFUSED } else { Published::Unavailable })
            }
            Err(_) => {
                live.give_up();
                Err(Published::Unavailable)
            }
        }
    }

    async fn publish(&self, queue: &QueueName, message: &Outgoing) -> Published {
        let outcome = self.0.publisher.publish(queue.as_str(), &message.body, properties(self.0.side, message)).await;
        if outcome == Published::Returned {
            self.prepared().remove(queue);
        }
        outcome
    }

    async fn remove(&self, queue: &QueueName) -> Result<(), SourceError> {
        self.prepared().remove(queue);
        let live = self.0.consuming.live()?;
        let removed = timeout(self.0.timeout, async {
            let channel = live.create_channel().await?;
            // deleting what does not exist is no error to RabbitMQ
            channel.queue_delete(queue.as_str().into(), QueueDeleteOptions::default()).await?;
            channel.close(200, "done".into()).await
        });
        match removed.await {
            Ok(removed) => removed.map_err(|error| unavailable(&error)),
            Err(_) => {
                live.give_up();
                Err(SourceError::Unavailable("it does not answer".to_owned()))
            }
        }
    }

    fn connected(&self) -> watch::Receiver<bool> {
        self.0.publisher.usable()
    }
}

impl Broker {
    fn prepared(&self) -> std::sync::MutexGuard<'_, HashMap<QueueName, Instant>> {
        self.0.prepared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes a durable queue, bound as runners look for it. What exists already stays as it is.
async fn make_queue(live: &Live, queue: &QueueName) -> Result<(), lapin::Error> {
    let name = queue.as_str();
    if declare_passively(&live.create_channel().await?, name).await.is_err() {
        let channel = live.create_channel().await?;
        let durable = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
        channel.queue_declare(name.into(), durable, FieldTable::default()).await?;
        channel.close(200, "done".into()).await?;
    }
    // somebody may have declared the exchange otherwise, which serves nevertheless
    let declare = async |channel: &Channel, passive| {
        let topic = ExchangeDeclareOptions { passive, durable: true, auto_delete: true, ..Default::default() };
        channel.exchange_declare(EXCHANGE.into(), ExchangeKind::Topic, topic, FieldTable::default()).await
    };
    let mut channel = live.create_channel().await?;
    if declare(&channel, true).await.is_err() {
        channel = live.create_channel().await?;
        declare(&channel, false).await?;
    }
    let key = format!("StudioML.{name}");
    let options = QueueBindOptions::default();
    channel.queue_bind(name.into(), EXCHANGE.into(), key.as_str().into(), options, FieldTable::default()).await?;
    channel.close(200, "done".into()).await
}

/// What a message carries beside its body.
fn properties(side: Side, message: &Outgoing) -> BasicProperties {
    let properties = BasicProperties::default()
        .with_app_id("studioml".into())
        .with_delivery_mode(PERSISTENT)
        .with_message_id(message.message_id.as_str().into());
    match side {
        // a report: the deployed client takes what is not JSON for a payload
        Side::outer => properties.with_content_type("text/plain".into()),
        Side::inner => {
            let mut headers = FieldTable::default();
            let mut header = |name: &str, value: &str| {
                headers.insert(name.into(), AMQPValue::LongString(LongString::from(value)));
            };
            header("x-studioml-source-queue", message.source_queue.as_str());
            if let Some(signer) = &message.signer {
                header("x-studioml-signer", &signer.to_string());
            }
            let time = seconds(message.taken_at);
            headers.insert("x-studioml-time".into(), AMQPValue::Timestamp(time));
            properties.with_content_type("application/json".into()).with_headers(headers).with_timestamp(time)
        }
    }
}

/// Seconds since 1970-01-01 00:00 UTC.
pub(super) fn seconds(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs()
}
