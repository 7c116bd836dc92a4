//! A queue's writer for a program beside the gateway, such as a server that takes messages from elsewhere.

use std::fs::{self, FileTimes};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use super::lock::create_locked;
use super::sink::{Beside, MODE, holds, next_time};
use super::{OWN, sync_folder};

/// Writes messages into one directory queue: each is there whole or not at all, and oldest first by its modification time.
///
/// Other programs read the queue while it is written to, so a file is made and synced under `<root>/.gateway/tmp`, renamed in,
/// and the folder synced; nothing but messages ever stands in the queue. Each file is locked (`flock`) until it is there, so
/// that a gateway over the same root does not take it for one that was left behind.
#[derive(Debug)]
pub struct QueueWriter {
    queue: PathBuf,
    temporary: PathBuf,
    newest: Mutex<Option<SystemTime>>,
}

impl QueueWriter {
    /// Makes the queue's folder, and the one for unfinished files beside it, where they are missing.
    ///
    /// # Errors
    /// [`io::Error`] if one cannot be made, or `queue` is the root of the file system.
    pub fn open(queue: &Path) -> io::Result<Self> {
        fs::create_dir_all(queue)?;
        let queue = queue.canonicalize()?;
        let root = queue.parent().ok_or_else(|| io::Error::other("a queue is a folder in a root"))?;
        let temporary = root.join(OWN).join("tmp");
        fs::create_dir_all(&temporary)?;
        Ok(Self { queue, temporary, newest: Mutex::default() })
    }

    /// Writes a message under this name, and returns once it will survive a power failure. One that is there already with the
    /// same content is not written twice. Blocks.
    ///
    /// # Errors
    /// [`io::Error`]; [`io::ErrorKind::AlreadyExists`] if another message has the name.
    pub fn write(&self, name: &str, message: &[u8]) -> io::Result<()> {
        let path = self.temporary.join(format!("{:016x}", fastrand::u64(..)));
        let file = create_locked(&path, MODE)?;
        let mut beside = Beside::new(path, file);
        beside.file.write_all(message)?;
        beside.file.set_times(FileTimes::new().set_modified(self.next_time()))?;
        beside.file.sync_all()?;
        let wanted = self.queue.join(name);
        if !beside.move_to(&wanted)? && !holds(&wanted, message) {
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, "another message has that name"));
        }
        sync_folder(&self.queue)
    }

    fn next_time(&self) -> SystemTime {
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        let time = next_time(*newest);
        *newest = Some(time);
        time
    }
}
