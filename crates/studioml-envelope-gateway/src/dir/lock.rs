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

use rustix::fs::OFlags;

use super::named;

/// The name of the marker.
pub(super) const NAME: &str = "lock.lock";

/// A lock whose owner looks dead is left alone for so long: of a process in another container that has our host's name we see
/// nothing, and whoever writes a message is done well before.
const DEAD_FOR_CERTAIN: Duration = Duration::from_secs(5);

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
                        self.check_in_place()?; // or it would look as if the folder were gone
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

    /// Whether the file with our name is still where it was made. It is not when somebody has cleared the folder of temporary
    /// files, and when the root is another than it was: unmounted, or made anew.
    pub(super) fn check_in_place(&self) -> io::Result<()> {
        let ours = self.signed.metadata()?.ino();
        if fs::symlink_metadata(&self.signed_path).is_ok_and(|data| data.ino() == ours) {
            return Ok(());
        }
        let path = self.signed_path.display();
        Err(io::Error::other(format!(
            "{path} is gone: the directory was cleared, unmounted or replaced; it has to come back, or the gateway to be started \
             again"
        )))
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
            remove_if_there(path).map_err(|error| named(path, &error))?;
        }
        Ok(true)
    }

    fn is_abandoned(&self, path: &Path) -> io::Result<bool> {
        // its age before its text: others make it, and it may be anything
        let age = match fs::symlink_metadata(path) {
            Ok(data) => data.modified()?.elapsed().unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error),
        };
        if self.held().iter().any(|held| held == path) {
            return Ok(false);
        }
        Ok(age >= self.stale_after || (age >= DEAD_FOR_CERTAIN && self.is_of_dead_owner(path)))
    }

    /// Whether it tells its owner, and that is a process of this host that is not there. A text that cannot be read tells nothing.
    fn is_of_dead_owner(&self, path: &Path) -> bool {
        let text = read_text(path).unwrap_or_default();
        let mut lines = text.lines();
        let (pid, hostname) = (lines.next().and_then(|pid| pid.trim().parse::<u32>().ok()), lines.next());
        // one with our own pid that we do not hold was left by a process that had it before us
        pid.is_some_and(|pid| hostname == Some(&self.hostname) && (pid == self.pid || !is_alive(pid)))
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

/// The beginning of a marker. A link is not followed, and a pipe does not stop us.
fn read_text(path: &Path) -> io::Result<String> {
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    let mut text = String::new();
    file.take(1024).read_to_string(&mut text)?;
    Ok(text)
}

fn is_alive(pid: u32) -> bool {
    let pid = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw);
    let alive = pid.map(rustix::process::test_kill_process);
    // EPERM: alive, and somebody else's
    matches!(alive, Some(Ok(()) | Err(rustix::io::Errno::PERM)))
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        // one with something in it stays, and is told of
        Err(error) if error.kind() == io::ErrorKind::IsADirectory => fs::remove_dir(path),
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
