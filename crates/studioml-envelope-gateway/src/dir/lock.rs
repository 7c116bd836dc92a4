//! `lock.lock`: the marker that keeps programs that write in place, and readers, out of each other's way.
//!
//! It holds `pid\nhostname\n` of its owner. A process that is killed leaves it behind, so a lock whose owner is known to be
//! gone, or that is older than anybody needs, is removed.

use std::fs::{self, File, FileTimes, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

/// The name of the marker.
pub(super) const NAME: &str = "lock.lock";

/// Who we are, and how patient.
#[derive(Debug)]
pub(super) struct Settings {
    pid: u32,
    hostname: String,
    stale_after: Duration,
    /// A file with our name in it, which is linked to where a marker is wanted: so a marker is never seen half written, not
    /// even if this process is killed in between. It is locked for as long as we live.
    signed: File,
    signed_path: PathBuf,
    /// Markers that this process holds: one that bears our pid and is none of these was left by a process that had the
    /// same pid before us, in the same container.
    held: Mutex<Vec<PathBuf>>,
}

/// A lock that is held; dropping it removes the marker.
pub(super) struct Lock<'s> {
    path: PathBuf,
    settings: &'s Settings,
}

impl Settings {
    /// `signed_path` is a name in a folder of our own, in the same file system.
    pub(super) fn new(stale_after: Duration, signed_path: PathBuf) -> io::Result<Self> {
        let (pid, hostname) = (std::process::id(), rustix::system::uname().nodename().to_string_lossy().into_owned());
        let mut signed = create_locked(&signed_path, 0o666)?;
        signed.write_all(format!("{pid}\n{hostname}\n").as_bytes())?;
        Ok(Self { pid, hostname, stale_after, signed, signed_path, held: Mutex::default() })
    }

    /// Tries for `patience` to get the lock of a folder. `Ok(None)` if somebody holds it all the time.
    pub(super) fn acquire(&self, folder: &Path, patience: Duration) -> io::Result<Option<Lock<'_>>> {
        let path = folder.join(NAME);
        let give_up = Instant::now() + patience;
        loop {
            self.held().push(path.clone()); // before it can be seen
            match self.mark(&path) {
                Ok(()) => return Ok(Some(Lock { path, settings: self })),
                Err(error) => {
                    self.forget(&path);
                    if error.kind() != io::ErrorKind::AlreadyExists {
                        return Err(error);
                    }
                }
            }
            if !self.remove_if_abandoned(&path)? {
                if Instant::now() >= give_up {
                    return Ok(None);
                }
                std::thread::sleep(Duration::from_millis(1)); // there is nothing to wait on but the marker itself
            }
        }
    }

    fn mark(&self, path: &Path) -> io::Result<()> {
        // others judge by its age whether it is abandoned
        self.signed.set_times(FileTimes::new().set_modified(SystemTime::now()))?;
        fs::hard_link(&self.signed_path, path)
    }

    fn forget(&self, path: &Path) {
        let mut held = self.held();
        if let Some(index) = held.iter().position(|held| held == path) {
            held.swap_remove(index);
        }
    }

    /// Removes the marker of an owner who is gone. Whether it is worth trying again at once.
    fn remove_if_abandoned(&self, path: &Path) -> io::Result<bool> {
        if !self.is_abandoned(path)? {
            return Ok(false);
        }
        // Two who find the same abandoned lock must not remove one that the other has made since: one at a time, and look
        // again. The folder itself serves as the lock for that.
        let folder = File::open(path.parent().unwrap_or(Path::new("/")))?;
        if folder.try_lock().is_err() {
            return Ok(false);
        }
        if self.is_abandoned(path)? {
            tracing::warn!(lock = %path.display(), "removing the lock of a process that is gone");
            remove_if_there(path)?;
        }
        Ok(true)
    }

    fn is_abandoned(&self, path: &Path) -> io::Result<bool> {
        let mut text = String::new();
        let age = match File::open(path) {
            Ok(file) => {
                let modified = file.metadata()?.modified()?;
                file.take(1024).read_to_string(&mut text)?;
                modified.elapsed().unwrap_or_default()
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error),
        };
        if age >= self.stale_after {
            return Ok(!self.held().iter().any(|held| held == path));
        }
        let mut lines = text.lines();
        let (pid, hostname) = (lines.next().and_then(|pid| pid.trim().parse::<u32>().ok()), lines.next());
        Ok(match pid {
            Some(pid) if hostname == Some(&self.hostname) && pid == self.pid => {
                !self.held().iter().any(|held| held == path)
            }
            Some(pid) if hostname == Some(&self.hostname) => !is_alive(pid),
            _ => false,
        })
    }

    fn held(&self) -> std::sync::MutexGuard<'_, Vec<PathBuf>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Lock<'_> {
    fn drop(&mut self) {
        // not one that somebody else has made, after taking ours for abandoned
        let inode = |data: io::Result<fs::Metadata>| data.map(|data| data.ino()).ok();
        if inode(fs::symlink_metadata(&self.path)) == inode(self.settings.signed.metadata()) {
            let _ = fs::remove_file(&self.path); // gone already: as good
        }
        self.settings.forget(&self.path);
    }
}

impl Drop for Settings {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.signed_path); // the next start would
    }
}

/// A new file, locked. Whoever cleans up may find it before it is, and removes it, holding the lock: then it is made again.
pub(super) fn create_locked(path: &Path, mode: u32) -> io::Result<File> {
    loop {
        let file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
        file.lock()?;
        if file.metadata()?.nlink() > 0 {
            return Ok(file);
        }
    }
}

fn is_alive(pid: u32) -> bool {
    let pid = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw);
    let alive = pid.map(rustix::process::test_kill_process);
    // EPERM: alive, and somebody else's
    matches!(alive, Some(Ok(()) | Err(rustix::io::Errno::PERM)))
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
