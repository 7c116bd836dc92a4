//! Publishing with confirms: a pool of channels, one message in flight on each.
//!
//! More than one in flight and lapin attaches the return of a message that no queue took to the confirm of another: a message
//! would be acknowledged that nobody has. One on each of many channels is as fast, and sound.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::{BasicProperties, Channel, Confirmation};
use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, sleep_until};

use super::link::{Link, Live};
use super::{ACCESS_REFUSED, NOT_FOUND, PRECONDITION_FAILED, code_of};
use crate::decision::Published;
use crate::queue::{REFUSED, SourceError};

/// Publishes to queues by name, through the default exchange.
pub(super) struct Publisher {
    link: Link,
    /// As many as there may be channels.
    turns: Semaphore,
    idle: Mutex<Vec<IdleChannel>>,
    patience: Duration,
}

/// A channel that waits for a message, and the connection that it belongs to.
struct IdleChannel {
    channel: Channel,
    of: Arc<Live>,
}

impl Publisher {
    pub(super) fn new(link: Link, channels: usize, patience: Duration) -> Self {
        Self { link, turns: Semaphore::new(channels), idle: Mutex::default(), patience }
    }

    /// Whether there is a connection that may be written to, as it changes.
    pub(super) fn usable(&self) -> watch::Receiver<bool> {
        self.link.usable()
    }

    /// The connection, for what is to be declared.
    pub(super) fn live(&self) -> Result<Arc<Live>, SourceError> {
        self.link.live()
    }

    /// Publishes a message to a queue, and waits for the broker's word on it.
    pub(super) async fn publish(&self, queue: &str, body: &[u8], properties: BasicProperties) -> Published {
        let Ok(_turn) = self.turns.acquire().await else { return Published::Unavailable };
        let Ok(live) = self.link.live() else { return Published::Unavailable };
        if live.is_blocked() {
            return Published::Unavailable; // nothing would be written
        }
        let channel = match within(self.patience, &live, self.channel(&live)).await {
            Some(Ok(channel)) => channel,
            Some(Err(_)) | None => return Published::Unavailable,
        };
        let publish = async {
            let mandatory = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
            let confirm = channel.basic_publish("".into(), queue.into(), mandatory, body, properties).await?;
            confirm.await
        };
        let outcome = match within(self.patience, &live, publish).await {
            Some(Ok(Confirmation::Ack(None))) => Published::Confirmed,
            Some(Ok(Confirmation::Ack(Some(_)))) => Published::Returned,
            Some(Ok(Confirmation::Nack(_))) => Published::Nacked,
            // the channel does not confirm: nothing is known, and nothing is ever going to be
            Some(Ok(Confirmation::NotRequested)) => {
                live.give_up();
                return Published::Unknown;
            }
            Some(Err(error)) => {
                return match code_of(&error) {
                    Some(ACCESS_REFUSED) => REFUSED,
                    Some(NOT_FOUND) => Published::Returned,
                    // "message size ... is larger than ...": however often it is tried
                    Some(PRECONDITION_FAILED) if error.to_string().contains("larger than") => Published::TooLarge,
                    _ => Published::Unknown,
                };
            }
            None => return Published::Unknown,
        };
        self.idle().push(IdleChannel { channel, of: live });
        outcome
    }

    /// A channel of this connection that confirms.
    async fn channel(&self, live: &Arc<Live>) -> Result<Channel, lapin::Error> {
        while let Some(IdleChannel { channel, of }) = self.take_idle() {
            if Arc::ptr_eq(&of, live) && channel.status().connected() {
                return Ok(channel);
            }
        }
        let channel = live.create_channel().await?;
        channel.confirm_select(ConfirmSelectOptions::default()).await?;
        Ok(channel)
    }

    fn take_idle(&self) -> Option<IdleChannel> {
        self.idle().pop()
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<IdleChannel>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waits for an answer of the broker. `None` if it takes too long, and the connection is given up then. While the broker has
/// an alarm it cannot answer: that is not held against it, and whoever waits has a limit of its own.
async fn within<T>(patience: Duration, live: &Live, answer: impl Future<Output = T>) -> Option<T> {
    tokio::pin!(answer);
    loop {
        tokio::select! {
            answer = &mut answer => return Some(answer),
            () = sleep_until(Instant::now() + patience) => {
                if !live.is_blocked() {
                    live.give_up();
                    return None;
                }
            }
        }
    }
}
