//! A directory as a source: looks, claims, hands over.

use std::collections::{HashMap, VecDeque};
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
use super::{Directory, OWN, blocking, lock, named, rename_new};
use crate::queue::{Deliveries, Delivery, QueueName, Queues, Source, SourceError};

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
    async fn queues(&self) -> Result<Queues, SourceError> {
        let directory = self.clone();
        let listed = blocking(move || {
            directory.look_for_orphans();
            directory.list()
        });
        listed.await.flatten().map(Queues::from).map_err(unavailable)
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
        let seen = Arc::default();
        Ok(Box::new(Files { directory: self.clone(), queue, seen, wait: SHORTEST_WAIT, _turn: turn }))
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
    seen: Arc<std::sync::Mutex<Seen>>,
    wait: Duration,
    _turn: Option<File>,
}

/// What the last look into a queue saw.
#[derive(Default)]
pub(super) struct Seen {
    /// Names of messages, oldest first.
    pub(super) oldest: VecDeque<OsString>,
    /// Files that may not be read, as they were: looked at again when somebody has changed them. Else each look would tell of
    /// them, and enough of them would hide all that is younger.
    unreadable: HashMap<OsString, Changed>,
}

/// When a file's owner, mode or contents were last changed, in seconds and nanoseconds; and its mode, since the kernel's clock for
/// files stands still for milliseconds at a time.
type Changed = (i64, i64, u32);

#[async_trait]
impl Deliveries for Files {
    async fn next(&mut self, room: usize) -> Result<Vec<Delivery>, SourceError> {
        loop {
            let (directory, queue, seen) = (self.directory.clone(), self.queue.clone(), Arc::clone(&self.seen));
            let claimed = blocking(move || {
                let mut seen = seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                directory.claim(&queue, &mut seen, room)
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
    pub(super) fn claim(&self, queue: &QueueName, seen: &mut Seen, room: usize) -> io::Result<Vec<Delivery>> {
        let (folder, inflight) = (self.queue_path(queue), self.inflight_path(queue));
        if seen.oldest.is_empty() && !has_messages(&folder)? {
            return Ok(Vec::new());
        }
        let Some(_lock) = self.0.lock_settings.acquire(&folder, LOCK_PATIENCE)? else { return Ok(Vec::new()) };
        if seen.oldest.is_empty() {
            seen.look(&folder)?;
        }
        let mut claimed = Vec::new();
        let mut unreadable = Unreadable::default();
        while claimed.len() < room {
            let Some(name) = seen.oldest.pop_front() else { break };
            match self.claim_file(queue, &folder, &inflight, &name) {
                Ok(Some(claim)) => {
                    claimed.push(Delivery { claim: Arc::new(claim), redelivered: false, file_name: Some(name) });
                }
                Ok(None) => {}
                Err(ClaimError::Unreadable(error)) => {
                    if error.kind() == io::ErrorKind::PermissionDenied {
                        seen.pass_over(&folder, &name);
                    }
                    unreadable.add(name, error);
                }
                Err(ClaimError::Disk(error)) => return Err(error),
            }
        }
        unreadable.tell(queue);
        Ok(claimed)
    }

    /// Claims one file; `None` if somebody else has it, or if one of the same name is in flight.
    fn claim_file(
        &self,
        queue: &QueueName,
        folder: &Path,
        inflight: &Path,
        name: &OsStr,
    ) -> Result<Option<FileClaim>, ClaimError> {
        let (from, to) = (folder.join(name), inflight.join(name));
        // a link put there by somebody who may write to the queue but not read our keys is not followed, and a pipe does
        // not stop us
        let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
        let file = match OpenOptions::new().read(true).custom_flags(flags).open(&from) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(ClaimError::Unreadable(error)),
        };
        let data = file.metadata()?;
        if !data.is_file() {
            return Ok(None);
        }
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            // a file system without locks would look like a queue without messages
            Err(TryLockError::Error(error)) => return Err(named(&from, &error).into()),
        }
        match rename_new(&from, &to) {
            Ok(true) => {}
            Ok(false) => return Ok(None),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.into()),
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

/// Why a file was not claimed.
enum ClaimError {
    /// It cannot be opened.
    Unreadable(io::Error),
    /// Whatever else the disk says.
    Disk(io::Error),
}

impl From<io::Error> for ClaimError {
    fn from(error: io::Error) -> Self {
        Self::Disk(error)
    }
}

/// The files that one look could not read: whoever can make them is not to write a log of any length.
#[derive(Default)]
struct Unreadable {
    first: Option<(OsString, io::Error)>,
    more: usize,
}

impl Unreadable {
    fn add(&mut self, name: OsString, error: io::Error) {
        match self.first {
            Some(_) => self.more = self.more.saturating_add(1),
            None => self.first = Some((name, error)),
        }
    }

    fn tell(self, queue: &QueueName) {
        if let Some((file, error)) = self.first {
            tracing::warn!(%queue, ?file, %error, more = self.more, "a message cannot be read");
        }
    }
}

impl Seen {
    /// Reads the names of the messages in a folder, oldest modification first; by name where two are of the same time.
    pub(super) fn look(&mut self, folder: &Path) -> io::Result<()> {
        let mut found = Vec::new();
        let mut unreadable = HashMap::new();
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            // gone since: somebody else took it
            let Ok(data) = entry.metadata() else { continue };
            let name = entry.file_name();
            if let Some(then) = self.unreadable.remove(&name).filter(|then| *then == changed(&data)) {
                unreadable.insert(name, then);
            } else if is_message(&entry) {
                found.push((data.mtime(), data.mtime_nsec(), name));
            }
        }
        found.sort();
        found.truncate(MOST_NAMES);
        self.oldest = found.into_iter().map(|(_, _, name)| name).collect();
        self.unreadable = unreadable;
        Ok(())
    }

    /// From now on, until it is changed.
    pub(super) fn pass_over(&mut self, folder: &Path, name: &OsStr) {
        if let Ok(data) = fs::symlink_metadata(folder.join(name)) {
            self.unreadable.insert(name.to_owned(), changed(&data));
        }
    }
}

fn changed(data: &fs::Metadata) -> Changed {
    (data.ctime(), data.ctime_nsec(), data.mode())
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
