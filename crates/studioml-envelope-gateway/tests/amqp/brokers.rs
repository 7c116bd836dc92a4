//! A gateway's surroundings with brokers: a virtual host on each of two nodes, four mounts and a configuration file.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{LazyLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::support::keys::{Experimenter, Mounts, public_pem, report_key};
use crate::support::process::{Gateway, write_config};
use crate::support::rabbit::{Node, Vhost};

/// The outer and the inner broker of this program.
static NODES: LazyLock<[Node; 2]> = LazyLock::new(Node::start_two);
/// Who kills them is alone with them.
static TURNS: RwLock<()> = RwLock::new(());
static NEXT: AtomicUsize = AtomicUsize::new(0);

enum Turn {
    Shared { _turn: RwLockReadGuard<'static, ()> },
    Alone { _turn: RwLockWriteGuard<'static, ()> },
}

pub struct World {
    directory: tempfile::TempDir,
    pub mounts: Mounts,
    pub experimenter: Experimenter,
    pub outer: Vhost,
    pub inner: Vhost,
    _turn: Turn,
}

impl World {
    /// Beside other tests.
    pub fn new() -> Self {
        Self::in_turn(Turn::Shared { _turn: TURNS.read().unwrap_or_else(PoisonError::into_inner) })
    }

    /// With the brokers to oneself.
    pub fn alone() -> Self {
        Self::in_turn(Turn::Alone { _turn: TURNS.write().unwrap_or_else(PoisonError::into_inner) })
    }

    fn in_turn(turn: Turn) -> Self {
        let name = format!("world{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let [outer, inner] = &*NODES;
        let (outer, inner) = (outer.vhost(&name), inner.vhost(&name));
        let directory = tempfile::tempdir().unwrap();
        let mut mounts = Mounts::new(directory.path());
        let experimenter = Experimenter::new();
        mounts.signing.put("rmq_", &experimenter.public_line());
        mounts.reports.put("rmq_", &public_pem(report_key()));
        let world = Self { directory, mounts, experimenter, outer, inner, _turn: turn };
        world.configure("");
        world
    }

    /// The outer and the inner broker.
    pub fn nodes(&self) -> &'static [Node; 2] {
        assert!(matches!(self._turn, Turn::Alone { .. }), "others use them too");
        &NODES
    }

    /// The outer broker, to be asked and told things; others use it too.
    pub fn outer_node(&self) -> &'static Node {
        &NODES[0]
    }

    /// The inner broker, likewise.
    pub fn inner_node(&self) -> &'static Node {
        &NODES[1]
    }

    /// Writes the configuration file.
    pub fn configure(&self, tables: &str) -> PathBuf {
        let side = |name: &str, vhost: &Vhost| {
            format!(
                "[{name}]\nkind = \"amqp\"\nurl = \"{}\"\ndiscovery_seconds = 0.5\ntimeout_seconds = 5.0\n",
                vhost.url
            )
        };
        let text = format!(
            "{}{}[http]\nlisten = \"127.0.0.1:0\"\n{}{tables}",
            side("outer", &self.outer),
            side("inner", &self.inner),
            self.mounts.toml()
        );
        write_config(self.directory.path(), &text)
    }

    pub fn root(&self) -> &Path {
        self.directory.path()
    }

    pub fn start(&self) -> Gateway {
        Gateway::start(&self.directory.path().join("gateway.toml"))
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let [outer, inner] = &*NODES;
        outer.remove_vhost(&self.outer.name);
        inner.remove_vhost(&self.inner.name);
    }
}
