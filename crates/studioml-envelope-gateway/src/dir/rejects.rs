//! The reject queue of a directory: `<root>/.gateway/rejected/<name>`, and beside it `<name>.reason.json`.
//!
//! A rejected message is renamed, never copied, so it is there as it came, in one step, and cannot be lost between two
//! places. Bounded in count, bytes and age: the oldest go first.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use serde::Serialize;

use super::{named, rename_new, shortened, with_suffix};
use crate::config::RejectsConfig;
use crate::decision::Reason;
use crate::queue::QueueName;

const REASON_SUFFIX: &str = ".reason.json";
/// The longest that is ever put behind a name.
const LONGEST_SUFFIX: usize = "-4294967295".len() + REASON_SUFFIX.len();
/// Another gateway's entries are counted when the folder is read again, this often.
const READ_AGAIN: Duration = Duration::from_secs(60);

pub(super) struct Rejects {
    folder: PathBuf,
    bounds: RejectsConfig,
    kept: Mutex<Kept>,
}

/// What is in the folder, oldest first.
struct Kept {
    entries: VecDeque<Entry>,
    bytes: u64,
    read_at: Instant,
}

struct Entry {
    name: OsString,
    bytes: u64,
    since: SystemTime,
}

/// What stands in `<name>.reason.json`.
#[derive(Serialize)]
struct ReasonFile<'r> {
    queue: &'r str,
    name: &'r str,
    bytes: u64,
    reason: &'static str,
    detail: &'r str,
    /// Seconds since 1970-01-01 00:00 UTC.
    rejected_at: f64,
}

impl Rejects {
    pub(super) fn open(folder: PathBuf, bounds: &RejectsConfig) -> io::Result<Self> {
        fs::create_dir_all(&folder).map_err(|error| named(&folder, &error))?;
        let kept = Kept::read(&folder)?;
        let rejects = Self { folder, bounds: bounds.clone(), kept: Mutex::new(kept) };
        rejects.trim();
        Ok(rejects)
    }

    /// Moves a file in, under its name or one like it, with its reason beside it.
    pub(super) fn take(
        &self,
        path: &Path,
        queue: &QueueName,
        name: &OsStr,
        bytes: u64,
        reason: &Reason,
    ) -> io::Result<()> {
        let now = SystemTime::now();
        let since_1970 = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let file = ReasonFile {
            queue: queue.as_str(),
            name: &name.to_string_lossy(),
            bytes,
            reason: reason.code.as_str(),
            detail: &reason.detail,
            rejected_at: since_1970.as_secs_f64(),
        };
        let text = serde_json::to_vec_pretty(&file).map_err(io::Error::other)?;
        let name = shortened(name, LONGEST_SUFFIX);
        let mut kept_name = name.clone();
        let mut number: u32 = 0;
        while !self.move_in(path, &kept_name, &text)? {
            number = number.saturating_add(1);
            kept_name = with_suffix(&name, &format!("-{number}"));
        }
        let mut kept = self.kept();
        kept.bytes = kept.bytes.saturating_add(bytes);
        kept.entries.push_back(Entry { name: kept_name, bytes, since: now });
        drop(kept);
        self.trim();
        Ok(())
    }

    /// Moves a file in under this name, with its reason beside it. `Ok(false)` if one of the two names is taken.
    fn move_in(&self, path: &Path, name: &OsStr, reason: &[u8]) -> io::Result<bool> {
        // the reason first: an entry never stands there without one
        let reason_path = self.folder.join(with_suffix(name, REASON_SUFFIX));
        let mut file = match OpenOptions::new().write(true).create_new(true).mode(0o640).open(&reason_path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                self.remove_reason_without_entry(name);
                return Ok(false);
            }
            Err(error) => return Err(error),
        };
        let moved = file.write_all(reason).and_then(|()| rename_new(path, &self.folder.join(name)));
        if !matches!(moved, Ok(true)) {
            // each try would leave another one, on a disk that is full already
            let _ = fs::remove_file(&reason_path);
        }
        moved
    }

    /// Removes what is beyond the bounds.
    pub(super) fn trim(&self) {
        let mut kept = self.kept();
        if kept.read_at.elapsed() > READ_AGAIN {
            match Kept::read(&self.folder) {
                Ok(read) => *kept = read,
                Err(error) => tracing::warn!(%error, "the folder of rejected messages cannot be read"),
            }
        }
        let oldest_kept = SystemTime::now().checked_sub(Duration::from_secs(self.bounds.max_age_seconds));
        while let Some(entry) = kept.entries.front() {
            let too_many = kept.entries.len() as u64 > self.bounds.max_count || kept.bytes > self.bounds.max_bytes;
            let too_old = oldest_kept.is_some_and(|oldest| entry.since < oldest);
            // the last one stays, whatever its size: it was promised to be kept
            if !too_old && (!too_many || kept.entries.len() == 1) {
                break;
            }
            let Some(entry) = kept.entries.pop_front() else { break };
            kept.bytes = kept.bytes.saturating_sub(entry.bytes);
            for name in [entry.name.clone(), with_suffix(&entry.name, REASON_SUFFIX)] {
                let _ = fs::remove_file(self.folder.join(name)); // somebody took it: as good
            }
        }
    }

    /// A process that was killed between writing a reason and moving the message leaves the reason alone behind.
    fn remove_reason_without_entry(&self, name: &OsStr) {
        let reason_name = with_suffix(name, REASON_SUFFIX);
        if self.folder.join(with_suffix(&reason_name, REASON_SUFFIX)).exists() {
            return; // it has a reason of its own: a message of such a name
        }
        let reason = self.folder.join(reason_name);
        let age = fs::symlink_metadata(&reason).and_then(|data| data.modified()).map(|time| time.elapsed());
        let old = matches!(age, Ok(Ok(age)) if age > Duration::from_secs(60));
        if old && !self.folder.join(name).exists() {
            let _ = fs::remove_file(reason); // another name is taken this time in any case
        }
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn read(folder: &Path) -> io::Result<Self> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let name = entry.file_name();
            // the reason of an entry is not one; a message may bear such a name too, and has a reason of its own
            let is_reason = name.as_encoded_bytes().ends_with(REASON_SUFFIX.as_bytes())
                && !folder.join(with_suffix(&name, REASON_SUFFIX)).exists();
            if is_reason {
                continue;
            }
            let Ok(data) = entry.metadata() else { continue };
            // renaming changes the inode, not the contents: when it came here, not when it was written
            use std::os::unix::fs::MetadataExt;
            let since = u64::try_from(data.ctime()).unwrap_or_default();
            let since = SystemTime::UNIX_EPOCH + Duration::new(since, u32::try_from(data.ctime_nsec()).unwrap_or(0));
            entries.push(Entry { name, bytes: data.len(), since });
        }
        entries.sort_by_key(|entry| entry.since);
        let bytes = entries.iter().map(|entry| entry.bytes).sum();
        Ok(Self { entries: entries.into(), bytes, read_at: Instant::now() })
    }
}
