//! Takes messages from a source as fast as they may be under way, and opens the source again whenever it is lost.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::{Message, Permits};
use crate::decision::Backoff;
use crate::queue::{Deliveries, QueueName, Source, SourceError};

/// No more are taken at a time: a burst on one queue does not make another wait for all of it.
const LARGEST_BATCH: usize = 32;

/// How long it waits for room for more than one message.
const MOMENT: Duration = Duration::from_millis(200);

/// How long after being told that another gateway reads from a queue it is asked again, about: the other one may have gone.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// A source that went on for so long works: what is wrong with it later is another matter.
const WORKS: Duration = Duration::from_secs(10);

/// A pump that runs until it is dropped. Messages that it has taken and not handed on go back to their queue then.
pub(super) struct Pump {
    task: JoinHandle<()>,
    rest: Arc<Notify>,
}

impl Pump {
    pub(super) fn start(
        source: Arc<dyn Source>,
        queue: QueueName,
        prefetch: usize,
        window: Arc<Semaphore>,
        in_flight: Arc<Semaphore>,
        messages: mpsc::UnboundedSender<Message>,
    ) -> Self {
        let rest = Arc::new(Notify::new());
        let resting = Arc::clone(&rest);
        let task = tokio::spawn(async move {
            let mut random = fastrand::Rng::new();
            let mut failures: u32 = 0;
            let mut was_taken = false;
            loop {
                // however many of the last consumer's are still under way: this one may last for months
                let error = match source.open(&queue, prefetch).await {
                    Ok(mut deliveries) => {
                        was_taken = false;
                        let since = Instant::now();
                        let lost = tokio::select! {
                            lost = take(deliveries.as_mut(), prefetch, &window, &in_flight, &messages) => lost,
                            () = resting.notified() => return std::future::pending().await,
                        };
                        if since.elapsed() >= WORKS {
                            failures = 0;
                        }
                        if messages.send(Message::SourceLost(matches!(lost, SourceError::NoQueue))).is_err() {
                            return;
                        }
                        lost
                    }
                    Err(error) => error,
                };
                failures = failures.saturating_add(1);
                match error {
                    SourceError::Taken => {
                        // one of several gateways, or a stranger whom no report will reach the experimenter through
                        if !std::mem::replace(&mut was_taken, true) {
                            tracing::info!(%queue, "somebody else reads from it: another gateway, unless there is none");
                        }
                        failures = 0;
                        tokio::time::sleep(ASK_AGAIN.mul_f64(random.f64() + 0.5)).await;
                        continue;
                    }
                    // whoever looks for queues finds out whether it is gone for good
                    SourceError::NoQueue => tracing::debug!(%queue, "the queue is not there"),
                    error => tracing::warn!(%queue, %error, "the source is lost"),
                }
                tokio::time::sleep(Backoff::default().wait(failures, &mut random)).await;
            }
        });
        Self { task, rest }
    }

    /// Takes no more messages, and stays who reads from the queue until it is dropped.
    pub(super) fn rest(&self) {
        self.rest.notify_one();
    }
}

impl Drop for Pump {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Hands on what comes, until the source is lost.
async fn take(
    deliveries: &mut dyn Deliveries,
    prefetch: usize,
    window: &Arc<Semaphore>,
    in_flight: &Arc<Semaphore>,
    messages: &mpsc::UnboundedSender<Message>,
) -> SourceError {
    const CLOSED: &str = "the route has ended";
    loop {
        let Some(mut of_route) = room(window, prefetch).await else {
            return SourceError::Unavailable(CLOSED.to_owned());
        };
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
///
/// With more messages than there is room for, room comes one message at a time; to take as many as soon would wake every part
/// of the gateway, and lock a directory, for each. So it waits a moment for more: three quarters of the window are under way
/// then, and what comes next would wait behind them.
async fn room(window: &Arc<Semaphore>, prefetch: usize) -> Option<OwnedSemaphorePermit> {
    let worthwhile = u32::try_from((prefetch / 4).clamp(1, LARGEST_BATCH)).unwrap_or(1);
    let many = timeout(MOMENT, Arc::clone(window).acquire_many_owned(worthwhile)).await;
    let mut room = match many {
        Ok(room) => room.ok()?,
        Err(_) => Arc::clone(window).acquire_owned().await.ok()?,
    };
    let more = window.available_permits().min(LARGEST_BATCH.saturating_sub(room.num_permits()));
    if let Ok(more) = Arc::clone(window).try_acquire_many_owned(u32::try_from(more).unwrap_or(0)) {
        room.merge(more);
    }
    Some(room)
}
