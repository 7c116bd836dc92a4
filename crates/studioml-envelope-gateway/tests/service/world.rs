//! Two roots, four mounts and a configuration file between them.

use std::path::{Path, PathBuf};

use crate::support::keys::{Experimenter, Mounts, public_pem, report_key};
use crate::support::process::{Gateway, write_config};
use crate::support::queue::Queue;

pub struct World {
    directory: tempfile::TempDir,
    pub mounts: Mounts,
    pub experimenter: Experimenter,
}

impl World {
    /// With one experimenter, whose keys cover all queues that begin with `rmq_`.
    pub fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut mounts = Mounts::new(directory.path());
        let experimenter = Experimenter::new();
        mounts.signing.put("rmq_", &experimenter.public_line());
        mounts.reports.put("rmq_", &public_pem(report_key()));
        let world = Self { directory, mounts, experimenter };
        world.configure("", "");
        world
    }

    /// Writes the configuration file: `top` stands before all tables, `tables` after them.
    pub fn configure(&self, top: &str, tables: &str) -> PathBuf {
        let text = format!(
            "{top}\n[outer]\nkind = \"dir\"\nroot = \"outer\"\n[inner]\nkind = \"dir\"\nroot = \"inner\"\n\
             [http]\nlisten = \"127.0.0.1:0\"\n{}{tables}",
            self.mounts.toml()
        );
        write_config(self.directory.path(), &text)
    }

    pub fn config(&self) -> PathBuf {
        self.directory.path().join("gateway.toml")
    }

    pub fn start(&self) -> Gateway {
        Gateway::start(&self.config())
    }

    pub fn root(&self) -> &Path {
        self.directory.path()
    }

    pub fn outer_root(&self) -> PathBuf {
        self.root().join("outer")
    }

    pub fn inner_root(&self) -> PathBuf {
        self.root().join("inner")
    }

    /// A queue at the outer side, made by an experimenter.
    pub fn outer(&self, queue: &str) -> Queue {
        Queue::create(&self.outer_root(), queue)
    }

    /// A queue at the inner side, made by the gateway.
    pub fn inner(&self, queue: &str) -> Queue {
        Queue::at(&self.inner_root(), queue)
    }
}
