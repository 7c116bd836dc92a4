//! A directory as kubelet mounts and updates a secret (its `atomic_writer.go`): a directory per version, the link `..data` that
//! is swapped by a rename, a link per file through it, and the old version deleted last.
#![allow(dead_code, reason = "each test program uses its part")]

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

pub struct Mount {
    directory: PathBuf,
    version: u64,
    files: BTreeMap<String, Vec<u8>>,
}

impl Mount {
    pub fn new(directory: &Path) -> Self {
        Self { directory: directory.to_owned(), version: 0, files: BTreeMap::new() }
    }

    pub fn path(&self) -> &Path {
        &self.directory
    }

    /// Replaces all files by these, in the steps and the order of kubelet.
    pub fn update<'a>(&mut self, files: impl IntoIterator<Item = (&'a str, &'a [u8])>) {
        let files: BTreeMap<String, Vec<u8>> =
            files.into_iter().map(|(name, contents)| (name.to_owned(), contents.to_vec())).collect();
        let old = self.directory.join(self.version_name());
        self.version += 1;
        let new = self.directory.join(self.version_name());
        fs::create_dir(&new).unwrap();
        for (name, contents) in &files {
            fs::write(new.join(name), contents).unwrap();
        }
        symlink(self.version_name(), self.directory.join("..data_tmp")).unwrap();
        fs::rename(self.directory.join("..data_tmp"), self.directory.join("..data")).unwrap();
        for name in files.keys().filter(|name| !self.files.contains_key(*name)) {
            symlink(Path::new("..data").join(name), self.directory.join(name)).unwrap();
        }
        for name in self.files.keys().filter(|name| !files.contains_key(*name)) {
            fs::remove_file(self.directory.join(name)).unwrap();
        }
        if old.exists() {
            fs::remove_dir_all(&old).unwrap();
        }
        self.files = files;
    }

    fn version_name(&self) -> String {
        format!("..2026_01_01_00_00_00.{:09}", self.version)
    }
}
