//! A claimed message: a file in the in-flight folder, locked for as long as it is ours.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use tokio::runtime::Handle;

use super::{Directory, blocking, rename_beside};
use crate::decision::{Published, Reason, ReasonCode};
use crate::queue::{Claim, QueueName, REJECT_REFUSED};

pub(super) struct FileClaim(Arc<Held>);

impl Drop for FileClaim {
    fn drop(&mut self) {
        // a batch that still works on it does so, and drops it, where it may block
        if !self.is_live() || Arc::strong_count(&self.0) > 1 {
            return;
        }
        // so does this: a route ends on a thread of the runtime, and a disk that hangs would stop all that is to run there
        if let Ok(runtime) = Handle::try_current() {
            let held = Arc::clone(&self.0);
            runtime.spawn_blocking(move || held.put_back_and_tell());
        }
    }
}

pub(super) struct Held {
    directory: Directory,
    queue: QueueName,
    name: OsString,
    /// Where it is now.
    path: PathBuf,
    /// Open and locked: the lock is what says that somebody works on it.
    file: File,
    len: u64,
    /// Whether it has come to an end: acknowledged, rejected or handed back.
    ended: AtomicBool,
}

impl FileClaim {
    pub(super) fn new(
        directory: Directory,
        queue: QueueName,
        name: OsString,
        path: PathBuf,
        file: File,
        len: u64,
    ) -> Self {
        let ended = AtomicBool::new(false);
        Self(Arc::new(Held { directory, queue, name, path, file, len, ended }))
    }
}

impl Held {
    /// Puts the file back where it was found. Its modification time is the one it had, and so is its turn.
    fn put_back(&self) -> io::Result<()> {
        if self.ended.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        match rename_beside(&self.path, &self.directory.queue_path(&self.queue), &self.name) {
            Ok(_) => Ok(()),
            // the queue is gone, which means abort; the message is kept where somebody can find it
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let reason = Reason::new(ReasonCode::QueueDeleted, &"its queue was deleted while it was worked on");
                self.directory.0.rejects.take(&self.path, &self.queue, &self.name, self.len, &reason)
            }
            Err(error) => Err(error),
        }
    }

    fn put_back_and_tell(&self) {
        if let Err(error) = self.put_back() {
            // it stays in flight, and unlocked: the next look for orphans finds it
            tracing::warn!(queue = %self.queue, %error, "a message could not be handed back yet");
        }
    }
}

#[async_trait]
impl Claim for FileClaim {
    fn len(&self) -> u64 {
        self.0.len
    }

    fn read(&self, limit: usize) -> io::Result<Vec<u8>> {
        let limit = limit.saturating_add(1);
        // one byte more than there is said to be: a read that ends before it has found the end
        let expected = usize::try_from(self.0.len).unwrap_or(usize::MAX);
        let mut bytes = vec![0; expected.saturating_add(1).min(limit)];
        let mut filled: usize = 0;
        loop {
            if filled == bytes.len() {
                if filled >= limit {
                    return Ok(bytes);
                }
                bytes.resize(filled.saturating_mul(2).min(limit), 0); // somebody writes to it still
            }
            let free = bytes.get_mut(filled..).unwrap_or_default();
            match self.0.file.read_at(free, filled as u64) {
                Ok(0) => break,
                Ok(count) => filled = filled.saturating_add(count),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
            if filled == expected {
                break;
            }
        }
        bytes.truncate(filled);
        Ok(bytes)
    }

    fn is_live(&self) -> bool {
        !self.0.ended.load(Ordering::Acquire)
    }

    async fn acknowledge(&self) -> bool {
        if !self.is_live() {
            return true; // it is in the reject queue
        }
        let removed = self.0.directory.0.acknowledged.submit(Arc::clone(&self.0), remove_all).await;
        let removed = removed.unwrap_or_else(|| Err(io::Error::other("the gateway ends")));
        removed.inspect_err(|error| tracing::warn!(%error, "a message could not be removed")).is_ok()
    }

    async fn release(&self) {
        let claim = Arc::clone(&self.0);
        let _ = blocking(move || claim.put_back_and_tell()).await;
    }

    async fn reject(&self, reason: &Reason) -> Published {
        let rejected = (Arc::clone(&self.0), reason.clone());
        let taken = self.0.directory.0.rejected.submit(rejected, reject_all).await;
        match taken {
            Some(Ok(())) => Published::Confirmed,
            Some(Err(error)) => {
                tracing::warn!(%error, "the reject queue does not take it");
                match error.kind() {
                    io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => REJECT_REFUSED,
                    _ => Published::Unavailable,
                }
            }
            None => Published::Unknown,
        }
    }
}

/// Removes what was acknowledged.
fn remove_all(claims: Vec<Arc<Held>>) -> Vec<io::Result<()>> {
    let remove = |claim: Arc<Held>| {
        if claim.ended.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        let removed = fs::remove_file(&claim.path);
        claim.ended.store(removed.is_ok(), Ordering::Release);
        removed
    };
    claims.into_iter().map(remove).collect()
}

fn reject_all(rejected: Vec<(Arc<Held>, Reason)>) -> Vec<io::Result<()>> {
    let reject = |(claim, reason): (Arc<Held>, Reason)| {
        if claim.ended.load(Ordering::Acquire) {
            return Ok(()); // by an earlier try, after it was not waited for any more
        }
        claim.directory.0.rejects.take(&claim.path, &claim.queue, &claim.name, claim.len, &reason)?;
        claim.ended.store(true, Ordering::Release);
        Ok(())
    };
    rejected.into_iter().map(reject).collect()
}

impl Drop for Held {
    fn drop(&mut self) {
        self.put_back_and_tell();
    }
}
