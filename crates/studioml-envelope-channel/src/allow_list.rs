//! The file of peers that are let in: a fingerprint a line, in any form of docs/spec.md §4, `#` begins a comment.
//!
//! Compared by content, not by time. What cannot be read lets nobody in: a missing file is an empty list, a line that is no
//! fingerprint is no peer.

use std::{
    collections::HashSet,
    io::{self, Read as _},
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard},
    time::Duration,
};

use studioml_envelope_core::Fingerprint;
use thiserror::Error;

use crate::{PeerKey, PeerPolicy};

/// The largest list that is read, in bytes: some 15,000 peers.
pub const MAX_ALLOW_LIST: u64 = 1024 * 1024;

/// The peers of a file, as it stands now.
#[derive(Debug)]
pub struct AllowList {
    path: PathBuf,
    current: RwLock<List>,
}

#[derive(Debug, Default)]
struct List {
    /// What the file held; `None` while it cannot be read.
    content: Option<Vec<u8>>,
    peers: HashSet<Fingerprint>,
    bad_lines: Vec<usize>,
}

/// An allow-list cannot be used as it stands.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum AllowListError {
    /// The file cannot be read. While it cannot, nobody is let in.
    #[error("list of peers: {0}")]
    Io(#[from] io::Error),
    /// The file is larger than [`MAX_ALLOW_LIST`].
    #[error("list of peers: larger than {MAX_ALLOW_LIST} bytes")]
    TooLarge,
    /// Some lines are neither fingerprint nor comment. They let nobody in; the others count.
    #[error(
        "list of peers: not a fingerprint in line{} {}",
        if lines.len() == 1 { "" } else { "s" },
        lines.iter().take(10).map(usize::to_string).collect::<Vec<_>>().join(", ")
    )]
    Lines {
        /// Their numbers, from 1.
        lines: Vec<usize>,
    },
}

impl AllowList {
    /// Reads a list. At the start every line has to be good.
    ///
    /// # Errors
    /// [`AllowListError`].
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, AllowListError> {
        let list = Self { path: path.into(), current: RwLock::default() };
        list.reload()?;
        Ok(list)
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How many peers are let in now.
    #[must_use]
    pub fn len(&self) -> usize {
        self.current().peers.len()
    }

    /// Whether nobody is let in now.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Reads the file again and tells whether it had changed. Blocks on the file.
    ///
    /// # Errors
    /// [`AllowListError`], after the list was made to be what can be read of the file.
    pub fn reload(&self) -> Result<bool, AllowListError> {
        let Look { changed, problem } = self.look();
        problem.map_or(Ok(changed), Err)
    }

    fn look(&self) -> Look {
        let (list, problem) = match read_bounded(&self.path) {
            Ok(content) if self.current().content.as_ref() == Some(&content) => {
                return Look { changed: false, problem: problem_of(&self.current().bad_lines) };
            }
            Ok(content) => {
                let list = parse(content);
                let problem = problem_of(&list.bad_lines);
                (list, problem)
            }
            Err(error) => (List::default(), Some(error)),
        };
        let changed = list.content.is_some() || self.current().content.is_some();
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = list;
        Look { changed, problem }
    }

    fn current(&self) -> RwLockReadGuard<'_, List> {
        self.current.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reloads for ever, as often as told, and reports each change and each new problem. Should `report` panic, the list is
    /// watched on: else who is taken off it later would stay in.
    pub async fn watch(self: Arc<Self>, every: Duration, report: impl Fn(&Self, Result<(), &AllowListError>)) {
        let mut last_problem = None;
        loop {
            tokio::time::sleep(every).await;
            let list = Arc::clone(&self);
            let Ok(Look { changed, problem }) = tokio::task::spawn_blocking(move || list.look()).await else {
                continue;
            };
            let outcome = problem.as_ref().map_or(Ok(()), Err);
            let shown = problem.as_ref().map(ToString::to_string);
            if changed || (shown.is_some() && shown != last_problem) {
                let _ = catch_unwind(AssertUnwindSafe(|| report(&self, outcome))); // the hook has told
            }
            last_problem = shown;
        }
    }
}

/// What a look at the file found.
struct Look {
    changed: bool,
    problem: Option<AllowListError>,
}

fn problem_of(bad_lines: &[usize]) -> Option<AllowListError> {
    (!bad_lines.is_empty()).then(|| AllowListError::Lines { lines: bad_lines.to_vec() })
}

impl PeerPolicy for AllowList {
    fn permits(&self, peer: &PeerKey) -> bool {
        let current = self.current();
        peer.fingerprints().iter().any(|fingerprint| current.peers.contains(fingerprint))
    }
}

fn read_bounded(path: &Path) -> Result<Vec<u8>, AllowListError> {
    let mut content = Vec::new();
    let file = std::fs::File::open(path)?;
    file.take(MAX_ALLOW_LIST.saturating_add(1)).read_to_end(&mut content)?;
    let too_large = u64::try_from(content.len()).is_ok_and(|length| length > MAX_ALLOW_LIST);
    if too_large { Err(AllowListError::TooLarge) } else { Ok(content) }
}

fn parse(content: Vec<u8>) -> List {
    let (mut peers, mut bad_lines) = (HashSet::new(), Vec::new());
    for (line, number) in content.split(|byte| *byte == b'\n').zip(1..) {
        let text = std::str::from_utf8(line).unwrap_or("not text");
        let entry = text.split_once('#').map_or(text, |(entry, _comment)| entry).trim();
        if entry.is_empty() {
            continue;
        }
        match entry.parse() {
            Ok(fingerprint) => drop(peers.insert(fingerprint)),
            Err(_) => bad_lines.push(number),
        }
    }
    List { content: Some(content), peers, bad_lines }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{Arc, Mutex},
        time::Duration,
    };

    use studioml_envelope_core::{AgreeStatic as _, Fingerprint, PublicKey};
    use studioml_envelope_rustcrypto::{AGREE_STATIC, DIGEST, RANDOM};

    use super::{AllowList, AllowListError, MAX_ALLOW_LIST};
    use crate::{PeerKey, PeerPolicy as _};

    fn peer() -> PeerKey {
        PeerKey::new(*AGREE_STATIC.generate(&RANDOM).unwrap().public_key(), &DIGEST)
    }

    fn file(content: &str) -> (tempfile::TempDir, std::path::PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("peers");
        std::fs::write(&path, content).unwrap();
        (folder, path)
    }

    #[test]
    fn every_form_and_comments() {
        let [a, b, c, d, stranger] = [peer(), peer(), peer(), peer(), peer()];
        let all = |peer: &PeerKey| Fingerprint::all_of(&PublicKey::P256(*peer.public_key()), &DIGEST);
        let content = format!(
            "# who may submit\n{}\n\n  {} # the laboratory\r\n{}\n\t{}",
            all(&a)[0],
            all(&b)[1],
            all(&c)[2],
            all(&d)[3]
        );
        let (_folder, path) = file(&content);
        let list = AllowList::open(&path).unwrap();
        assert_eq!(list.len(), 4);
        for known in [&a, &b, &c, &d] {
            assert!(list.permits(known));
        }
        assert!(!list.permits(&stranger));
    }

    #[test]
    fn a_change_counts_at_once_and_a_removal_too() {
        let (first, second) = (peer(), peer());
        let (_folder, path) = file(&first.fingerprint().to_string());
        let list = AllowList::open(&path).unwrap();
        assert!(!list.reload().unwrap(), "nothing has changed");
        std::fs::write(&path, second.fingerprint().to_string()).unwrap();
        assert!(list.reload().unwrap());
        assert!(!list.permits(&first));
        assert!(list.permits(&second));
    }

    #[test]
    fn a_bad_line_is_an_error_at_the_start_and_lets_nobody_in_later() {
        let (good, removed) = (peer(), peer());
        let (_folder, path) = file("SHA256:oops\n");
        assert!(matches!(AllowList::open(&path), Err(AllowListError::Lines { lines }) if lines == [1]));

        std::fs::write(&path, format!("{}\n{}", good.fingerprint(), removed.fingerprint())).unwrap();
        let list = AllowList::open(&path).unwrap();
        std::fs::write(&path, format!("{}\nSHA256:cut", good.fingerprint())).unwrap();
        for _ in 0..2 {
            let error = list.reload().unwrap_err();
            assert_eq!(error.to_string(), "list of peers: not a fingerprint in line 2");
            assert!(list.permits(&good));
            assert!(!list.permits(&removed));
        }
    }

    #[test]
    fn a_file_that_is_gone_or_too_large_lets_nobody_in() {
        let known = peer();
        let content = known.fingerprint().to_string();
        let (_folder, path) = file(&content);
        let list = AllowList::open(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert!(matches!(list.reload(), Err(AllowListError::Io(_))));
        assert!(!list.permits(&known));
        assert!(list.is_empty());

        let padding = "#".repeat(usize::try_from(MAX_ALLOW_LIST).unwrap());
        std::fs::write(&path, format!("{content}\n{padding}")).unwrap();
        assert!(matches!(list.reload(), Err(AllowListError::TooLarge)));
        assert!(!list.permits(&known));

        std::fs::write(&path, &content).unwrap();
        assert!(list.reload().unwrap());
        assert!(list.permits(&known));
    }

    #[tokio::test]
    async fn watching_reports_each_change_and_each_problem_once() {
        let (_folder, path) = file("");
        let list = Arc::new(AllowList::open(&path).unwrap());
        let reports = Arc::new(Mutex::new(Vec::new()));
        let (seen, into) = (Arc::clone(&reports), Arc::clone(&reports));
        let watcher = tokio::spawn(Arc::clone(&list).watch(Duration::from_millis(1), move |list, outcome| {
            into.lock().unwrap().push(outcome.map(|()| list.len()).map_err(ToString::to_string));
            panic!("a log that cannot be written: the list is watched on");
        }));
        // whole, as an editor does it: a look between emptying and writing would report the empty file
        let replace = |content: &str| {
            let new = path.with_extension("new");
            std::fs::write(&new, content).unwrap();
            std::fs::rename(&new, &path).unwrap();
        };
        let wait_for = async |count: usize| {
            tokio::time::timeout(Duration::from_secs(180), async {
                while seen.lock().unwrap().len() < count {
                    tokio::task::yield_now().await;
                }
            })
            .await
            .unwrap();
        };
        replace(&peer().fingerprint().to_string());
        wait_for(1).await;
        replace("nonsense");
        wait_for(2).await;
        // somebody new beside the same problem
        replace(&format!("nonsense\n{}", peer().fingerprint()));
        wait_for(3).await;
        assert_eq!(list.len(), 1);
        replace("# empty");
        wait_for(4).await;
        watcher.abort();
        let nonsense = Err("list of peers: not a fingerprint in line 1".to_owned());
        let expected = [Ok(1), nonsense.clone(), nonsense, Ok(0)];
        assert_eq!(*reports.lock().unwrap(), expected);
    }
}
