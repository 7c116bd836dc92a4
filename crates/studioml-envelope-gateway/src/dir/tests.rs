use super::*;
use crate::decision::{Published, Reason, ReasonCode};
use crate::queue::{Delivery, Outgoing, Sink, Source};

fn config(root: &Path) -> DirConfig {
    DirConfig { root: root.to_owned(), queues: "^rmq_".to_owned(), stale_lock_seconds: 60 }
}

fn open(root: &Path) -> Directory {
    Directory::open(&config(root), &RejectsConfig::default()).unwrap()
}

fn queue(name: &str) -> QueueName {
    QueueName::new(name).unwrap()
}

/// A root with one queue and the messages named.
fn with_messages(names: &[&str]) -> (tempfile::TempDir, QueueName) {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir(root.path().join("rmq_q")).unwrap();
    for name in names {
        fs::write(root.path().join("rmq_q").join(name), format!("contents of {name}")).unwrap();
    }
    (root, queue("rmq_q"))
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn claim_all(directory: &Directory, queue: &QueueName) -> Vec<Delivery> {
    fs::create_dir_all(directory.inflight_path(queue)).unwrap();
    directory.claim(queue, &mut source::Seen::default(), 100).unwrap()
}

fn outgoing(name: &str, body: &[u8]) -> Outgoing {
    Outgoing {
        body: Arc::new(body.to_vec().into()),
        message_id: "0123456789abcdef0123456789abcdef".to_owned(),
        file_name: Some(name.into()),
        source_queue: queue("rmq_q"),
        signer: None,
        taken_at: std::time::SystemTime::now(),
    }
}

#[test]
fn a_reader_skips_the_marker_dot_names_folders_links_and_pipes() {
    let (root, queue) = with_messages(&["message", ".hidden"]);
    let folder = root.path().join("rmq_q");
    fs::create_dir(folder.join("folder")).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", folder.join("link")).unwrap();
    rustix::fs::mknodat(CWD, folder.join("pipe"), rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    let directory = open(root.path());
    let claimed = claim_all(&directory, &queue);
    let found: Vec<_> = claimed.iter().map(|delivery| delivery.file_name.clone().unwrap()).collect();
    assert_eq!(found, ["message"]);
    assert_eq!(claimed[0].claim.read(100).unwrap(), b"contents of message");
    assert_eq!(claimed[0].claim.read(3).unwrap(), b"cont", "one byte more than the limit shows that it is longer");
    assert_eq!(names(&folder), [".hidden", "folder", "link", "pipe"], "and the marker is gone");
}

#[test]
fn the_oldest_comes_first() {
    let (root, queue) = with_messages(&["a", "b", "c"]);
    for (name, seconds) in [("a", 30), ("b", 10), ("c", 20)] {
        let time = std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        File::open(root.path().join("rmq_q").join(name)).unwrap().set_modified(time).unwrap();
    }
    let claimed = claim_all(&open(root.path()), &queue);
    let found: Vec<_> = claimed.iter().map(|delivery| delivery.file_name.clone().unwrap()).collect();
    assert_eq!(found, ["b", "c", "a"]);
}

#[test]
fn what_is_dropped_goes_back_and_what_a_living_gateway_holds_is_left_alone() {
    let (root, queue) = with_messages(&["message"]);
    let (one, other) = (open(root.path()), open(root.path()));
    let claimed = claim_all(&one, &queue);
    assert_eq!(other.put_back_orphans(), 0);
    assert!(names(&root.path().join("rmq_q")).is_empty());
    drop(claimed);
    assert_eq!(names(&root.path().join("rmq_q")), ["message"]);
}

#[test]
fn what_a_dead_gateway_held_is_put_back_at_the_start() {
    let (root, _) = with_messages(&["taken"]);
    let inflight = root.path().join(".gateway/inflight/rmq_q");
    fs::create_dir_all(&inflight).unwrap();
    for name in ["orphan", "taken"] {
        fs::write(inflight.join(name), "from before").unwrap();
    }
    fs::create_dir_all(root.path().join(".gateway/tmp")).unwrap();
    fs::write(root.path().join(".gateway/tmp/half-written"), "ha").unwrap();
    open(root.path());
    assert_eq!(names(&root.path().join("rmq_q")), ["orphan", "taken", "taken-1"], "nothing is overwritten");
    assert_eq!(fs::read(root.path().join("rmq_q/taken-1")).unwrap(), b"from before");
    assert!(names(&inflight).is_empty());
    assert!(names(&root.path().join(".gateway/tmp")).is_empty());
}

#[test]
fn what_a_living_gateway_writes_is_left_alone_and_what_dead_ones_wrote_is_removed() {
    let (root, _) = with_messages(&[]);
    let (one, other) = (open(root.path()), open(root.path()));
    let temporary = root.path().join(".gateway/tmp");
    let (half_written, killed) = (one.temporary_path(), ["7-dead-lock", "7-dead-0"].map(|name| temporary.join(name)));
    for path in killed.iter().chain([&half_written]) {
        fs::write(path, "ha").unwrap();
    }
    other.put_back_orphans();
    assert!(half_written.exists());
    assert_eq!(names(&temporary).len(), 3, "the locks of both, and what one of them writes");
    drop(one);
    other.put_back_orphans();
    assert_eq!(names(&temporary).len(), 1, "the lock of the other");
}

#[test]
fn a_message_of_a_deleted_queue_ends_in_the_reject_queue() {
    let (root, queue) = with_messages(&["message"]);
    let directory = open(root.path());
    let claimed = claim_all(&directory, &queue);
    fs::remove_dir_all(root.path().join("rmq_q")).unwrap();
    drop(claimed);
    assert_eq!(names(&root.path().join(".gateway/rejected")), ["message", "message.reason.json"]);
    assert!(!root.path().join("rmq_q").exists(), "a deleted queue stays deleted");
}

#[test]
fn a_message_of_a_name_that_is_in_flight_waits() {
    let (root, queue) = with_messages(&["message"]);
    let directory = open(root.path());
    let first = claim_all(&directory, &queue);
    fs::write(root.path().join("rmq_q/message"), "the second").unwrap();
    assert!(claim_all(&directory, &queue).is_empty());
    assert_eq!(first[0].claim.read(100).unwrap(), b"contents of message");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    assert!(runtime.block_on(first[0].claim.acknowledge()));
    let second = claim_all(&directory, &queue);
    assert_eq!(second[0].claim.read(100).unwrap(), b"the second");
}

#[test]
fn the_lock_of_a_living_process_is_respected_and_that_of_a_dead_one_removed() {
    let (root, queue) = with_messages(&["message"]);
    let directory = open(root.path());
    let marker = root.path().join("rmq_q/lock.lock");
    let hostname = rustix::system::uname().nodename().to_string_lossy().into_owned();

    // a process that lives: the one that started this test
    let parent = std::os::unix::process::parent_id();
    fs::write(&marker, format!("{parent}\n{hostname}\n")).unwrap();
    assert!(claim_all(&directory, &queue).is_empty());
    // another host: nobody knows
    fs::write(&marker, "1\nelsewhere\n").unwrap();
    assert!(claim_all(&directory, &queue).is_empty());
    assert!(marker.exists());
    // the same, of long ago
    grow_old(&marker, 61);
    assert_eq!(claim_all(&directory, &queue).len(), 1);

    // a process that is gone, and one that had our own pid in an earlier life of the container
    let mut child = std::process::Command::new("true").spawn().unwrap();
    let gone = child.id();
    child.wait().unwrap();
    for pid in [gone, std::process::id()] {
        fs::write(&marker, format!("{pid}\n{hostname}\n")).unwrap();
        // it may be one of another container, of which nothing is seen here, and in the middle of a message
        assert!(claim_all(&directory, &queue).is_empty(), "{pid}");
        grow_old(&marker, 6);
        assert_eq!(claim_all(&directory, &queue).len(), 1, "{pid}");
        assert!(!marker.exists());
    }
}

fn grow_old(path: &Path, seconds: u64) {
    let long_ago = std::time::SystemTime::now() - Duration::from_secs(seconds);
    File::open(path).unwrap().set_modified(long_ago).unwrap();
}

#[test]
fn a_lock_that_nobody_can_read_is_judged_by_its_age() {
    let (root, queue) = with_messages(&["message"]);
    let directory = open(root.path());
    let marker = root.path().join("rmq_q/lock.lock");
    let kinds: [fn(&Path); 2] =
        [|marker| fs::write(marker, b"\xff\xfe\n").unwrap(), |marker| fs::create_dir(marker).unwrap()];
    for make in kinds {
        make(&marker);
        assert!(claim_all(&directory, &queue).is_empty());
        grow_old(&marker, 61);
        assert_eq!(claim_all(&directory, &queue).len(), 1);
        assert!(!marker.exists());
    }
    // a pipe has nobody at its other end
    rustix::fs::mknodat(CWD, &marker, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    assert!(claim_all(&directory, &queue).is_empty());
    fs::remove_file(&marker).unwrap();
    // what is in a folder of that name is somebody's: it is told of
    fs::create_dir(&marker).unwrap();
    fs::write(marker.join("something"), "").unwrap();
    grow_old(&marker, 61);
    let told = directory.claim(&queue, &mut source::Seen::default(), 1).err().unwrap();
    assert!(told.to_string().contains("lock.lock"), "{told}");
}

#[test]
fn a_published_message_keeps_its_name_and_replaces_nothing() {
    let root = tempfile::tempdir().unwrap();
    let directory = open(root.path());
    let queue = queue("rmq_q");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        assert_eq!(directory.publish(&queue, &outgoing("m", b"1")).await, Published::Returned, "there is no queue");
        directory.prepare(&queue).await.unwrap();
        assert!(directory.exists(&queue).await.unwrap());
        for (body, expected) in [
            (&b"one"[..], vec!["m"]),
            (b"one", vec!["m"]), // published before, and not told
            (b"two", vec!["m", "m-0123456789abcdef"]),
            (b"two", vec!["m", "m-0123456789abcdef"]),
        ] {
            assert_eq!(directory.publish(&queue, &outgoing("m", body)).await, Published::Confirmed);
            assert_eq!(names(&root.path().join("rmq_q")), expected);
        }
        assert_eq!(fs::read(root.path().join("rmq_q/m")).unwrap(), b"one");
        directory.remove(&queue).await.unwrap();
        assert!(!directory.exists(&queue).await.unwrap());
        directory.remove(&queue).await.unwrap();
    });
    drop(directory);
    assert!(names(&root.path().join(".gateway/tmp")).is_empty());
}

#[test]
fn published_messages_have_times_of_their_own() {
    let root = tempfile::tempdir().unwrap();
    let directory = open(root.path());
    let queue = queue("rmq_q");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let names: Vec<String> = (0..200).rev().map(|number| format!("m-{number:03}")).collect();
    runtime.block_on(async {
        directory.prepare(&queue).await.unwrap();
        for name in &names {
            assert_eq!(directory.publish(&queue, &outgoing(name, name.as_bytes())).await, Published::Confirmed);
        }
        let found = directory.open(&queue, 1).await.unwrap().next(1).await.unwrap();
        assert_eq!(found[0].file_name.as_deref(), Some(OsStr::new("m-199")));
        found[0].claim.release().await;
    });
    let claimed = claim_all(&directory, &queue);
    let found: Vec<_> = claimed.iter().map(|delivery| delivery.file_name.clone().unwrap()).collect();
    assert_eq!(found, names.iter().map(OsString::from).collect::<Vec<_>>()[..100]);
}

#[test]
fn rejects_of_one_name_are_kept_apart_and_a_stray_reason_takes_no_place() {
    let (root, queue) = with_messages(&[]);
    let directory = open(root.path());
    let reason = Reason::new(ReasonCode::Malformed, &"no good");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    fs::write(root.path().join(".gateway/rejected/m.reason.json"), "left by a process that was killed").unwrap();
    for body in ["one", "two"] {
        fs::write(root.path().join("rmq_q/m"), body).unwrap();
        let claimed = claim_all(&directory, &queue);
        assert_eq!(runtime.block_on(claimed[0].claim.reject(&reason)), Published::Confirmed);
        assert!(runtime.block_on(claimed[0].claim.acknowledge()));
    }
    let rejected = root.path().join(".gateway/rejected");
    assert_eq!(names(&rejected), ["m-1", "m-1.reason.json", "m-2", "m-2.reason.json", "m.reason.json"]);
    assert_eq!(fs::read(rejected.join("m-1")).unwrap(), b"one");
    let written: serde_json::Value =
        serde_json::from_slice(&fs::read(rejected.join("m-2.reason.json")).unwrap()).unwrap();
    assert_eq!((&written["reason"], &written["name"]), (&"malformed".into(), &"m".into()));
}

#[tokio::test]
async fn a_message_that_is_put_aside_twice_for_nobody_waited_for_the_first_time_is_there_once() {
    let (root, queue) = with_messages(&["message"]);
    let directory = open(root.path());
    let claimed = claim_all(&directory, &queue);
    let reason = Reason::new(ReasonCode::Malformed, &"text");
    for _ in 0..2 {
        assert_eq!(claimed[0].claim.reject(&reason).await, Published::Confirmed);
    }
    assert!(claimed[0].claim.acknowledge().await);
    assert_eq!(names(&root.path().join(".gateway/rejected")), ["message", "message.reason.json"]);
}

#[test]
fn rejects_are_bounded_in_bytes_and_age_too() {
    let (root, queue) = with_messages(&[]);
    let bounds = RejectsConfig { max_bytes: 250, max_age_seconds: 1_000_000, ..RejectsConfig::default() };
    let directory = Directory::open(&config(root.path()), &bounds).unwrap();
    let reason = Reason::new(ReasonCode::Malformed, &"no good");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    for number in 0..5 {
        fs::write(root.path().join(format!("rmq_q/m-{number}")), [0; 100]).unwrap();
        let claimed = claim_all(&directory, &queue);
        assert_eq!(runtime.block_on(claimed[0].claim.reject(&reason)), Published::Confirmed);
    }
    let rejected = root.path().join(".gateway/rejected");
    assert_eq!(names(&rejected), ["m-3", "m-3.reason.json", "m-4", "m-4.reason.json"]);
    drop(directory);
    // the next start finds them, and has stricter bounds
    let bounds = RejectsConfig { max_count: 1, ..bounds };
    drop(Directory::open(&config(root.path()), &bounds).unwrap());
    assert_eq!(names(&rejected), ["m-4", "m-4.reason.json"]);
}

#[test]
fn queues_are_folders_whose_names_match() {
    let root = tempfile::tempdir().unwrap();
    let directory = open(root.path());
    for name in ["rmq_b", "rmq_a", "rmq_a_response", "sqs_no", ".rmq_hidden"] {
        fs::create_dir(root.path().join(name)).unwrap();
    }
    fs::write(root.path().join("rmq_file"), "").unwrap();
    let found = directory.list().unwrap();
    let found: Vec<&str> = found.iter().map(QueueName::as_str).collect();
    assert_eq!(found, ["rmq_a", "rmq_a_response", "rmq_b"]);
    fs::remove_dir_all(root.path()).unwrap();
    assert!(directory.list().is_err(), "a root that is gone says nothing about its queues");
    fs::create_dir_all(root.path().join(".gateway/tmp")).unwrap();
    assert!(directory.list().is_err(), "nor does one that was made anew, or is what a file system was mounted on");
}

#[test]
fn a_cleared_folder_of_temporary_files_is_no_deleted_queue() {
    let (root, queue) = with_messages(&["message"]);
    let directory = open(root.path());
    for name in names(&root.path().join(".gateway/tmp")) {
        fs::remove_file(root.path().join(".gateway/tmp").join(name)).unwrap();
    }
    fs::create_dir_all(directory.inflight_path(&queue)).unwrap();
    let told = directory.claim(&queue, &mut source::Seen::default(), 1).err().unwrap();
    assert_ne!(told.kind(), io::ErrorKind::NotFound, "{told}");
    assert!(directory.list().is_err());
}

#[test]
fn files_that_cannot_be_read_hide_no_others() {
    let (root, _) = with_messages(&["old", "young"]);
    let folder = root.path().join("rmq_q");
    grow_old(&folder.join("old"), 60);
    let mut seen = source::Seen::default();
    seen.look(&folder).unwrap();
    assert_eq!(seen.oldest, ["old", "young"]);
    seen.pass_over(&folder, OsStr::new("old"));
    for _ in 0..2 {
        seen.look(&folder).unwrap();
        assert_eq!(seen.oldest, ["young"]);
    }
    // whoever makes it readable changes it
    fs::set_permissions(folder.join("old"), std::os::unix::fs::PermissionsExt::from_mode(0o640)).unwrap();
    seen.look(&folder).unwrap();
    assert_eq!(seen.oldest, ["old", "young"]);
}

#[tokio::test]
async fn a_claim_that_is_dropped_waits_for_the_disk_elsewhere() {
    let (root, queue) = with_messages(&["message"]);
    let folder = root.path().join("rmq_q");
    let directory = open(root.path());
    let claimed = claim_all(&directory, &queue);
    // nothing else may block on this runtime until it is told to go on
    let (go_on, waiting) = std::sync::mpsc::channel::<()>();
    let blocked = tokio::runtime::Builder::new_current_thread().max_blocking_threads(1).build().unwrap();
    blocked.spawn_blocking(move || waiting.recv());
    let within = blocked.enter();
    drop(claimed);
    drop(within);
    assert!(names(&folder).is_empty());
    go_on.send(()).unwrap();
    tokio::task::spawn_blocking(move || drop(blocked)).await.unwrap(); // which waits for what has begun
    assert_eq!(names(&folder), ["message"]);
}

#[test]
fn the_longest_names_can_be_rejected_and_published() {
    let long = "ü".repeat(127) + "x";
    let (root, queue) = with_messages(&[]);
    let directory = open(root.path());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    for _ in 0..2 {
        fs::write(root.path().join("rmq_q").join(&long), "junk").unwrap();
        let claimed = claim_all(&directory, &queue);
        let reason = Reason::new(ReasonCode::Malformed, &"no good");
        assert_eq!(runtime.block_on(claimed[0].claim.reject(&reason)), Published::Confirmed);
    }
    let rejected = root.path().join(".gateway/rejected");
    let found = names(&rejected);
    assert_eq!(found.len(), 4);
    for name in found.iter().filter(|name| !name.ends_with(".reason.json")) {
        assert!(name.starts_with(&"ü".repeat(100)) && found.contains(&format!("{name}.reason.json")), "{name}");
    }
    drop(directory);
    // the next start knows them for what they are
    let bounds = RejectsConfig { max_count: 1, ..RejectsConfig::default() };
    let directory = Directory::open(&config(root.path()), &bounds).unwrap();
    assert_eq!(names(&rejected).len(), 2);

    runtime.block_on(async {
        for body in [&b"one"[..], b"two"] {
            assert_eq!(directory.publish(&queue, &outgoing(&long, body)).await, Published::Confirmed);
        }
    });
    assert_eq!(names(&root.path().join("rmq_q")).len(), 2);
}

#[test]
fn a_rejected_message_that_is_named_like_a_reason_is_kept() {
    let (root, queue) = with_messages(&[]);
    let directory = open(root.path());
    let rejected = root.path().join(".gateway/rejected");
    for name in ["m.reason.json", "m"] {
        let path = root.path().join("rmq_q").join(name);
        fs::write(&path, name).unwrap();
        grow_old(&path, 3600);
        let reason = Reason::new(ReasonCode::Malformed, &"no good");
        directory.0.rejects.take(&path, &queue, OsStr::new(name), 1, &reason).unwrap();
    }
    assert_eq!(fs::read(rejected.join("m.reason.json")).unwrap(), b"m.reason.json");
    assert_eq!(names(&rejected), ["m-1", "m-1.reason.json", "m.reason.json", "m.reason.json.reason.json"]);
}

#[test]
fn a_message_that_cannot_be_moved_leaves_no_reason_behind() {
    let (root, queue) = with_messages(&[]);
    let directory = open(root.path());
    let reason = Reason::new(ReasonCode::Malformed, &"no good");
    let gone = root.path().join("rmq_q/gone");
    directory.0.rejects.take(&gone, &queue, OsStr::new("gone"), 1, &reason).unwrap_err();
    assert!(names(&root.path().join(".gateway/rejected")).is_empty());
}

#[tokio::test]
async fn a_report_queue_has_one_reader_at_a_time() {
    let root = tempfile::tempdir().unwrap();
    for name in ["rmq_q", "rmq_q_response"] {
        fs::create_dir(root.path().join(name)).unwrap();
    }
    let (one, other) = (open(root.path()), open(root.path()));
    let (requests, reports) = (queue("rmq_q"), queue("rmq_q_response"));
    let _shared = [one.open(&requests, 1).await.unwrap(), other.open(&requests, 1).await.unwrap()];
    let reader = one.open(&reports, 1).await.unwrap();
    assert!(matches!(other.open(&reports, 1).await, Err(crate::queue::SourceError::Taken)));
    drop(reader);
    assert!(other.open(&reports, 1).await.is_ok());
}

#[tokio::test]
async fn a_disk_that_hangs_is_not_waited_for_for_ever() {
    let (answer, answered) = std::sync::mpsc::channel();
    let asked = blocking_for(Duration::from_millis(1), move || answered.recv().is_ok());
    assert_eq!(asked.await.unwrap_err().kind(), io::ErrorKind::TimedOut);
    answer.send(()).unwrap(); // or the runtime would wait for it
    assert!(blocking(|| true).await.unwrap());
}

#[test]
fn what_a_program_beside_the_gateway_writes_is_not_taken_for_left_behind() {
    let root = tempfile::tempdir().unwrap();
    let writer = QueueWriter::open(&root.path().join("rmq_q")).unwrap();
    let directory = open(root.path());
    let message = vec![b' '; 64 * 1024];
    let is_written = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_written.load(Ordering::Relaxed) {
                directory.put_back_orphans();
            }
        });
        let written: Vec<_> = (0..50).map(|number| writer.write(&format!("{number:03}"), &message)).collect();
        is_written.store(true, Ordering::Relaxed);
        written.into_iter().for_each(|written| written.unwrap());
    });
    let expected: Vec<String> = (0..50).map(|number| format!("{number:03}")).collect();
    assert_eq!(names(&root.path().join("rmq_q")), expected);
    let by_age = claim_all(&directory, &queue("rmq_q"));
    let taken: Vec<_> = by_age.iter().map(|delivery| delivery.file_name.clone().unwrap()).collect();
    assert!(taken.iter().map(|name| name.to_str().unwrap()).eq(&expected), "oldest first: {taken:?}");
}

#[test]
fn a_writer_repeats_nothing_and_replaces_nothing() {
    let root = tempfile::tempdir().unwrap();
    let writer = QueueWriter::open(&root.path().join("rmq_q")).unwrap();
    writer.write("message", b"one").unwrap();
    writer.write("message", b"one").unwrap();
    assert_eq!(writer.write("message", b"other").unwrap_err().kind(), io::ErrorKind::AlreadyExists);
    assert_eq!(fs::read(root.path().join("rmq_q/message")).unwrap(), b"one");
    assert!(names(&root.path().join(OWN).join("tmp")).is_empty(), "no unfinished file is left");
}
