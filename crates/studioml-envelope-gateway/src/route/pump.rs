//! Takes messages from a source as fast as they may be under way, and opens the source again whenever it is lost.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinHandle;

use super::{Message, Permits};
use crate::decision::Backoff;
use crate::queue::{Deliveries, QueueName, Source, SourceError};

/// No more are taken at a time: a burst on one queue does not make another wait for all of it.
const LARGEST_BATCH: usize = 32;

/// A pump that runs until it is dropped. Messages that it has taken and not handed on go back to their queue then.
pub(super) struct Pump(JoinHandle<()>);

impl Pump {
    pub(super) fn start(
        source: Arc<dyn Source>,
        queue: QueueName,
        window: Arc<Semaphore>,
        in_flight: Arc<Semaphore>,
        messages: mpsc::UnboundedSender<Message>,
    ) -> Self {
        Self(tokio::spawn(async move {
            let mut random = fastrand::Rng::new();
            let mut failures: u32 = 0;
            loop {
                let error = match source.open(&queue, window.available_permits().max(1)).await {
                    Ok(mut deliveries) => {
                        failures = 0;
                        let lost = take(deliveries.as_mut(), &window, &in_flight, &messages).await;
                        if messages.send(Message::SourceLost).is_err() {
                            return;
                        }
                        lost
                    }
                    Err(error) => error,
                };
                failures = failures.saturating_add(1);
                match error {
                    // whoever looks for queues finds out whether it is gone for good
                    SourceError::NoQueue => tracing::debug!(%queue, "the queue is not there"),
                    error => tracing::warn!(%queue, %error, "the source is lost"),
                }
                tokio::time::sleep(Backoff::default().wait(failures, &mut random)).await;
            }
        }))
    }
}

impl Drop for Pump {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Hands on what comes, until the source is lost.
async fn take(
    deliveries: &mut dyn Deliveries,
    window: &Arc<Semaphore>,
    in_flight: &Arc<Semaphore>,
    messages: &mpsc::UnboundedSender<Message>,
) -> SourceError {
    const CLOSED: &str = "the route has ended";
    loop {
        let Some(mut of_route) = room(window).await else { return SourceError::Unavailable(CLOSED.to_owned()) };
        let taken = match deliveries.next(of_route.num_permits()).await {
            Ok(taken) => taken,
            Err(error) => return error,
        };
        for delivery in taken {
            let of_all = Arc::clone(in_flight).acquire_owned().await;
            let (Some(of_route), Ok(of_all)) = (of_route.split(1), of_all) else {
                return SourceError::Unavailable(CLOSED.to_owned());
            };
            let permits = Permits { _of_route: of_route, _of_all: of_all };
            if messages.send(Message::Delivered(delivery, permits)).is_err() {
                return SourceError::Unavailable(CLOSED.to_owned());
            }
        }
    }
}

/// Waits for room for one message, and takes what there is beyond it.
async fn room(window: &Arc<Semaphore>) -> Option<OwnedSemaphorePermit> {
    let mut room = Arc::clone(window).acquire_owned().await.ok()?;
    let more = window.available_permits().min(LARGEST_BATCH - 1);
    if let Ok(more) = Arc::clone(window).try_acquire_many_owned(u32::try_from(more).unwrap_or(0)) {
        room.merge(more);
    }
    Some(room)
}
