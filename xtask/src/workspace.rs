//! Where the workspace is and what its members are, from `cargo metadata`.

use std::path::Path;

use anyhow::{Context, Result};
use cargo_metadata::{Metadata, MetadataCommand, Package};

/// The workspace this program was started in.
pub struct Workspace {
    metadata: Metadata,
}

impl Workspace {
    /// Asks cargo; dependencies are not resolved, so this needs neither network nor a lock file.
    pub fn load() -> Result<Self> {
        let metadata = MetadataCommand::new().no_deps().exec().context("cargo metadata")?;
        Ok(Self { metadata })
    }

    /// The folder of the root `Cargo.toml`.
    pub fn root(&self) -> &Path {
        self.metadata.workspace_root.as_std_path()
    }

    /// Cargo's target folder, wherever the environment or configuration puts it.
    pub fn target(&self) -> &Path {
        self.metadata.target_directory.as_std_path()
    }

    /// What `[workspace.metadata]` says under a name.
    pub fn stated(&self, name: &str) -> Option<&serde_json::Value> {
        self.metadata.workspace_metadata.get(name)
    }

    /// The packages of the workspace.
    pub fn members(&self) -> impl Iterator<Item = &Package> {
        self.metadata.packages.iter()
    }
}

#[cfg(test)]
impl From<Metadata> for Workspace {
    fn from(metadata: Metadata) -> Self {
        Self { metadata }
    }
}
