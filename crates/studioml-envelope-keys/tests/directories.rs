//! Queue key directories: which key a queue takes, what closes a prefix, and how changes are picked up (docs/spec.md §6).

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

#[path = "support/mount.rs"]
mod mount;
mod support;

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use mount::Mount;
use studioml_envelope_core::{
    Ed25519PublicKey, Fingerprint, FingerprintForm, KeyError, PublicKey, SigningPublicKey, TrustedSigner,
};
use studioml_envelope_keys::{
    KeyFileError, PublicFormat,
    directory::{
        Change, DEFAULT_INTERVAL, DirectoryError, KeyDirectory, MAX_INTERVAL, Problem, Reload, ReportKeys, Selection,
        Severity, SigningKeys, Watcher,
    },
    encode_public,
};
use support::{PROVIDER, expected, vector, vectors};
use tempfile::TempDir;

/// Nothing here takes this long, on a slow and busy machine either.
const LONG: Duration = Duration::from_secs(180);

/// A line with an Ed25519 key of our own numbering: the y-coordinate is the number, which no small-order point has.
fn line(number: u32) -> Vec<u8> {
    let mut bytes = [0x42; 32];
    bytes[..4].copy_from_slice(&number.to_be_bytes());
    bytes[31] = 0x11;
    let key = PublicKey::Ed25519(Ed25519PublicKey::from_bytes(&bytes).unwrap());
    encode_public(&key, PublicFormat::SshLine, "").unwrap()
}

fn number(key: &TrustedSigner) -> u32 {
    let SigningPublicKey::Ed25519(key) = key.public_key() else { panic!("not an Ed25519 key") };
    u32::from_be_bytes(key.as_bytes()[..4].try_into().unwrap())
}

/// The numbers of the keys that a queue takes; `Err` if it is closed, empty if it has none.
fn numbers(keys: &SigningKeys, queue: &str) -> Result<Vec<u32>, String> {
    match keys.select(queue) {
        Selection::Found { keys, .. } => Ok(keys.iter().map(|key| number(key)).collect()),
        Selection::Broken { reason, .. } => Err(reason.to_string()),
        Selection::None => Ok(Vec::new()),
    }
}

fn directory(files: &[(&str, &[u8])]) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    for (name, contents) in files {
        fs::write(directory.path().join(name), contents).unwrap();
    }
    directory
}

fn load(directory: &Path) -> SigningKeys {
    SigningKeys::load(directory, PROVIDER).unwrap()
}

fn findings(keys: &SigningKeys) -> Vec<String> {
    keys.findings().iter().map(|finding| format!("{} {finding}", finding.severity())).collect()
}

#[test]
fn queues_take_the_keys_that_the_deployed_runner_takes() {
    let keys = load(&vectors().join("signing-dir"));
    let expected = expected();
    let cases = expected["signing_dir"]["select_longest_prefix"].as_object().unwrap();
    assert!(cases.len() > 10);
    for (queue, fingerprint) in cases {
        let found = match keys.select(queue) {
            Selection::Found { keys, .. } => Some(keys[0].fingerprint().to_string()),
            Selection::None => None,
            Selection::Broken { reason, .. } => panic!("{queue}: {reason}"),
        };
        assert_eq!(found.as_deref(), fingerprint.as_str(), "{queue}");
    }
    assert_eq!(keys.findings(), []);
}

#[test]
fn what_is_no_prefix_is_skipped_and_said() {
    use std::{ffi::OsStr, os::unix::ffi::OsStrExt as _};
    let directory = directory(&[
        ("rmq_a_", &line(1)),
        ("rmq", &line(2)),
        (".rmq_hidden", &line(3)),
        ("info", b"Dummy Secret so resource remains present"),
        ("rmq_b", &line(4)),
    ]);
    fs::create_dir(directory.path().join("rmq_directory_")).unwrap();
    fs::write(directory.path().join(OsStr::from_bytes(b"rmq_\xff_")), line(5)).unwrap();
    rustix::fs::mkfifoat(rustix::fs::CWD, directory.path().join("rmq_pipe_"), rustix::fs::Mode::RUSR).unwrap();
    symlink("nowhere", directory.path().join("rmq_dangling_")).unwrap();
    let keys = load(directory.path());
    let prefixes: Vec<&str> = keys.prefixes().map(|(prefix, _)| prefix).collect();
    assert_eq!(prefixes, ["rmq_a_", "rmq_b", "rmq_dangling_", "rmq_pipe_"]);
    let mut found = findings(&keys);
    found.sort();
    assert_eq!(
        found,
        [
            "error rmq_dangling_: cannot be read: entity not found",
            "error rmq_pipe_: not a regular file",
            "warning rmq: ignored: a queue-name prefix has at least 4 characters",
            "warning rmq_b: the prefix does not end in '_': it covers every queue whose name begins so",
            "warning rmq_\u{fffd}_: ignored: the name is not UTF-8",
        ]
    );
    assert!(keys.has_errors());
    fs::remove_file(directory.path().join("rmq_pipe_")).unwrap();
    fs::remove_file(directory.path().join("rmq_dangling_")).unwrap();
    assert!(!load(directory.path()).has_errors(), "warnings alone are no errors");
}

#[test]
fn a_set_that_kubernetes_has_not_finished_is_not_taken() {
    let root = directory(&[]);
    let set = root.path().join("..set");
    fs::create_dir(&set).unwrap();
    fs::write(set.join("rmq_a_"), line(1)).unwrap();
    symlink("nowhere", set.join("rmq_b_")).unwrap();
    symlink("..set", root.path().join("..data")).unwrap();
    assert!(matches!(SigningKeys::load(root.path(), PROVIDER), Err(DirectoryError::Unsteady)));
    fs::remove_file(set.join("rmq_b_")).unwrap();
    assert_eq!(numbers(&load(root.path()), "rmq_a_1"), Ok(vec![1]));
}

#[test]
fn a_missing_or_empty_directory_has_no_keys() {
    let directory = directory(&[]);
    assert!(load(directory.path()).is_empty());
    let missing = load(&directory.path().join("missing"));
    assert!(missing.is_empty() && !missing.has_errors());
    assert!(matches!(missing.select("rmq_a_1"), Selection::None));
}

#[test]
fn keys_that_went_are_lost_and_a_directory_that_never_had_any_is_empty() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("signing");
    let held = KeyDirectory::<TrustedSigner>::open(&path, PROVIDER);
    assert!(held.current().is_lost(), "there is no directory");
    fs::create_dir(&path).unwrap();
    assert!(held.reload().is_some(), "that there is one now is a change");
    fs::write(path.join("info"), b"a placeholder").unwrap();
    held.reload();
    assert!(!held.current().is_lost());

    fs::write(path.join("rmq_a_"), line(1)).unwrap();
    held.reload().unwrap();
    assert!(!held.current().is_lost());
    fs::remove_file(path.join("rmq_a_")).unwrap();
    held.reload().unwrap();
    assert!(held.current().is_lost(), "it held keys");

    // nor is that forgotten while it cannot be read
    fs::remove_dir_all(&path).unwrap();
    fs::write(&path, b"a file where the directory was").unwrap();
    held.reload().unwrap();
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    held.reload().unwrap();
    assert!(held.current().is_lost());
}

#[test]
fn a_broken_file_closes_its_prefix_and_no_shorter_one_takes_over() {
    let directory = directory(&[("rmq_", &line(1)), ("rmq_a_", b"garbage"), ("rmq_b_", &line(2))]);
    let keys = load(directory.path());
    assert_eq!(numbers(&keys, "rmq_c_1"), Ok(vec![1]));
    assert_eq!(numbers(&keys, "rmq_b_1"), Ok(vec![2]));
    let Selection::Broken { prefix, reason } = keys.select("rmq_a_1") else { panic!("not closed") };
    assert_eq!((prefix, reason), ("rmq_a_", &Problem::KeyFile(KeyFileError::Unrecognised)));
    let [finding] = keys.findings() else { panic!("{:?}", keys.findings()) };
    assert_eq!((finding.file.as_str(), &finding.problem, finding.severity()), ("rmq_a_", reason, Severity::Error));
}

#[test]
fn a_link_that_leads_nowhere_closes_its_prefix() {
    let directory = directory(&[("rmq_", &line(1))]);
    symlink("nowhere", directory.path().join("rmq_a_")).unwrap();
    let keys = load(directory.path());
    assert_eq!(numbers(&keys, "rmq_b_1"), Ok(vec![1]));
    let Selection::Broken { prefix, reason } = keys.select("rmq_a_1") else { panic!("not closed") };
    assert_eq!((prefix, reason), ("rmq_a_", &Problem::Unreadable(std::io::ErrorKind::NotFound)));
}

#[test]
fn a_finding_is_one_line_whatever_the_file_is_called() {
    let directory = directory(&[("rmq_a\n\u{1b}[2J_", b"garbage")]);
    let keys = load(directory.path());
    let shown: Vec<String> = keys.findings().iter().map(ToString::to_string).collect();
    assert!(shown.iter().all(|line| !line.contains(char::is_control)), "{shown:?}");
    assert!(shown.iter().any(|line| line.starts_with(r"rmq_a\n\u{1b}[2J_: ")), "{shown:?}");
}

#[test]
fn one_bad_key_among_several_closes_the_prefix() {
    let several = [line(1), line(2), b"\n# the next one is from the other site\n".to_vec(), line(3)].concat();
    let one_bad = [line(1), b"ssh-ed25519 AAAAgarbage\n".to_vec()].concat();
    let rsa = vector("keyfiles/rsa.ssh-line");
    let private = vector("keyfiles/ed25519.openssh");
    let blocks = [vector("keyfiles/ed25519.spki.pem"), vector("keyfiles/ec.spki.pem"), line(4)].concat();
    let directory = directory(&[
        ("rmq_several_", &several),
        ("rmq_one_bad_", &one_bad),
        ("rmq_rsa_", &rsa),
        ("rmq_private_", &private),
        ("rmq_blocks_", &blocks),
        ("rmq_twice_", &[line(7), line(7)].concat()),
        ("rmq_empty_", b""),
    ]);
    let keys = load(directory.path());
    assert_eq!(numbers(&keys, "rmq_several_1"), Ok(vec![1, 2, 3]));
    let reason = |queue: &str| match keys.select(queue) {
        Selection::Broken { reason: Problem::KeyFile(error), .. } => error.clone(),
        other => panic!("{queue}: {other:?}"),
    };
    assert_eq!(reason("rmq_one_bad_1"), KeyFileError::Damaged { structure: "SSH public key line" });
    assert_eq!(reason("rmq_rsa_1"), KeyFileError::Key(KeyError::Kind { expected: "Ed25519 or P-256", found: "RSA" }));
    assert_eq!(reason("rmq_private_1"), KeyFileError::PrivateWherePublic);
    assert_eq!(reason("rmq_empty_1"), KeyFileError::Unrecognised);
    let Selection::Found { keys: blocks, .. } = keys.select("rmq_blocks_1") else { panic!("closed") };
    assert_eq!(blocks.iter().map(|key| key.public_key().kind()).collect::<Vec<_>>(), ["Ed25519", "P-256", "Ed25519"]);
    assert!(findings(&keys).contains(&"warning rmq_twice_: the same key stands in the file more than once".to_owned()));
}

#[test]
fn report_keys_are_one_rsa_key_each() {
    let rsa = vector("keyfiles/rsa.pub-pkcs1.pem");
    let other = vector("python/keys/studioml_message.pub.pem");
    let directory =
        directory(&[("rmq_a_", &rsa), ("rmq_two_", &[rsa.clone(), other].concat()), ("rmq_signing_", &line(1))]);
    let keys = ReportKeys::load(directory.path(), PROVIDER).unwrap();
    let Selection::Found { prefix, keys: [key] } = keys.select("rmq_a_1_response") else { panic!("closed") };
    assert_eq!((prefix, key.recipient().wrapped_len()), ("rmq_a_", 512));
    let fingerprint =
        Fingerprint::of(&PublicKey::Rsa(key.public_key().clone()), FingerprintForm::SshSha256, PROVIDER.digest);
    assert_eq!(fingerprint.to_string(), "SHA256:ZOkXiJhSyWDiCkePCOMtuFbwvv/aDoy4/uRmYdpQqlA");
    assert_eq!(format!("{key:?}"), format!("ReportKey({:?})", key.public_key()));
    assert!(matches!(
        keys.select("rmq_two_1_response"),
        Selection::Broken { reason: Problem::KeyFile(KeyFileError::SeveralKeys { found: 2 }), .. }
    ));
    assert!(matches!(
        keys.select("rmq_signing_1_response"),
        Selection::Broken { reason: Problem::KeyFile(KeyFileError::Key(KeyError::Kind { .. })), .. }
    ));
}

#[test]
fn a_reload_sees_what_changed_and_keeps_what_did_not() {
    let directory = directory(&[("rmq_a_", &line(1)), ("rmq_b_", &line(2)), ("rmq_c_", &line(3))]);
    let held = KeyDirectory::<TrustedSigner>::open(directory.path(), PROVIDER);
    let before = held.current();
    assert_eq!(held.reload(), None);
    assert!(Arc::ptr_eq(&before, &held.current()), "nothing changed, nothing is replaced");

    fs::write(directory.path().join("rmq_b_"), line(20)).unwrap();
    fs::remove_file(directory.path().join("rmq_c_")).unwrap();
    fs::write(directory.path().join("rmq_d_"), line(4)).unwrap();
    let change = held.reload().unwrap();
    assert_eq!(
        (change.added, change.changed, change.removed),
        (vec!["rmq_d_".into()], vec!["rmq_b_".into()], vec!["rmq_c_".into()])
    );
    let after = held.current();
    assert_eq!(numbers(&after, "rmq_b_1"), Ok(vec![20]));
    assert!(matches!(after.select("rmq_c_1"), Selection::None), "a deleted key is revoked at once");
    assert_eq!(numbers(&after, "rmq_d_1"), Ok(vec![4]));
    let (Selection::Found { keys: old, .. }, Selection::Found { keys: new, .. }) =
        (before.select("rmq_a_1"), after.select("rmq_a_1"))
    else {
        panic!("closed");
    };
    assert!(Arc::ptr_eq(&old[0], &new[0]), "an unchanged file is not loaded again");

    fs::write(directory.path().join("abc"), line(5)).unwrap();
    let change = held.reload().expect("a file that is ignored is said to be");
    assert_eq!((change.added, change.changed, change.removed), (vec![], vec![], vec![]));
    assert!(change.findings.iter().any(|finding| finding.to_string().contains("abc")), "{:?}", change.findings);
}

#[test]
fn a_file_that_still_cannot_be_read_has_not_changed() {
    let directory = directory(&[("rmq_a_", &line(1)), ("rmq_large_", b"")]);
    let large = directory.path().join("rmq_large_");
    fs::File::create(&large).unwrap().set_len(1 << 33).unwrap();
    let held = KeyDirectory::<TrustedSigner>::open(directory.path(), PROVIDER);
    fs::write(directory.path().join("rmq_a_"), line(2)).unwrap();
    assert_eq!(held.reload().unwrap().changed, ["rmq_a_"]);
    // for another reason
    fs::remove_file(&large).unwrap();
    rustix::fs::mkfifoat(rustix::fs::CWD, &large, rustix::fs::Mode::RUSR).unwrap();
    assert_eq!(held.reload().unwrap().changed, ["rmq_large_"]);
    assert_eq!(held.reload(), None);
}

#[test]
fn a_replacement_with_the_same_size_and_times_is_seen() {
    let directory = directory(&[("rmq_a_", &line(1))]);
    let path = directory.path().join("rmq_a_");
    let held = KeyDirectory::<TrustedSigner>::open(directory.path(), PROVIDER);
    let modified = fs::metadata(&path).unwrap().modified().unwrap();
    fs::write(&path, line(2)).unwrap();
    fs::File::options().write(true).open(&path).unwrap().set_modified(modified).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().modified().unwrap(), modified);
    assert_eq!(held.reload().unwrap().changed, ["rmq_a_"]);
    assert_eq!(numbers(&held.current(), "rmq_a_1"), Ok(vec![2]));
}

#[test]
fn a_file_overwritten_with_garbage_is_closed_and_opens_again_when_mended() {
    let directory = directory(&[("rmq_a_", &line(1)), ("rmq_b_", &line(2))]);
    let held = KeyDirectory::<TrustedSigner>::open(directory.path(), PROVIDER);
    fs::write(directory.path().join("rmq_a_"), b"garbage").unwrap();
    let change = held.reload().unwrap();
    assert_eq!(change.findings.len(), 1);
    assert!(numbers(&held.current(), "rmq_a_1").is_err(), "the old key is not trusted any more");
    assert_eq!(numbers(&held.current(), "rmq_b_1"), Ok(vec![2]));
    fs::write(directory.path().join("rmq_a_"), line(3)).unwrap();
    assert_eq!(held.reload().unwrap().findings, []);
    assert_eq!(numbers(&held.current(), "rmq_a_1"), Ok(vec![3]));
}

#[test]
fn a_directory_that_cannot_be_read_closes_everything_and_one_that_goes_revokes_everything() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("signing");
    fs::create_dir(&path).unwrap();
    fs::write(path.join("rmq_a_"), line(1)).unwrap();
    let held = KeyDirectory::<TrustedSigner>::open(&path, PROVIDER);
    assert_eq!(numbers(&held.current(), "rmq_a_1"), Ok(vec![1]));

    fs::remove_dir_all(&path).unwrap();
    assert_eq!(held.reload().unwrap().removed, ["rmq_a_"]);
    assert!(matches!(held.current().select("rmq_a_1"), Selection::None));

    fs::write(&path, b"a file where the directory was").unwrap();
    assert_eq!(held.reload().unwrap().findings.len(), 1);
    for queue in ["rmq_a_1", "sqs_x"] {
        assert!(matches!(held.current().select(queue), Selection::Broken { prefix: "", .. }), "{queue}");
    }
    assert_eq!(held.reload(), None, "told once");

    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    fs::write(path.join("rmq_a_"), line(2)).unwrap();
    assert_eq!(held.reload().unwrap().added, ["rmq_a_"]);
    assert_eq!(numbers(&held.current(), "rmq_a_1"), Ok(vec![2]));
}

/// Two sets that differ in every key and in which files there are.
fn versions() -> [BTreeMap<String, Vec<u8>>; 2] {
    let names = ["rmq_a_", "rmq_b_", "rmq_c_", "rmq_d_"];
    let mut old: BTreeMap<String, Vec<u8>> = names.iter().map(|name| ((*name).into(), line(1))).collect();
    let mut new: BTreeMap<String, Vec<u8>> = names.iter().map(|name| ((*name).into(), line(2))).collect();
    old.insert("rmq_old_".into(), line(1));
    new.insert("rmq_new_".into(), line(2));
    [old, new]
}

/// All keys of a set carry the same number and the files are all there: 1 is the old set, 2 the new one.
fn assert_whole(keys: &SigningKeys) -> u32 {
    let (set, other) = match numbers(keys, "rmq_a_1").unwrap().as_slice() {
        [1] => (1, ["rmq_old_", "rmq_new_"]),
        [2] => (2, ["rmq_new_", "rmq_old_"]),
        mixed => panic!("{mixed:?}"),
    };
    for queue in ["rmq_a_", "rmq_b_", "rmq_c_", "rmq_d_", other[0]] {
        assert_eq!(numbers(keys, queue), Ok(vec![set]), "{queue} in set {set}");
    }
    assert_eq!(numbers(keys, other[1]), Ok(vec![]), "{} in set {set}", other[1]);
    assert_eq!((keys.len(), keys.findings()), (5, [].as_slice()));
    set
}

/// The real swap of Kubernetes, thousands of times, under threads that scan the directory themselves and threads that take
/// what a reloading thread put there: each sees all of the old set or all of the new one, and both get seen.
#[test]
fn readers_see_whole_sets_while_kubernetes_swaps_them() {
    const SWAPS: usize = 3000;
    let root = tempfile::tempdir().unwrap();
    let mut mount = Mount::new(root.path());
    let versions = versions();
    let update = |mount: &mut Mount, swap: usize| {
        mount.update(versions[swap % 2].iter().map(|(name, contents)| (name.as_str(), contents.as_slice())));
    };
    update(&mut mount, 0);
    let held = Arc::new(KeyDirectory::<TrustedSigner>::open(root.path(), PROVIDER));
    let stop = AtomicBool::new(false);
    let seen: [[AtomicUsize; 2]; 2] = Default::default();

    let running = || !stop.load(Ordering::Relaxed);
    let count = |who: usize, set: u32| {
        seen[who][usize::try_from(set).unwrap() - 1].fetch_add(1, Ordering::Relaxed);
    };
    thread::scope(|scope| {
        // whatever happens here, the threads are told to stop
        struct Stop<'a>(&'a AtomicBool);
        impl Drop for Stop<'_> {
            fn drop(&mut self) {
                self.0.store(true, Ordering::Relaxed);
            }
        }
        let _stop = Stop(&stop);
        for _ in 0..2 {
            scope.spawn(|| {
                while running() {
                    count(0, assert_whole(&load(root.path())));
                }
            });
            scope.spawn(|| {
                while running() {
                    count(1, assert_whole(&held.current()));
                }
            });
        }
        scope.spawn(|| {
            while running() {
                held.reload();
            }
        });
        for swap in 1..=SWAPS {
            update(&mut mount, swap);
        }
        // on a loaded machine the swaps may be over before every reader has had its turn at both sets
        let deadline = Instant::now() + LONG;
        for swap in SWAPS.. {
            if seen.iter().flatten().all(|seen| seen.load(Ordering::Relaxed) > 0) {
                break;
            }
            assert!(Instant::now() < deadline, "sets seen by scanning and by taking: {seen:?}");
            update(&mut mount, swap);
            thread::yield_now();
        }
    });
    assert!(seen.iter().flatten().all(|seen| seen.load(Ordering::Relaxed) > 0), "{seen:?}");
}

fn wait_until(what: &str, deadline: Duration, condition: impl Fn() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < deadline, "{what}: not within {deadline:?}");
        thread::yield_now();
    }
}

/// Makes changes until one is picked up in half of the longest interval, which no look at the interval's end does: the first
/// comes right after the watcher's first look, and each other right after a look. A busy machine may be late for some.
fn assert_seen_early(held: &KeyDirectory<TrustedSigner>, mut change_to: impl FnMut(u32)) {
    for version in 2..12 {
        let started = Instant::now();
        change_to(version);
        wait_until("the new key", LONG, || numbers(&held.current(), "rmq_a_1") == Ok(vec![version]));
        if started.elapsed() < MAX_INTERVAL / 2 {
            return;
        }
    }
    panic!("every change had to wait for the interval");
}

#[test]
fn a_watcher_picks_up_changes_and_tells_of_them() {
    assert!(DEFAULT_INTERVAL <= MAX_INTERVAL && MAX_INTERVAL < Duration::from_secs(10));
    let root = tempfile::tempdir().unwrap();
    let mut mount = Mount::new(root.path());
    mount.update([("rmq_a_", line(1).as_slice())]);
    let held = Arc::new(KeyDirectory::<TrustedSigner>::open(root.path(), PROVIDER));
    let (told, changes) = mpsc::channel();
    let watcher = Watcher::spawn(vec![held.clone()], Duration::from_millis(10), move |change| {
        told.send(change.clone()).unwrap();
    })
    .unwrap();

    mount.update([("rmq_a_", line(2).as_slice()), ("rmq_b_", b"garbage")]);
    let change = changes.recv_timeout(LONG).unwrap();
    assert_eq!(
        (change.added, change.changed, change.findings.len()),
        (vec!["rmq_b_".into()], vec!["rmq_a_".into()], 1)
    );
    assert_eq!(numbers(&held.current(), "rmq_a_1"), Ok(vec![2]));

    mount.update([("rmq_b_", line(3).as_slice())]);
    assert_eq!(changes.recv_timeout(LONG).unwrap().removed, ["rmq_a_"]);
    assert_eq!(numbers(&held.current(), "rmq_b_1"), Ok(vec![3]));
    assert_eq!(numbers(&held.current(), "rmq_a_1"), Ok(vec![]));

    drop(watcher);
    assert!(matches!(changes.recv(), Err(mpsc::RecvError)), "the thread is gone with the watcher");
}

/// Says when it begins to look, and takes its time.
struct Slow {
    begun: mpsc::SyncSender<()>,
    finished: AtomicBool,
}

impl Reload for Slow {
    fn reload(&self) -> Option<Change> {
        let _ = self.begun.try_send(());
        thread::sleep(Duration::from_millis(300));
        self.finished.store(true, Ordering::SeqCst);
        None
    }

    fn directories(&self) -> Vec<PathBuf> {
        Vec::new()
    }
}

#[test]
fn a_watcher_that_is_dropped_has_ended_its_look() {
    let (begun, begins) = mpsc::sync_channel(1);
    let slow = Arc::new(Slow { begun, finished: AtomicBool::new(false) });
    let watcher = Watcher::spawn(vec![slow.clone()], Duration::from_millis(1), |_| {}).unwrap();
    begins.recv_timeout(LONG).unwrap();
    drop(watcher);
    assert!(slow.finished.load(Ordering::SeqCst));
}

#[test]
fn a_watcher_looks_when_told_to() {
    let directory = directory(&[("rmq_a_", &line(1))]);
    let held = Arc::new(KeyDirectory::<TrustedSigner>::open(directory.path(), PROVIDER));
    let watcher = Watcher::spawn(vec![held.clone()], Duration::from_secs(3600), |_| {}).unwrap();
    assert_seen_early(&held, |version| {
        fs::write(directory.path().join("rmq_a_"), line(version)).unwrap();
        watcher.look_now();
    });
}

#[cfg(feature = "notify")]
#[test]
fn a_hint_of_the_system_makes_it_look_early() {
    let root = tempfile::tempdir().unwrap();
    let mut mount = Mount::new(root.path());
    mount.update([("rmq_a_", line(1).as_slice())]);
    let held = Arc::new(KeyDirectory::<TrustedSigner>::open(root.path(), PROVIDER));
    let _watcher = Watcher::spawn(vec![held.clone()], MAX_INTERVAL, |_| {}).unwrap();
    assert_seen_early(&held, |version| mount.update([("rmq_a_", line(version).as_slice())]));
}

/// Whoever is told of changes must not be able to end them: what is revoked would stay in use.
#[test]
fn a_panic_of_who_is_told_does_not_end_the_watch() {
    let directory = directory(&[("rmq_a_", &line(1))]);
    let held = Arc::new(KeyDirectory::<TrustedSigner>::open(directory.path(), PROVIDER));
    let (tell, told) = mpsc::channel();
    let _watcher = Watcher::spawn(vec![held.clone()], Duration::from_millis(10), move |change: &Change| {
        tell.send(change.added.clone()).unwrap();
        panic!("this panic is meant to be");
    })
    .unwrap();
    for (name, files) in [("rmq_b_", 2), ("rmq_c_", 3)] {
        fs::write(directory.path().join(name), line(2)).unwrap();
        wait_until(name, LONG, || held.current().len() == files);
    }
    assert_eq!(told.recv_timeout(LONG).unwrap(), ["rmq_b_"]);
}
