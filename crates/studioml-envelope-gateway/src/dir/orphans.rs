//! What gateways that are no more have left behind: claimed files, and half-written ones.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::path::Path;

use super::{Directory, OWN, rename_beside};
use crate::decision::{Reason, ReasonCode};
use crate::queue::QueueName;

impl Directory {
    /// Puts back every claimed file that no living gateway holds, and removes temporary files that nobody writes. Returns
    /// how many messages were put back.
    pub(super) fn put_back_orphans(&self) -> usize {
        let own = self.0.root.join(OWN);
        let mut count: usize = 0;
        for (folder, is_folder) in entries(&own.join("inflight")) {
            let queue = folder.to_str().and_then(QueueName::new);
            let Some(queue) = queue.filter(|_| is_folder) else { continue };
            let folder = self.inflight_path(&queue);
            for (name, is_folder) in entries(&folder) {
                if is_folder {
                    continue;
                }
                match self.put_back_orphan(&queue, &folder, &name) {
                    Ok(true) => count = count.saturating_add(1),
                    Ok(false) => {}
                    Err(error) => {
                        tracing::warn!(%queue, %error, "a message that was left in flight cannot be put back");
                    }
                }
            }
        }
        let temporary = own.join("tmp");
        for (name, _) in entries(&temporary) {
            remove_unless_used(&temporary, &name);
        }
        if count > 0 {
            tracing::info!(count, "put back messages that were left in flight");
        }
        count
    }

    fn put_back_orphan(&self, queue: &QueueName, folder: &Path, name: &OsStr) -> io::Result<bool> {
        let path = folder.join(name);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error),
        };
        if file.try_lock().is_err() {
            return Ok(false);
        }
        match rename_beside(&path, &self.queue_path(queue), name) {
            Ok(_) => Ok(true),
            // ended since by its owner, or its queue is gone
            Err(error) if error.kind() == io::ErrorKind::NotFound && path.exists() => {
                let reason = Reason::new(ReasonCode::QueueDeleted, &"its queue was deleted while it was worked on");
                self.0.rejects.take(&path, queue, name, file.metadata()?.len(), &reason)?;
                Ok(false)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// Names in a folder and whether each is a folder; nothing if it cannot be read.
fn entries(folder: &Path) -> Vec<(std::ffi::OsString, bool)> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    entries
        .filter_map(Result::ok)
        .map(|entry| (entry.file_name(), entry.file_type().is_ok_and(|kind| kind.is_dir())))
        .collect()
}

/// Removes what stands in the temporary folder and is not used: neither locked itself nor its gateway's.
fn remove_unless_used(folder: &Path, name: &OsStr) {
    let path = folder.join(name);
    // held until the file is removed: a gateway that begins, and comes to lock it meanwhile, finds it gone and makes another
    let Ok(_lock) = lock_at_once(&path) else { return };
    let of_gateway = name.to_str().and_then(|name| name.rsplit_once('-')).map(|(gateway, _)| gateway);
    let is_left = of_gateway.is_none_or(|gateway| {
        let its_lock = folder.join(format!("{gateway}-lock"));
        // a gateway that is no more has left its own lock unlocked, or somebody has removed it since
        its_lock == path || !its_lock.exists() || lock_at_once(&its_lock).is_ok()
    });
    if !is_left {
        return;
    }
    if fs::symlink_metadata(&path).is_ok_and(|data| data.is_dir()) {
        let _ = fs::remove_dir_all(path); // tried again at the next start
    } else {
        let _ = fs::remove_file(path);
    }
}

fn lock_at_once(path: &Path) -> io::Result<File> {
    let file = File::open(path)?;
    file.try_lock()?;
    Ok(file)
}
