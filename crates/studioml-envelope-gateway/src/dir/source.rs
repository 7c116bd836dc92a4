//! A directory as a source: looks, claims, hands over.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use rustix::fs::OFlags;
use tokio::sync::watch;

use super::claim::FileClaim;
use super::{Directory, OWN, blocking, lock, rename_new};
use crate::queue::{Deliveries, Delivery, QueueName, Source, SourceError};

/// The shortest and the longest wait between two looks into a queue: an empty one is looked at less and less often.
const SHORTEST_WAIT: Duration = Duration::from_millis(4);
const LONGEST_WAIT: Duration = Duration::from_millis(100);
/// How long the lock of a queue is waited for at a time.
const LOCK_PATIENCE: Duration = Duration::from_millis(250);
/// How many names are kept from one look; a queue with more is looked at again when they are used up.
const MOST_NAMES: usize = 8192;
/// How often what other gateways left behind is looked for.
const ORPHANS_EVERY: Duration = Duration::from_secs(5);

#[async_trait]
impl Source for Directory {
    async fn queues(&self) -> Result<Vec<QueueName>, SourceError> {
        let directory = self.clone();
        let listed = blocking(move || {
            directory.look_for_orphans();
            directory.list()
        });
        listed.await.flatten().map_err(unavailable)
    }

    async fn open(&self, queue: &QueueName, _window: usize) -> Result<Box<dyn Deliveries>, SourceError> {
        let (directory, queue) = (self.clone(), queue.clone());
        blocking(move || directory.open_queue(queue)).await.map_err(unavailable)?
    }

    fn connected(&self) -> watch::Receiver<bool> {
        self.0.connected.subscribe()
    }
}

impl Directory {
    fn open_queue(&self, queue: QueueName) -> Result<Box<dyn Deliveries>, SourceError> {
        fs::create_dir_all(self.inflight_path(&queue)).map_err(unavailable)?;
        if !self.queue_path(&queue).is_dir() {
            return Err(SourceError::NoQueue);
        }
        let turn = if queue.is_response() { Some(self.only_reader(&queue)?) } else { None };
        let oldest = Arc::default();
        Ok(Box::new(Files { directory: self.clone(), queue, oldest, wait: SHORTEST_WAIT, _turn: turn }))
    }

    /// The right to be the only reader of a queue. The kernel takes it back with the process, however that ends.
    fn only_reader(&self, queue: &QueueName) -> Result<File, SourceError> {
        let folder = self.0.root.join(OWN).join("readers");
        fs::create_dir_all(&folder).map_err(unavailable)?;
        let file = File::options().create(true).truncate(false).write(true).open(folder.join(queue.as_str()));
        let file = file.map_err(unavailable)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(SourceError::Taken),
            Err(TryLockError::Error(error)) => return Err(unavailable(error)),
        }
        // what the last reader had taken and not brought to an end comes before everything else
        self.put_back_orphans();
        Ok(file)
    }

    fn look_for_orphans(&self) {
        let mut last = self.0.orphans_looked_for.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if last.is_none_or(|last| last.elapsed() >= ORPHANS_EVERY) {
            *last = Some(Instant::now());
            drop(last);
            self.put_back_orphans();
            self.0.rejects.trim();
        }
    }
}

/// The files of one queue.
struct Files {
    directory: Directory,
    queue: QueueName,
    /// Names from the last look, oldest first.
    oldest: Arc<std::sync::Mutex<VecDeque<OsString>>>,
    wait: Duration,
    _turn: Option<File>,
}

#[async_trait]
impl Deliveries for Files {
    async fn next(&mut self, room: usize) -> Result<Vec<Delivery>, SourceError> {
        loop {
            let (directory, queue, oldest) = (self.directory.clone(), self.queue.clone(), Arc::clone(&self.oldest));
            let claimed = blocking(move || {
                let mut oldest = oldest.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                directory.claim(&queue, &mut oldest, room)
            });
            let claimed = claimed.await.flatten().map_err(|error| match error.kind() {
                io::ErrorKind::NotFound => SourceError::NoQueue,
                _ => unavailable(error),
            })?;
            if !claimed.is_empty() {
                self.wait = SHORTEST_WAIT;
                return Ok(claimed);
            }
            tokio::time::sleep(self.wait).await;
            self.wait = self.wait.mul_f64(1.25).min(LONGEST_WAIT);
        }
    }
}

impl Directory {
    /// Claims up to `room` of the oldest messages of a queue.
    pub(super) fn claim(
        &self,
        queue: &QueueName,
        oldest: &mut VecDeque<OsString>,
        room: usize,
    ) -> io::Result<Vec<Delivery>> {
        let (folder, inflight) = (self.queue_path(queue), self.inflight_path(queue));
        if oldest.is_empty() && !has_messages(&folder)? {
            return Ok(Vec::new());
        }
        let Some(_lock) = self.0.lock_settings.acquire(&folder, LOCK_PATIENCE)? else { return Ok(Vec::new()) };
        if oldest.is_empty() {
            *oldest = look(&folder)?;
        }
        let mut claimed = Vec::new();
        while claimed.len() < room {
            let Some(name) = oldest.pop_front() else { break };
            if let Some(claim) = self.claim_file(queue, &folder, &inflight, &name)? {
                claimed.push(Delivery { claim: Arc::new(claim), redelivered: false, file_name: Some(name) });
            }
        }
        Ok(claimed)
    }

    /// Claims one file; `None` if somebody else has it, or if one of the same name is in flight.
    fn claim_file(
        &self,
        queue: &QueueName,
        folder: &Path,
        inflight: &Path,
        name: &OsStr,
    ) -> io::Result<Option<FileClaim>> {
        let (from, to) = (folder.join(name), inflight.join(name));
        // a link put there by somebody who may write to the queue but not read our keys is not followed, and a pipe does
        // not stop us
        let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
        let file = match OpenOptions::new().read(true).custom_flags(flags).open(&from) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => {
                tracing::warn!(%queue, file = ?name, %error, "a message cannot be read");
                return Ok(None);
            }
        };
        let data = file.metadata()?;
        if !data.is_file() || file.try_lock().is_err() {
            return Ok(None);
        }
        match rename_new(&from, &to) {
            Ok(true) => {}
            Ok(false) => return Ok(None),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        }
        // somebody may have put another file in its place in between; what counts is what was renamed
        if fs::symlink_metadata(&to).is_ok_and(|renamed| renamed.ino() == data.ino()) {
            Ok(Some(FileClaim::new(self.clone(), queue.clone(), name.to_owned(), to, file, data.len())))
        } else {
            self.put_back_at_once(&to, &from)?;
            Ok(None)
        }
    }

    fn put_back_at_once(&self, claimed: &Path, original: &Path) -> io::Result<()> {
        // with a name taken it stays in flight, unlocked, and the next look for orphans puts it back
        rename_new(claimed, original).map(drop)
    }
}

/// Whether there is anything but the marker in a folder. Needs no lock, so that an empty queue is left alone.
fn has_messages(folder: &Path) -> io::Result<bool> {
    for entry in fs::read_dir(folder)? {
        if is_message(&entry?) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The names of the messages in a folder, oldest modification first; by name where two are of the same time.
fn look(folder: &Path) -> io::Result<VecDeque<OsString>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        // gone since: somebody else took it
        let Ok(data) = entry.metadata() else { continue };
        if is_message(&entry) {
            found.push((data.mtime(), data.mtime_nsec(), entry.file_name()));
        }
    }
    found.sort();
    found.truncate(MOST_NAMES);
    Ok(found.into_iter().map(|(_, _, name)| name).collect())
}

fn is_message(entry: &fs::DirEntry) -> bool {
    let name = entry.file_name();
    name != lock::NAME
        && !name.as_encoded_bytes().starts_with(b".")
        && entry.file_type().is_ok_and(|kind| kind.is_file())
}

#[allow(clippy::needless_pass_by_value, reason = "the shape that map_err wants")]
fn unavailable(error: io::Error) -> SourceError {
    SourceError::Unavailable(error.to_string())
}
