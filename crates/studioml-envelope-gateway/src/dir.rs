//! The directory queue: `<root>/<queue>/<one file per message>`, oldest modification time first. No broker needed.
//!
//! Other programs use the same directories and are not to be disturbed: a Python client writes in place under a marker file
//! `lock.lock`, a Go program renames files in and takes whatever file it sees. So this writer makes and syncs a file under
//! `<root>/.gateway/tmp` and renames it in, and this reader holds `lock.lock` while it looks, skips it, dot names and
//! directories, and claims a file by renaming it into `<root>/.gateway/inflight/<queue>/`. Nothing but messages is ever left
//! inside a queue.
//!
//! A claimed file is locked (`flock`) by the gateway that claimed it. The kernel drops the lock with the process, however it
//! ends, so another gateway, or the next start, can tell what is in flight from what was left behind, and puts the latter
//! back.

mod batch;
mod claim;
mod lock;
mod orphans;
mod rejects;
mod sink;
mod source;
mod writer;

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use regex_lite::Regex;
use rustix::fs::{CWD, RenameFlags};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::config::{DirConfig, RejectsConfig};
use crate::decision::Reason;
use crate::queue::QueueName;
use batch::Batches;

pub use writer::QueueWriter;

/// The gateway's own folder below the root. Its leading dot keeps it from being a queue.
const OWN: &str = ".gateway";

/// How long a disk gets to answer. What was asked of it goes on, and what that claims goes back as it ends.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A directory queue, as a source and as a sink.
#[derive(Clone)]
pub struct Directory(Arc<Shared>);

struct Shared {
    root: PathBuf,
    queues: Regex,
    lock_settings: lock::Settings,
    rejects: rejects::Rejects,
    /// Makes the names of temporary files unlike those of any other process.
    instance: String,
    next_temporary: AtomicU64,
    /// The newest modification time given to a message of each queue.
    newest: sink::Newest,
    incoming: Batches<sink::Incoming, io::Result<()>>,
    acknowledged: Batches<Arc<claim::Held>, io::Result<()>>,
    rejected: Batches<(Arc<claim::Held>, Reason), io::Result<()>>,
    orphans_looked_for: Mutex<Option<Instant>>,
    /// A directory is always connected.
    connected: watch::Sender<bool>,
}

impl Directory {
    /// Makes the root and the gateway's own folders in it where they are missing, and puts back what a gateway that is no
    /// more had claimed.
    ///
    /// # Errors
    /// [`io::Error`], naming the path; [`io::ErrorKind::InvalidInput`] if the regular expression is none.
    pub fn open(config: &DirConfig, rejects: &RejectsConfig) -> io::Result<Self> {
        let queues = Regex::new(&config.queues).map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        let root = &config.root;
        for folder in [root.clone(), root.join(OWN).join("tmp"), root.join(OWN).join("inflight")] {
            fs::create_dir_all(&folder).map_err(|error| named(&folder, &error))?;
        }
        let (connected, _) = watch::channel(true);
        let instance = format!("{}-{:016x}", std::process::id(), fastrand::u64(..));
        let signed = root.join(OWN).join("tmp").join(format!("{instance}-lock"));
        let stale_after = Duration::from_secs(config.stale_lock_seconds);
        let directory = Self(Arc::new(Shared {
            root: root.clone(),
            queues,
            lock_settings: lock::Settings::new(stale_after, signed)?,
            rejects: rejects::Rejects::open(root.join(OWN).join("rejected"), rejects)?,
            instance,
            next_temporary: AtomicU64::new(0),
            incoming: Batches::default(),
            acknowledged: Batches::default(),
            rejected: Batches::default(),
            orphans_looked_for: Mutex::new(None),
            newest: sink::Newest::default(),
            connected,
        }));
        directory.put_back_orphans();
        Ok(directory)
    }

    fn queue_path(&self, queue: &QueueName) -> PathBuf {
        self.0.root.join(queue.as_str())
    }

    fn inflight_path(&self, queue: &QueueName) -> PathBuf {
        self.0.root.join(OWN).join("inflight").join(queue.as_str())
    }

    /// A name in the temporary folder that nobody else uses.
    fn temporary_path(&self) -> PathBuf {
        let number = self.0.next_temporary.fetch_add(1, Ordering::Relaxed);
        self.0.root.join(OWN).join("tmp").join(format!("{}-{number}", self.0.instance))
    }

    /// The queues that there are.
    ///
    /// # Errors
    /// Those of reading the root, or that it is another than the one that was opened: a root that cannot be read, or one that
    /// turns up empty because it was unmounted, says nothing about queues.
    pub fn list(&self) -> io::Result<Vec<QueueName>> {
        let mut queues = Vec::new();
        for entry in fs::read_dir(&self.0.root)? {
            let entry = entry?;
            let name = entry.file_name();
            let queue = name.to_str().filter(|name| self.0.queues.is_match(name)).and_then(QueueName::new);
            if let Some(queue) = queue.filter(|_| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
                queues.push(queue);
            }
        }
        // after the look: one into a root that was empty meanwhile must not count
        self.0.lock_settings.check_in_place()?;
        queues.sort();
        Ok(queues)
    }
}

/// Renames without ever replacing: `Ok(false)` if the target exists.
fn rename_new(from: &Path, to: &Path) -> io::Result<bool> {
    match rustix::fs::renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        Ok(()) => Ok(true),
        Err(rustix::io::Errno::EXIST) => Ok(false),
        // file systems that do not know the flag: a link never replaces either
        Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => match fs::hard_link(from, to) {
            Ok(()) => fs::remove_file(from).map(|()| true),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(error),
        },
        Err(error) => Err(error.into()),
    }
}

/// Renames into a folder under a name that is free there: the one wanted, or that with a number after it.
fn rename_beside(from: &Path, folder: &Path, name: &OsStr) -> io::Result<PathBuf> {
    let mut wanted = folder.join(name);
    for number in 1_u32.. {
        if rename_new(from, &wanted)? {
            break;
        }
        wanted = folder.join(with_suffix(name, &format!("-{number}")));
    }
    Ok(wanted)
}

fn with_suffix(name: &OsStr, suffix: &str) -> OsString {
    let mut name = shortened(name, suffix.len());
    name.push(suffix);
    name
}

/// A name that leaves `room` bytes in the length that a file system allows: the one given, or its beginning with a hash of all
/// of it. Whoever gives a message the longest name there is must not keep it from being moved.
fn shortened(name: &OsStr, room: usize) -> OsString {
    const LONGEST_NAME: usize = 255;
    const HASH: usize = "-0123456789abcdef".len();
    let longest = LONGEST_NAME.saturating_sub(room);
    if name.len() <= longest {
        return name.to_owned();
    }
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    let text = name.to_string_lossy();
    let beginning = text.get(..text.floor_char_boundary(longest.saturating_sub(HASH))).unwrap_or_default();
    format!("{beginning}-{:016x}", hasher.finish()).into()
}

/// Makes a rename in a folder survive a power failure.
fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

fn named(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

/// Runs what blocks on a thread where it may, and waits for it as long as for a broker: a network file system that hangs
/// would hold its caller for ever.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> io::Result<T> {
    blocking_for(PATIENCE, work).await
}

async fn blocking_for<T: Send + 'static>(
    patience: Duration,
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<T> {
    match timeout(patience, tokio::task::spawn_blocking(work)).await {
        Ok(done) => done.map_err(io::Error::other),
        Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "the disk does not answer")),
    }
}

#[cfg(test)]
mod tests;
