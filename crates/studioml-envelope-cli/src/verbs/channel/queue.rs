//! A directory queue as the server's outlet: one file a message, there whole or not at all.
//!
//! Other programs read the queue while it is written to, so a file is made and synced under `<root>/.gateway/tmp`, renamed in,
//! and the folder synced; nothing but messages ever stands in the queue.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

/// A queue: a folder in a root.
pub struct QueueWriter {
    queue: PathBuf,
    temporary: PathBuf,
}

impl QueueWriter {
    /// Makes the queue's folder, and the one for unfinished files beside it, where they are missing.
    pub fn open(queue: &Path) -> io::Result<Self> {
        fs::create_dir_all(queue)?;
        let queue = queue.canonicalize()?;
        let root = queue.parent().ok_or_else(|| io::Error::other("a queue is a folder in a root"))?;
        let temporary = root.join(".gateway").join("tmp");
        fs::create_dir_all(&temporary)?;
        Ok(Self { queue, temporary })
    }

    /// Writes a message under a name of its own. One that is there already with the same content is not written twice.
    pub fn write(&self, name: &str, message: &[u8]) -> io::Result<()> {
        // readable by the group, as the gateway writes them: who takes messages from a queue is another user
        let readable = fs::Permissions::from_mode(0o660);
        let mut file = tempfile::Builder::new().permissions(readable).tempfile_in(&self.temporary)?;
        file.write_all(message)?;
        file.as_file().sync_all()?;
        let path = self.queue.join(name);
        match file.persist_noclobber(&path) {
            Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists && fs::read(&path)? == message => {}
            Err(error) => return Err(error.error),
            Ok(_) => {}
        }
        File::open(&self.queue)?.sync_all()
    }
}
