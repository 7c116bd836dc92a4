//! An AMQP queue as a source.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures_util::{FutureExt, StreamExt};
use lapin::options::{BasicAckOptions, BasicConsumeOptions, BasicNackOptions, BasicQosOptions};
use lapin::types::FieldTable;
use lapin::{Acker, BasicProperties, Channel, Consumer};
use tokio::sync::watch;
use tokio::time::timeout;

use super::link::{APART, Live, SOON};
use super::{ACCESS_REFUSED, Broker, code_of, declare_passively, is_no_queue, unavailable};
use crate::decision::{Published, Reason};
use crate::queue::{Claim, Deliveries, Delivery, QueueName, Queues, Source, SourceError};

/// How long a queue is told of, and kept apart, that broke its connection: longer than the longest wait before the next try.
const BREAKING_FOR: Duration = Duration::from_secs(90);

#[async_trait]
impl Source for Broker {
    async fn queues(&self) -> Result<Queues, SourceError> {
        self.0.discovery.queues().await
    }

    async fn open(&self, queue: &QueueName, window: usize) -> Result<Box<dyn Deliveries>, SourceError> {
        let is_breaking = self.breaking().contains_key(queue);
        let apart = is_breaking || !self.0.consuming.is_to_be_shared();
        let live = if apart { self.0.consuming.another().await? } else { self.0.consuming.live()? };
        // one at a time: what stands before the message that breaks the connection is acknowledged before that comes
        let prefetch = if is_breaking { 1 } else { u16::try_from(window).unwrap_or(u16::MAX) };
        let opened = timeout(self.0.timeout, async {
            let channel = live.create_channel().await?;
            // asked in a way that does not close the channel: who waits for a turn asks every second
            if queue.is_response() && declare_passively(&channel, queue.as_str()).await?.consumer_count() > 0 {
                return Ok(None);
            }
            // first, or the broker sends everything that it has
            channel.basic_qos(prefetch, BasicQosOptions::default()).await?;
            let options = BasicConsumeOptions { exclusive: queue.is_response(), ..BasicConsumeOptions::default() };
            let consumer =
                channel.basic_consume(queue.as_str().into(), "".into(), options, FieldTable::default()).await?;
            Ok(Some((channel, consumer)))
        });
        match opened.await {
            Ok(Ok(Some((channel, consumer)))) => Ok(Box::new(Messages {
                broker: self.clone(),
                queue: queue.clone(),
                apart_since: apart.then(Instant::now),
                held_open: Arc::new(HeldOpen { channel, _connection: live }),
                consumer,
            })),
            Ok(Ok(None)) => Err(SourceError::Taken),
            Ok(Err(error)) if is_no_queue(&error) => Err(SourceError::NoQueue),
            Ok(Err(error)) if is_taken(&error) => Err(SourceError::Taken),
            Ok(Err(error)) => Err(unavailable(&error)),
            Err(_) => {
                live.give_up();
                Err(SourceError::Unavailable("it does not answer".to_owned()))
            }
        }
    }

    fn connected(&self) -> watch::Receiver<bool> {
        self.0.consuming.usable()
    }

    fn obstacles(&self) -> Vec<String> {
        let told =
            |queue| format!("queue {queue} breaks its connection, as a message does whose properties cannot be read");
        self.breaking().keys().map(told).collect()
    }
}

impl Broker {
    /// The queues that have lately broken a connection of their own.
    fn breaking(&self) -> MutexGuard<'_, BTreeMap<QueueName, Instant>> {
        let mut breaking = self.0.breaking.lock().unwrap_or_else(PoisonError::into_inner);
        breaking.retain(|_, at| at.elapsed() < BREAKING_FOR);
        breaking
    }
}

/// Whether a queue has another consumer, and either does not share it. The code alone also says that rights are missing.
fn is_taken(error: &lapin::Error) -> bool {
    code_of(error) == Some(ACCESS_REFUSED) && error.to_string().contains("exclusive use")
}

/// The messages of one queue. Dropping it cancels the consumer; the channel stays for as long as a message of it is held.
struct Messages {
    broker: Broker,
    queue: QueueName,
    /// Since when it has a connection of its own, if it has.
    apart_since: Option<Instant>,
    held_open: Arc<HeldOpen>,
    consumer: Consumer,
}

/// A channel closes with its last owner, and with it everything that was delivered on it. So does a connection of its own.
struct HeldOpen {
    channel: Channel,
    _connection: Arc<Live>,
}

#[async_trait]
impl Deliveries for Messages {
    async fn next(&mut self, room: usize) -> Result<Vec<Delivery>, SourceError> {
        // a connection takes threads and buffers: each queue has its own no longer than it must
        let apart_for = self.apart_since.map_or(Duration::MAX, |since| APART.saturating_sub(since.elapsed()));
        let first = if apart_for.is_zero() { None } else { timeout(apart_for, self.consumer.next()).await.ok() };
        let Some(first) = first else { return Err(self.end_apart().await) };
        let mut taken = vec![self.one(first)?];
        while taken.len() < room {
            // an error that comes now comes again
            let Some(next) = self.consumer.next().now_or_never() else { break };
            match self.one(next) {
                Ok(delivery) => taken.push(delivery),
                Err(error) => return Err(error),
            }
        }
        Ok(taken)
    }
}

impl Messages {
    /// Closes the channel, so that everything that was delivered on it is back in the queue before another consumer reads from
    /// there: what it had not handed on yet would come after what is younger.
    async fn end_apart(&self) -> SourceError {
        let closed = self.held_open.channel.close(200, "done".into());
        let _ = timeout(self.broker.0.timeout, closed).await; // a broker that does not answer loses the connection soon
        SourceError::Unavailable("it is to share a connection again".to_owned())
    }

    fn one(&self, next: Option<Result<lapin::message::Delivery, lapin::Error>>) -> Result<Delivery, SourceError> {
        match next {
            Some(Ok(message)) => {
                let redelivered = message.redelivered;
                let claim = Arc::new(MessageClaim(Arc::new(Held {
                    broker: self.broker.clone(),
                    queue: self.queue.clone(),
                    body: message.data,
                    properties: message.properties,
                    acker: message.acker,
                    _held_open: Arc::clone(&self.held_open),
                })));
                Ok(Delivery { claim, redelivered, file_name: None })
            }
            Some(Err(error)) => {
                if self.apart_since.is_some_and(|since| since.elapsed() < SOON) {
                    self.broker.breaking().insert(self.queue.clone(), Instant::now());
                }
                Err(unavailable(&error))
            }
            // the broker cancels a consumer whose queue was deleted
            None => Err(SourceError::NoQueue),
        }
    }
}

struct MessageClaim(Arc<Held>);

struct Held {
    broker: Broker,
    queue: QueueName,
    body: Vec<u8>,
    properties: BasicProperties,
    acker: Acker,
    _held_open: Arc<HeldOpen>,
}

#[async_trait]
impl Claim for MessageClaim {
    fn len(&self) -> u64 {
        self.0.body.len() as u64
    }

    fn read(&self, limit: usize) -> io::Result<Vec<u8>> {
        let end = self.0.body.len().min(limit.saturating_add(1));
        Ok(self.0.body.get(..end).unwrap_or_default().to_vec())
    }

    fn is_live(&self) -> bool {
        self.0.acker.usable()
    }

    async fn acknowledge(&self) -> bool {
        let told = timeout(self.0.broker.0.timeout, self.0.acker.ack(BasicAckOptions::default())).await;
        // `Ok(false)`: the channel was closed before
        matches!(told, Ok(Ok(true)))
    }

    async fn release(&self) {
        self.0.hand_back(self.0.broker.0.timeout).await;
    }

    async fn reject(&self, reason: &Reason) -> Published {
        let Held { broker, queue, body, properties, .. } = self.0.as_ref();
        broker.0.rejects.publish(broker, queue, body, properties, reason).await
    }
}

impl Held {
    async fn hand_back(&self, patience: Duration) {
        let back = BasicNackOptions { requeue: true, ..BasicNackOptions::default() };
        let _ = timeout(patience, self.acker.nack(back)).await; // a lost connection hands everything back
    }
}

impl Drop for MessageClaim {
    fn drop(&mut self) {
        if self.0.acker.usable()
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            let held = Arc::clone(&self.0);
            runtime.spawn(async move { held.hand_back(held.broker.0.timeout).await });
        }
    }
}
