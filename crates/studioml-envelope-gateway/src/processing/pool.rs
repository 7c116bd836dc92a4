//! A fixed number of threads, and turns by lane: whoever has many jobs waits behind whoever has few.
//!
//! What a job returns is its answer, which is given by being dropped. While many jobs wait, a thread keeps answers back and
//! gives several at once: each time an async worker is woken costs this thread its core and its caches, and what the worker
//! then does (a sync of a disk, a write to a socket) is cheaper for several messages together. It keeps back so few that
//! nobody waits much longer for that than for the jobs before theirs.

use std::any::Any;
use std::collections::{HashMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

type Answer = Box<dyn Any + Send>;
type Work = Box<dyn FnOnce() -> Answer + Send>;

/// No answer is kept back for longer than this and one more job.
const KEPT_BACK: Duration = Duration::from_millis(50);
/// Nor are more than these.
const MOST_KEPT_BACK: usize = 32;
/// Nor more than one for so many jobs that wait for the same thread.
const WAITING_FOR_ONE_KEPT_BACK: usize = 4;

/// Which lane a job belongs to.
pub(crate) type LaneId = u64;

/// Threads that compute. They end some time after it is dropped, each with the job that it has: who drops it does not wait
/// for a disk that hangs, from which one of them may be reading.
pub(crate) struct Pool {
    shared: Arc<Shared>,
}

struct Shared {
    waiting: Mutex<Waiting>,
    changed: Condvar,
    threads: usize,
}

/// The jobs that wait. A lane stands in `turns` exactly once while it has any.
#[derive(Default)]
struct Waiting {
    turns: VecDeque<LaneId>,
    jobs: HashMap<LaneId, VecDeque<Work>>,
    count: usize,
    /// Threads that have nothing to do: to wake one is a system call, which is not made in vain.
    idle: usize,
    closed: bool,
}

impl Pool {
    /// Starts the threads.
    ///
    /// # Errors
    /// [`std::io::Error`] if the system starts no more threads.
    pub(crate) fn start(threads: usize) -> std::io::Result<Self> {
        let threads = threads.max(1);
        let shared = Arc::new(Shared { waiting: Mutex::default(), changed: Condvar::new(), threads });
        let spawn = |number: usize| {
            let shared = Arc::clone(&shared);
            std::thread::Builder::new().name(format!("crypto-{number}")).spawn(move || shared.work())
        };
        let pool = Self { shared: Arc::clone(&shared) };
        (0..threads).try_for_each(|number| spawn(number).map(drop))?;
        Ok(pool)
    }

    /// Queues a job behind the others of its lane. Its answer is dropped some time after it has ended; if it panics, what it
    /// holds is dropped at once.
    pub(crate) fn submit<A: Send + 'static>(&self, lane: LaneId, work: impl FnOnce() -> A + Send + 'static) {
        let mut waiting = self.shared.lock();
        let jobs = waiting.jobs.entry(lane).or_default();
        jobs.push_back(Box::new(|| Box::new(work())));
        if jobs.len() == 1 {
            waiting.turns.push_back(lane);
        }
        waiting.count = waiting.count.saturating_add(1);
        let somebody_waits = waiting.idle > 0;
        drop(waiting);
        if somebody_waits {
            self.shared.changed.notify_one();
        }
    }
}

impl Shared {
    fn work(&self) {
        let mut answers = Answers { kept_back: Vec::new(), since: Instant::now() };
        while let Some(job) = self.next(&mut answers) {
            match catch_unwind(AssertUnwindSafe(job)) {
                Ok(answer) => answers.keep_back(answer),
                // a job reports its own end, by being dropped if need be; the thread goes on
                Err(_) => tracing::error!("a message made the gateway panic; it is tried again"),
            }
        }
    }

    /// The next job of the lane whose turn it is. `None` when the pool closes; what waits then is dropped.
    fn next(&self, answers: &mut Answers) -> Option<Work> {
        let mut waiting = self.lock();
        loop {
            if waiting.closed {
                return None;
            }
            let waiting_for_us = waiting.count.div_ceil(self.threads);
            if answers.are_to_be_given(waiting_for_us) {
                drop(waiting);
                answers.kept_back.clear();
                waiting = self.lock();
            } else if let Some(job) = waiting.take() {
                return Some(job);
            } else {
                waiting.idle = waiting.idle.saturating_add(1);
                waiting = self.changed.wait(waiting).unwrap_or_else(PoisonError::into_inner);
                waiting.idle = waiting.idle.saturating_sub(1);
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The answers that a thread keeps back.
struct Answers {
    kept_back: Vec<Answer>,
    /// Since when there are any.
    since: Instant,
}

impl Answers {
    fn keep_back(&mut self, answer: Answer) {
        if self.kept_back.is_empty() {
            self.since = Instant::now();
        }
        self.kept_back.push(answer);
    }

    fn are_to_be_given(&self, waiting: usize) -> bool {
        let most = (waiting / WAITING_FOR_ONE_KEPT_BACK).min(MOST_KEPT_BACK);
        !self.kept_back.is_empty() && (self.kept_back.len() > most || self.since.elapsed() >= KEPT_BACK)
    }
}

impl Waiting {
    fn take(&mut self) -> Option<Work> {
        let lane = self.turns.pop_front()?;
        let jobs = self.jobs.get_mut(&lane)?;
        let job = jobs.pop_front();
        self.count = self.count.saturating_sub(1);
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
        let mut waiting = self.shared.lock();
        waiting.closed = true;
        let jobs = std::mem::take(&mut waiting.jobs);
        drop(waiting);
        self.shared.changed.notify_all();
        drop(jobs); // who waits for their answers is told that there are none
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

    fn panic_on_purpose() {
        panic!("on purpose");
    }

    #[test]
    fn a_panic_costs_one_job_and_no_thread() {
        let pool = Pool::start(1).unwrap();
        let (done, finished) = mpsc::channel();
        let told = done.clone();
        pool.submit(1, move || {
            let _told = told; // dropped by the panic
            panic_on_purpose();
        });
        pool.submit(1, move || done.send(()).unwrap());
        assert_eq!(finished.iter().count(), 1);
    }
    #[test]
    fn answers_are_kept_back_only_while_there_is_more_to_do() {
        let pool = Pool::start(1).unwrap();
        let (gate, opened) = mpsc::channel::<()>();
        let (answer, answered) = mpsc::channel::<()>();
        let kept = answer.clone();
        pool.submit(1, move || kept);
        pool.submit(1, move || opened.recv().unwrap());
        pool.submit(1, move || answer);
        // the first is given for want of others, or waits for the second; none is left behind with the thread
        gate.send(()).unwrap();
        assert_eq!(answered.recv_timeout(Duration::from_secs(60)), Err(mpsc::RecvTimeoutError::Disconnected));
    }
}
