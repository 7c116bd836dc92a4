//! Keeping directories new. Polling is the truth: it sees a change whatever made it, on every file system. With the feature
//! `notify` the system's own notices make it look earlier; they are hints, and nothing depends on them.

use core::fmt;
use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    },
    thread::{Builder, JoinHandle},
    time::{Duration, Instant},
};

use super::live::{Change, Reload};

/// How often directories are looked at if nothing else is said.
pub const DEFAULT_INTERVAL: Duration = Duration::from_secs(2);

/// The longest interval. A change is to be picked up in under 10 s (docs/spec.md §6), and a scan takes its time too.
pub const MAX_INTERVAL: Duration = Duration::from_secs(5);

/// Between two looks, however many hints come: whoever can write to a directory cannot keep a processor busy by it.
const MIN_GAP: Duration = Duration::from_millis(100);

/// A thread that reloads directories until it is dropped.
pub struct Watcher {
    wake: SyncSender<Wake>,
    thread: Option<JoinHandle<()>>,
    #[cfg(feature = "notify")]
    _hints: Option<hints::Hints>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Wake {
    Look,
    Stop,
}

impl Watcher {
    /// Looks at `directories` every `interval` (at most [`MAX_INTERVAL`]), and tells `on_change` what changed.
    ///
    /// A panic in `on_change` ends that call, and nothing else.
    ///
    /// # Errors
    /// [`io::Error`] if no thread can be started.
    pub fn spawn(
        directories: Vec<Arc<dyn Reload>>,
        interval: Duration,
        on_change: impl Fn(&Change) + Send + 'static,
    ) -> io::Result<Self> {
        // room for one: who is told twice to look looks once
        let (wake, woken) = sync_channel(1);
        #[cfg(feature = "notify")]
        let hints = hints::Hints::watch(&directories, wake.clone());
        let interval = interval.min(MAX_INTERVAL);
        let thread = Builder::new()
            .name("key-directories".into())
            .spawn(move || keep_new(&directories, interval, &woken, &on_change))?;
        Ok(Self {
            wake,
            thread: Some(thread),
            #[cfg(feature = "notify")]
            _hints: hints,
        })
    }

    /// Has the directories looked at now, and does not wait for it.
    pub fn look_now(&self) {
        // full: it will look anyway
        let _ = self.wake.try_send(Wake::Look);
    }
}

fn keep_new(directories: &[Arc<dyn Reload>], interval: Duration, woken: &Receiver<Wake>, on_change: &dyn Fn(&Change)) {
    let mut next_poll = Instant::now() + interval;
    let mut last_look = None;
    while wait(woken, next_poll, last_look) == Wake::Look {
        for directory in directories {
            // a thread that ended here would leave keys in use that have been revoked; the panic has been reported
            let _ = catch_unwind(AssertUnwindSafe(|| directory.reload().as_ref().map(on_change)));
        }
        let now = Instant::now();
        (next_poll, last_look) = (now + interval, Some(now));
    }
}

/// Waits until it is time to look, by a hint or by the clock, or to stop.
fn wait(woken: &Receiver<Wake>, next_poll: Instant, last_look: Option<Instant>) -> Wake {
    let until = |moment: Instant| match woken.recv_timeout(moment.saturating_duration_since(Instant::now())) {
        Ok(wake) => Some(wake),
        Err(RecvTimeoutError::Timeout) => None,
        Err(RecvTimeoutError::Disconnected) => Some(Wake::Stop),
    };
    match until(next_poll) {
        None => return Wake::Look,
        Some(Wake::Stop) => return Wake::Stop,
        Some(Wake::Look) => {}
    }
    // a hint: what follows it within the gap is seen by the same look
    let settled = last_look.map_or_else(Instant::now, |last| last + MIN_GAP);
    loop {
        match until(settled) {
            None => return Wake::Look,
            Some(Wake::Stop) => return Wake::Stop,
            Some(Wake::Look) => {}
        }
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        let _ = self.wake.send(Wake::Stop);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl fmt::Debug for Watcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Watcher(..)")
    }
}

#[cfg(feature = "notify")]
mod hints {
    //! Notices of the system that something changed.

    use std::sync::{Arc, mpsc::SyncSender};

    use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};

    use super::{Reload, Wake};

    pub(super) struct Hints(#[allow(dead_code, reason = "notices come as long as it lives")] RecommendedWatcher);

    impl Hints {
        /// `None` if the system gives no notices: polling does not need them.
        pub(super) fn watch(directories: &[Arc<dyn Reload>], wake: SyncSender<Wake>) -> Option<Self> {
            let notice = move |event: notify::Result<notify::Event>| {
                // looking opens files, which gives notices of its own
                if !event.is_ok_and(|event| event.kind.is_access()) {
                    let _ = wake.try_send(Wake::Look);
                }
            };
            let mut watcher = notify::recommended_watcher(notice).ok()?;
            for directory in directories.iter().flat_map(|directory| directory.directories()) {
                // one that is missing is found by polling when it comes
                let _ = watcher.watch(&directory, RecursiveMode::NonRecursive);
            }
            Some(Self(watcher))
        }
    }
}
