//! `channel`: a client without a broker submits, a server answers with receipts and writes into a directory queue.
#![allow(clippy::unwrap_used, reason = "a test")]

mod support;

use std::{
    io::{BufRead as _, BufReader, PipeReader, Read as _, Write as _, pipe},
    os::unix::fs::OpenOptionsExt as _,
    process::{Child, ChildStdout, Command, ExitStatus, Stdio},
    sync::mpsc,
    time::{Duration, Instant},
};

use support::{Place, Ran};

/// Nothing here takes this long, on a slow and busy machine either.
const LONG: Duration = Duration::from_secs(180);

/// A running `channel serve`, stopped by SIGTERM.
struct Served {
    child: Child,
    stdout: BufReader<ChildStdout>,
    address: String,
}

impl Served {
    fn start(place: &Place, arguments: &str) -> Self {
        Self::start_with(place, arguments, Stdio::inherit())
    }

    fn start_with(place: &Place, arguments: &str, stderr: Stdio) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_studioml-envelope"))
            .args(["channel", "serve", "--listen", "127.0.0.1:0"])
            .args(arguments.split_whitespace())
            .current_dir(place.path())
            .stdout(Stdio::piped())
            .stderr(stderr)
            .spawn()
            .unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let said = line.trim().trim_start_matches("listening on ").trim_start_matches("{\"listening\":\"");
        let address = said.trim_end_matches("\"}").to_owned();
        Self { child, stdout, address }
    }

    /// Sends SIGTERM and says how the server ends, if it does by itself.
    fn ends_when_told(mut self, place: &Place) -> Option<ExitStatus> {
        place.tool("kill", &[&self.child.id().to_string()]);
        let deadline = Instant::now() + LONG;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait().unwrap() {
                return Some(status);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        None
    }

    /// Sends SIGTERM and returns the last line of what the server said.
    fn stop(mut self, place: &Place) -> String {
        place.tool("kill", &[&self.child.id().to_string()]);
        let lines: Vec<String> = self.stdout.by_ref().lines().map(Result::unwrap).collect();
        assert!(self.child.wait().unwrap().success());
        lines.last().cloned().unwrap_or_default()
    }
}

fn fingerprint(place: &Place, key: &str) -> String {
    place.run(&format!("fingerprint {key}")).exits(0).stdout_text().trim().to_owned()
}

fn place() -> Place {
    let place = Place::new();
    for name in ["server", "client", "stranger"] {
        place.run(&format!("channel keygen -o {name}")).exits(0);
    }
    place.write("clients", format!("# who may submit\n{}\n", fingerprint(&place, "client.pub")));
    place.copy_vector("python/stock.envelope.json", "message.json");
    place.copy_vector("go/stock.envelope.json", "other.json");
    place.copy_vector("requests/stock.json", "request.json");
    place
}

#[test]
fn envelopes_arrive_in_the_directory_queue_and_get_receipts() {
    let place = place();
    let served = Served::start(&place, "--key server --allow clients --to queues/rmq_cpu_1");
    let peer = fingerprint(&place, "server");
    let send = format!("channel send --connect {} --peer {peer}", served.address);

    let sent = place.run(&format!("{send} --key client message.json other.json")).exits(0).stdout_text();
    assert_eq!(sent, "message.json: accepted\nother.json: accepted\n");
    let refused: Ran = place.run(&format!("{send} --key client message.json request.json"));
    let refused = refused.exits(1).says("1 of 2 messages were refused");
    assert!(refused.stdout_text().contains("request.json: refused: not a message envelope"));
    place.run(&format!("{send} --key stranger message.json")).exits(4).says("may not have this key on its list");
    let wrong = fingerprint(&place, "stranger");
    place
        .run(&format!("channel send --connect {} --peer {wrong} --key client message.json", served.address))
        .exits(4)
        .says(&format!("the server is {peer}, not the --peer given"));

    // for the owner and the group, as far as the umask lets
    let for_the_group = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o660).open(place.file("made"));
    let for_the_group = for_the_group.unwrap().metadata().unwrap().permissions();
    let read = |entry: std::io::Result<std::fs::DirEntry>| {
        let path = entry.unwrap().path();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions(), for_the_group);
        std::fs::read(path).unwrap()
    };
    let mut arrived: Vec<Vec<u8>> = std::fs::read_dir(place.file("queues/rmq_cpu_1")).unwrap().map(read).collect();
    let mut expected = vec![place.read("message.json"), place.read("other.json")];
    arrived.sort();
    expected.sort();
    assert!(arrived == expected, "the messages are there as they came, each once");
    assert_eq!(served.stop(&place), "stopped: 3 messages accepted, 1 refused");
}

#[test]
fn a_client_taken_off_the_list_is_let_in_no_more() {
    let place = place();
    let served = Served::start(&place, "--key server --allow clients");
    let peer = fingerprint(&place, "server");
    let send = format!("channel send --connect {} --peer {peer} --key client", served.address);
    let sent = place.run_with(&send, &place.read("message.json")).exits(0).stdout_text();
    assert_eq!(sent, "standard input: accepted\n");

    place.write("clients", "# nobody\n");
    let deadline = Instant::now() + LONG;
    while place.run(&format!("{send} message.json")).exit == 0 {
        assert!(Instant::now() < deadline, "the list is not read again");
    }
    place.run(&format!("{send} message.json")).exits(4);
    served.stop(&place);
}

#[test]
fn a_server_whose_standard_error_takes_nothing_goes_on() {
    let place = place();
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let served = Served::start_with(&place, "--key server --allow clients", full.into());
    let peer = fingerprint(&place, "server");
    let send = format!("channel send --connect {} --peer {peer}", served.address);
    place.run(&format!("{send} --key stranger message.json")).exits(4);
    place.run(&format!("{send} --key client message.json")).exits(0);
    for (list, key) in [("stranger", "client"), ("client", "stranger")] {
        place.write("clients", fingerprint(&place, list));
        let deadline = Instant::now() + LONG;
        while place.run(&format!("{send} --key {key} message.json")).exit == 0 {
            assert!(Instant::now() < deadline, "the list is not read again");
        }
    }
    served.stop(&place);
}

/// A pipe that has no room left, and its end that nobody reads.
fn stalled_pipe() -> (PipeReader, Stdio) {
    let (reader, writer) = pipe().unwrap();
    let mut filling = writer.try_clone().unwrap();
    // more than any pipe holds: it waits until the reader is gone
    std::thread::spawn(move || filling.write_all(&vec![b'.'; 1 << 24]));
    (reader, writer.into())
}

#[test]
fn a_server_whose_log_nobody_reads_goes_on_and_ends() {
    let place = place();
    let (_unread, stalled) = stalled_pipe();
    let served = Served::start_with(&place, "--key server --allow clients", stalled);
    let peer = fingerprint(&place, "server");
    let send = format!("channel send --connect {} --peer {peer}", served.address);
    // a stranger is worth a line on standard error, an accepted message one on standard output
    place.run(&format!("{send} --key stranger message.json")).exits(4);
    place.run(&format!("{send} --key client{}", " message.json".repeat(1500))).exits(0);
    // whose list is still read, more than once
    for (list, key) in [("stranger", "client"), ("client", "stranger")] {
        place.write("clients", fingerprint(&place, list));
        let deadline = Instant::now() + LONG;
        while place.run(&format!("{send} --key {key} message.json")).exit == 0 {
            assert!(Instant::now() < deadline, "the list is not read again");
        }
    }
    // not all that it had to say was written
    assert_eq!(served.ends_when_told(&place).and_then(|status| status.code()), Some(4), "it waits for a reader");
}

#[test]
fn what_a_message_says_reaches_no_terminal_as_it_is() {
    let place = place();
    let served = Served::start(&place, "--key server --allow clients");
    let peer = fingerprint(&place, "server");
    place.write("hostile.json", "{\"message\": {\"\\u009b31m\": 1, \"\\u009b31m\": 2}}");
    let send = format!("channel send --connect {} --peer {peer} --key client hostile.json", served.address);
    let sent = place.run(&send).exits(1).stdout_text();
    assert!(sent.starts_with("hostile.json: refused: ") && !sent.trim_end().contains(char::is_control), "{sent:?}");
    assert!(!served.stop(&place).contains(char::is_control));
}

#[test]
fn a_server_reports_in_json() {
    let place = place();
    let served = Served::start(&place, "--json --key server --allow clients");
    let peer = fingerprint(&place, "server");
    let send = format!("channel send --connect {} --peer {peer} --key client", served.address);
    place.run(&format!("{send} message.json request.json")).exits(1);
    assert_eq!(served.stop(&place), r#"{"stopped":{"accepted":1,"refused":1}}"#);
}

#[test]
fn the_seeds_exchange_needs_a_word() {
    let place = place();
    place.run("channel serve --listen 127.0.0.1 --mode seed --unauthenticated").exits(2).says("HOST:PORT");
    place.run("channel send --connect 127.0.0.1:99999 --mode seed --unauthenticated message.json").exits(2);
    place.run("channel serve --listen 127.0.0.1:0 --mode seed").exits(2).says("--unauthenticated");
    // whoever names clients, a server or a key believes that somebody is kept out
    let seed = "--mode seed --unauthenticated";
    for flag in ["--allow clients", "--key server"] {
        place.run(&format!("channel serve --listen 127.0.0.1:0 {seed} {flag}")).exits(2).says("has no effect");
    }
    for flag in ["--peer SHA256:x", "--key client"] {
        place.run(&format!("channel send --connect 127.0.0.1:1 {seed} {flag} message.json")).exits(2).says("no effect");
    }
    place.run("channel serve --listen 127.0.0.1:0 --key server").exits(2).says("--allow");
    place.run("channel serve --listen 127.0.0.1:0 --key server --allow no-such-file").exits(4);
    place
        .run("channel serve --listen 127.0.0.1:0 --key server --allow request.json")
        .exits(3)
        .says("not a fingerprint");
    let served = Served::start(&place, "--mode seed --unauthenticated");
    let send = format!("channel send --connect {} --mode seed", served.address);
    place.run(&format!("{send} message.json")).exits(2).says("--unauthenticated");
    place.run(&format!("{send} --unauthenticated message.json")).exits(0);
    assert_eq!(served.stop(&place), "stopped: 1 messages accepted, 0 refused");
}

#[test]
fn what_cannot_be_a_message_is_refused_before_a_server_is_connected_to() {
    let place = place();
    place.write("empty", "");
    place.write("large", vec![b' '; 16 * 1024 * 1024 + 1]);
    let peer = fingerprint(&place, "server");
    for mode in [format!("--key client --peer {peer}"), "--mode seed --unauthenticated".to_owned()] {
        // port 1 serves nobody: whoever got so far would have exit code 4
        let send = format!("channel send --connect 127.0.0.1:1 {mode}");
        place.run(&format!("{send} message.json")).exits(4);
        place.run(&format!("{send} message.json empty")).exits(3).says("empty: there is nothing in it");
        place
            .run(&format!("{send} message.json large"))
            .exits(3)
            .says("large: larger than the maximum of 16777216 bytes");
        place.run_with(&send, b"").exits(3).says("standard input: there is nothing in it");
    }
}

#[test]
fn a_disk_that_hangs_does_not_keep_the_server_from_ending() {
    let place = place();
    let served = Served::start(&place, "--key server --allow clients");
    place.tool("mkfifo", &["hanging"]);
    std::fs::rename(place.file("hanging"), place.file("clients")).unwrap();
    let (opened, is_open) = mpsc::channel();
    let path = place.file("clients");
    std::thread::spawn(move || opened.send(std::fs::OpenOptions::new().write(true).open(path)));
    // the server reads the list again, and nobody writes it
    let _held = is_open.recv_timeout(LONG).unwrap().unwrap();
    assert!(served.ends_when_told(&place).is_some_and(|status| status.success()), "it waits for the disk");
}
