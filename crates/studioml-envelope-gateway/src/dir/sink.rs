//! A directory as a sink: written and synced beside, renamed in, the folder synced. Then, and only then, it is confirmed.
//!
//! What is published at about the same time shares the sync of its folder: it is confirmed together.

use std::collections::{BTreeSet, HashMap};
use std::ffi::OsString;
use std::fs::{self, File, FileTimes, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use tokio::sync::watch;
use zeroize::Zeroizing;

use super::{Directory, blocking, rename_new, sync_folder, with_suffix};
use crate::decision::Published;
use crate::queue::{Outgoing, QueueName, REFUSED, Sink, SourceError};

/// The newest modification time given to a message of each queue.
///
/// Readers sort by it, and the kernel's clock for files stands still for milliseconds at a time; so each message gets a time
/// of its own, at least a microsecond after the one before it (a reader in Python sees no finer).
#[derive(Default)]
pub(super) struct Newest(Mutex<HashMap<QueueName, SystemTime>>);

impl Newest {
    fn next(&self, queue: &QueueName) -> SystemTime {
        let mut newest = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let time = next_time(newest.get(queue).copied());
        newest.insert(queue.clone(), time);
        time
    }

    fn forget(&self, queue: &QueueName) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(queue);
    }
}

/// The time of the message after one that has `last`.
pub(super) fn next_time(last: Option<SystemTime>) -> SystemTime {
    let now = SystemTime::now();
    last.map_or(now, |last| now.max(last + Duration::from_micros(1)))
}

#[async_trait]
impl Sink for Directory {
    async fn exists(&self, queue: &QueueName) -> Result<bool, SourceError> {
        let path = self.queue_path(queue);
        let data = blocking(move || fs::metadata(path)).await.flatten();
        match data {
            Ok(data) => Ok(data.is_dir()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(SourceError::Unavailable(error.to_string())),
        }
    }

    fn makes_queues(&self) -> bool {
        true
    }

    async fn prepare(&self, queue: &QueueName) -> Result<(), Published> {
        let (directory, path) = (self.clone(), self.queue_path(queue));
        let made = blocking(move || match fs::create_dir(&path) {
            // what is confirmed in it later survives a power failure only if the queue does
            Ok(()) => sync_folder(&directory.0.root),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            Err(error) => Err(error),
        });
        made.await.flatten().map_err(|error| outcome(queue, &error))
    }

    async fn publish(&self, queue: &QueueName, message: &Outgoing) -> Published {
        let incoming = Incoming {
            queue: queue.clone(),
            // a copy of the reference count, not of the bytes
            body: Arc::clone(&message.body),
            name: message.file_name.clone().unwrap_or_else(|| message.message_id.as_str().into()),
            id: message.message_id.clone(),
        };
        let directory = self.clone();
        let written = self.0.incoming.submit(incoming, move |batch| directory.write(&batch)).await;
        match written {
            Some(Ok(())) => Published::Confirmed,
            Some(Err(error)) => outcome(queue, &error),
            None => Published::Unknown,
        }
    }

    async fn remove(&self, queue: &QueueName) -> Result<(), SourceError> {
        let (directory, queue) = (self.clone(), queue.clone());
        let removed = blocking(move || {
            directory.0.newest.forget(&queue);
            let aside = directory.temporary_path();
            match fs::rename(directory.queue_path(&queue), &aside) {
                Ok(()) => fs::remove_dir_all(aside),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
                Err(error) => Err(error),
            }
        });
        removed.await.flatten().map_err(|error| SourceError::Unavailable(error.to_string()))
    }

    fn connected(&self) -> watch::Receiver<bool> {
        self.0.connected.subscribe()
    }
}

/// A message to be written.
pub(super) struct Incoming {
    queue: QueueName,
    body: Arc<Zeroizing<Vec<u8>>>,
    /// The name that it is to have.
    name: OsString,
    id: String,
}

/// A message's file: readable by the group, since runners are other users; never by everybody, a Request is in it.
pub(super) const MODE: u32 = 0o660;

/// A message that stands beside the queue, and is removed from there unless it is moved in.
pub(super) struct Beside {
    path: PathBuf,
    pub(super) file: File,
    is_moved: bool,
}

impl Beside {
    pub(super) const fn new(path: PathBuf, file: File) -> Self {
        Self { path, file, is_moved: false }
    }

    /// Moves it in, never over another: `Ok(false)` if the name is taken.
    pub(super) fn move_to(&mut self, wanted: &Path) -> io::Result<bool> {
        self.is_moved = rename_new(&self.path, wanted)?;
        Ok(self.is_moved)
    }
}

impl Directory {
    /// Writes messages, each on its own account: what goes wrong with one is no matter to the others.
    fn write(&self, batch: &[Incoming]) -> Vec<io::Result<()>> {
        // the first sync may write out what the others need of it, so all are written before
        let beside: Vec<io::Result<Beside>> = batch.iter().map(|message| self.write_beside(message)).collect();
        let mut written: Vec<io::Result<()>> =
            beside.into_iter().zip(batch).map(|(beside, message)| self.move_in(beside?, message)).collect();
        let queues: BTreeSet<&QueueName> = batch.iter().map(|message| &message.queue).collect();
        for queue in queues {
            let Err(error) = sync_folder(&self.queue_path(queue)) else { continue };
            for (message, outcome) in batch.iter().zip(&mut written) {
                if message.queue == *queue && outcome.is_ok() {
                    *outcome = Err(io::Error::new(error.kind(), error.to_string()));
                }
            }
        }
        written
    }

    fn write_beside(&self, message: &Incoming) -> io::Result<Beside> {
        let path = self.temporary_path();
        let file = OpenOptions::new().write(true).create_new(true).mode(MODE).open(&path)?;
        let mut beside = Beside::new(path, file);
        beside.file.write_all(&message.body)?;
        beside.file.set_times(FileTimes::new().set_modified(self.0.newest.next(&message.queue)))?;
        Ok(beside)
    }

    fn move_in(&self, mut beside: Beside, message: &Incoming) -> io::Result<()> {
        let Incoming { queue, body, name, id } = message;
        let folder = self.queue_path(queue);
        let wanted = folder.join(name);
        beside.file.sync_data()?;
        // a gateway that was killed before it could say so may have moved it in already
        if !beside.move_to(&wanted)? && !holds(&wanted, body) {
            // another message of that name has not been taken yet; the id is the message's own
            let own = folder.join(with_suffix(name, &format!("-{}", id.get(..16).unwrap_or(id))));
            if !beside.move_to(&own)? && !holds(&own, body) {
                return Err(io::Error::other("both its name and its own name are taken"));
            }
        }
        Ok(())
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        if !self.is_moved {
            let _ = fs::remove_file(&self.path); // else the next look for what was left behind does
        }
    }
}

/// Whether this message is there already.
pub(super) fn holds(path: &Path, body: &[u8]) -> bool {
    let same_length = fs::symlink_metadata(path).is_ok_and(|data| data.is_file() && data.len() == body.len() as u64);
    same_length && fs::read(path).is_ok_and(|bytes| bytes == body)
}

/// How a publish that failed with this error ended.
fn outcome(queue: &QueueName, error: &io::Error) -> Published {
    tracing::warn!(%queue, %error, "the destination does not take a message");
    match error.kind() {
        io::ErrorKind::NotFound => Published::Returned,
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => REFUSED,
        _ => Published::Unavailable,
    }
}
