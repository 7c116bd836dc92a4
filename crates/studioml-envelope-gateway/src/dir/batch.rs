//! Work on a disk that is asked for at about the same time is done together, on one thread where it may block: one hand-over
//! between threads for many messages, and one sync of a folder.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::oneshot;

/// The most that is done together. One thread does it one after another, and others take what comes meanwhile.
const LARGEST: usize = 32;

/// Work of one kind that waits to be done, with whoever waits for its outcome.
pub(super) struct Batches<I, O>(Arc<Mutex<Vec<Waiting<I, O>>>>);

struct Waiting<I, O> {
    item: I,
    outcome: oneshot::Sender<O>,
}

impl<I, O> Default for Batches<I, O> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<I: Send + 'static, O: Send + 'static> Batches<I, O> {
    /// Has `item` done together with others, by the `work` of whoever came first, which gives an outcome for each in their
    /// order. `None` if it panicked, or the runtime ends.
    ///
    /// Once begun it is done even if nobody waits for it any more.
    pub(super) async fn submit(&self, item: I, work: impl FnOnce(Vec<I>) -> Vec<O> + Send + 'static) -> Option<O> {
        let (outcome, told) = oneshot::channel();
        let is_first = {
            let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            waiting.push(Waiting { item, outcome });
            // whoever comes when a batch is full begins another
            waiting.len() % LARGEST == 1
        };
        if is_first {
            let waiting = Arc::clone(&self.0);
            tokio::spawn(async move {
                tokio::task::yield_now().await; // whoever is about to ask does so first
                let batch: Vec<Waiting<I, O>> = {
                    let mut waiting = waiting.lock().unwrap_or_else(PoisonError::into_inner);
                    let count = waiting.len().min(LARGEST);
                    waiting.drain(..count).collect()
                };
                if batch.is_empty() {
                    return;
                }
                let (items, outcomes): (Vec<I>, Vec<_>) = batch.into_iter().map(|one| (one.item, one.outcome)).unzip();
                let Ok(done) = tokio::task::spawn_blocking(move || work(items)).await else { return };
                for (outcome, done) in outcomes.into_iter().zip(done) {
                    let _ = outcome.send(done); // nobody waits for it any more
                }
            });
        }
        told.await.ok()
    }
}
