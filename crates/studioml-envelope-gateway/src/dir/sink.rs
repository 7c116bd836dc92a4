//! A directory as a sink: written and synced beside, renamed in, the folder synced. Then, and only then, it is confirmed.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs::{self, FileTimes, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use tokio::sync::watch;

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
        let now = SystemTime::now();
        let time = newest.get(queue).map_or(now, |last| now.max(*last + Duration::from_micros(1)));
        newest.insert(queue.clone(), time);
        time
    }

    fn forget(&self, queue: &QueueName) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(queue);
    }
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

    async fn prepare(&self, queue: &QueueName) -> Result<(), Published> {
        let path = self.queue_path(queue);
        let made = blocking(move || match fs::create_dir(&path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            made => made,
        });
        made.await.flatten().map_err(|error| outcome(queue, &error))
    }

    async fn publish(&self, queue: &QueueName, message: &Outgoing) -> Published {
        // the body is borrowed across the thread by a copy of the reference count, not of the bytes
        let (directory, queue_name) = (self.clone(), queue.clone());
        let (body, name, id) = (message.body.clone(), message.file_name.clone(), message.message_id.clone());
        let written = blocking(move || directory.write(&queue_name, &body, name, &id)).await.flatten();
        match written {
            Ok(()) => Published::Confirmed,
            Err(error) => outcome(queue, &error),
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

impl Directory {
    fn write(&self, queue: &QueueName, body: &[u8], name: Option<OsString>, id: &str) -> io::Result<()> {
        let folder = self.queue_path(queue);
        let name = name.unwrap_or_else(|| id.into());
        let wanted = folder.join(&name);
        if holds(&wanted, body) {
            return sync_folder(&folder); // a gateway that was killed before it could say so
        }
        let temporary = self.temporary_path();
        // readable by the group: runners are other users; never by everybody, a Request is in it
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o660).open(&temporary)?;
        let mut put = || -> io::Result<()> {
            file.lock()?; // another gateway's cleaning leaves it alone
            file.write_all(body)?;
            file.set_times(FileTimes::new().set_modified(self.0.newest.next(queue)))?;
            file.sync_data()?;
            if !rename_new(&temporary, &wanted)? {
                // another message of that name has not been taken yet; the id is the message's own
                let own = with_suffix(&name, &format!("-{}", id.get(..16).unwrap_or(id)));
                if !rename_new(&temporary, &folder.join(&own))? && !holds(&folder.join(own), body) {
                    return Err(io::Error::other("both its name and its own name are taken"));
                }
            }
            sync_folder(&folder)
        };
        let result = put();
        let _ = fs::remove_file(&temporary); // gone where it was renamed
        result
    }
}

fn holds(path: &Path, body: &[u8]) -> bool {
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
