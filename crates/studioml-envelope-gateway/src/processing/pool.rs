//! A fixed number of threads, and turns by lane: whoever has many jobs waits behind whoever has few.

use std::collections::{HashMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;

type Work = Box<dyn FnOnce() + Send>;

/// Which lane a job belongs to.
pub(crate) type LaneId = u64;

/// Threads that compute.
pub(crate) struct Pool {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

/// The jobs that wait. A lane stands in `turns` exactly once while it has any.
#[derive(Default)]
struct Waiting {
    turns: VecDeque<LaneId>,
    jobs: HashMap<LaneId, VecDeque<Work>>,
    closed: bool,
}

impl Pool {
    /// Starts the threads.
    ///
    /// # Errors
    /// [`std::io::Error`] if the system starts no more threads.
    pub(crate) fn start(threads: usize) -> std::io::Result<Self> {
        let shared = Arc::<Shared>::default();
        let spawn = |number: usize| {
            let shared = Arc::clone(&shared);
            std::thread::Builder::new().name(format!("crypto-{number}")).spawn(move || shared.work())
        };
        let threads = (0..threads.max(1)).map(spawn).collect::<Result<_, _>>()?;
        Ok(Self { shared, threads })
    }

    /// Queues a job behind the others of its lane.
    pub(crate) fn submit(&self, lane: LaneId, work: impl FnOnce() + Send + 'static) {
        let mut waiting = self.shared.lock();
        let jobs = waiting.jobs.entry(lane).or_default();
        jobs.push_back(Box::new(work));
        if jobs.len() == 1 {
            waiting.turns.push_back(lane);
        }
        drop(waiting);
        self.shared.changed.notify_one();
    }
}

impl Shared {
    fn work(&self) {
        while let Some(job) = self.next() {
            // a job reports its own end, by being dropped if need be; the thread goes on
            if catch_unwind(AssertUnwindSafe(job)).is_err() {
                tracing::error!("a message made the gateway panic; it is tried again");
            }
        }
    }

    /// The next job of the lane whose turn it is. `None` when the pool closes; what waits then is dropped.
    fn next(&self) -> Option<Work> {
        let mut waiting = self.lock();
        loop {
            if waiting.closed {
                return None;
            }
            if let Some(job) = waiting.take() {
                return Some(job);
            }
            waiting = self.changed.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    fn take(&mut self) -> Option<Work> {
        let lane = self.turns.pop_front()?;
        let jobs = self.jobs.get_mut(&lane)?;
        let job = jobs.pop_front();
        if jobs.is_empty() {
            self.jobs.remove(&lane);
        } else {
            self.turns.push_back(lane);
        }
        job
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.changed.notify_all();
        for thread in self.threads.drain(..) {
            let _ = thread.join(); // its panics were caught
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn lanes_take_turns_however_many_jobs_one_has() {
        let pool = Pool::start(1).unwrap();
        let (gate, opened) = mpsc::channel::<()>();
        let (done, order) = mpsc::channel();
        pool.submit(0, move || opened.recv().unwrap());
        for (lane, count) in [(1, 1000), (2, 3)] {
            for _ in 0..count {
                let done = done.clone();
                pool.submit(lane, move || {
                    let _ = done.send(lane); // nobody counts beyond the first
                });
            }
        }
        gate.send(()).unwrap();
        let first: Vec<u64> = order.iter().take(6).collect();
        assert_eq!(first, [1, 2, 1, 2, 1, 2]);
    }

    #[test]
    fn a_panic_costs_one_job_and_no_thread() {
        let pool = Pool::start(1).unwrap();
        let (done, finished) = mpsc::channel();
        let told = done.clone();
        pool.submit(1, move || {
            let _told = told; // dropped by the panic
            panic!("on purpose");
        });
        pool.submit(1, move || done.send(()).unwrap());
        assert_eq!(finished.iter().count(), 1);
    }
}
