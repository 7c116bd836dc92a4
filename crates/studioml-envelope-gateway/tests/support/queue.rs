//! The other parties of a directory queue, as the deployed programs behave.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::wait;

/// A queue in a directory.
pub struct Queue(PathBuf);

impl Queue {
    /// Makes the folder.
    pub fn create(root: &Path, name: &str) -> Self {
        let path = root.join(name);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    /// A queue that somebody else makes.
    pub fn at(root: &Path, name: &str) -> Self {
        Self(root.join(name))
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    /// As the Go programs write: beside, and renamed in.
    pub fn put(&self, name: &str, contents: &[u8]) {
        let beside = self.0.parent().unwrap().join(format!(".{name}.{}", self.0.file_name().unwrap().display()));
        fs::write(&beside, contents).unwrap();
        fs::rename(beside, self.0.join(name)).unwrap();
    }

    /// As [`put`](Self::put), with a modification time of its own, in milliseconds after some moment: the kernel's clock
    /// stands still for longer than it takes to write a file.
    pub fn put_at(&self, name: &str, contents: &[u8], milliseconds: u64) {
        let beside = self.0.parent().unwrap().join(format!(".{name}.{}", self.0.file_name().unwrap().display()));
        fs::write(&beside, contents).unwrap();
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000) + Duration::from_millis(milliseconds);
        File::open(&beside).unwrap().set_modified(time).unwrap();
        fs::rename(beside, self.0.join(name)).unwrap();
    }

    /// As the Python client writes: in place, under the marker.
    pub fn put_in_place(&self, name: &str, contents: &[u8]) {
        let marker = self.0.join("lock.lock");
        wait::until("the lock", || File::create_new(&marker).ok()).write_all(b"1\nanother-host\n").unwrap();
        let mut file = File::create(self.0.join(name)).unwrap();
        for part in contents.chunks(1024) {
            file.write_all(part).unwrap();
        }
        fs::remove_file(marker).unwrap();
    }

    /// The names of the messages there are, oldest first.
    pub fn names(&self) -> Vec<String> {
        let Ok(entries) = fs::read_dir(&self.0) else { return Vec::new() };
        let mut names = Vec::new();
        for entry in entries.map(Result::unwrap) {
            if let Ok(data) = entry.metadata() {
                assert!(data.is_file() && !entry.file_name().as_encoded_bytes().starts_with(b"."), "{entry:?}");
                names.push((data.modified().unwrap(), entry.file_name().into_string().unwrap()));
            }
        }
        names.sort();
        names.into_iter().map(|(_, name)| name).filter(|name| name != "lock.lock").collect()
    }

    /// Takes all messages there are, oldest first.
    pub fn take(&self) -> Vec<(String, Vec<u8>)> {
        let take = |name: String| {
            let path = self.0.join(&name);
            let contents = fs::read(&path).unwrap();
            fs::remove_file(path).unwrap();
            (name, contents)
        };
        self.names().into_iter().map(take).collect()
    }

    /// Waits for one message of this name, and takes it.
    pub fn wait_for(&self, name: &str) -> Vec<u8> {
        let path = self.0.join(name);
        let contents = wait::until(&format!("{}", path.display()), || fs::read(&path).ok());
        fs::remove_file(path).unwrap();
        contents
    }
}

/// What is in the reject queue of a root: reasons by the name of the message.
pub fn rejects(root: &Path) -> BTreeMap<String, serde_json::Value> {
    let folder = root.join(".gateway/rejected");
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(&folder).into_iter().flatten().map(Result::unwrap) {
        let name = entry.file_name().into_string().unwrap();
        if name.ends_with(".reason.json") {
            continue;
        }
        let reason = fs::read(folder.join(format!("{name}.reason.json"))).expect("a reason beside every entry");
        found.insert(name, serde_json::from_slice(&reason).unwrap());
    }
    found
}

/// The bytes of an entry of the reject queue.
pub fn rejected(root: &Path, name: &str) -> Vec<u8> {
    fs::read(root.join(".gateway/rejected").join(name)).unwrap()
}
