//! The gateway as a process of its own: this test program, started again to be the gateway.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::wait;

/// The name of the test that is the gateway; every test program that starts one has it.
const PROCESS: &str = "gateway_process";
pub const CONFIG: &str = "STUDIOML_GATEWAY_TEST_CONFIG";

/// Is the gateway. Called by the test named [`PROCESS`] alone.
pub fn be_the_gateway() {
    let config = std::env::var_os(CONFIG).expect("the process that other tests start, not a test");
    if let Err(error) = studioml_envelope_gateway::service::run(Path::new(&config), super::provider()) {
        eprintln!("error: {error}");
        std::process::exit(3);
    }
}

/// A gateway that runs. Dropping it kills it.
pub struct Gateway {
    child: Child,
    log: Arc<Mutex<String>>,
}

impl Gateway {
    /// Starts a gateway with a configuration file, and does not wait for anything.
    pub fn start(config: &Path) -> Self {
        Self::start_with(config, &[])
    }

    pub fn start_with(config: &Path, variables: &[(&str, &str)]) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--ignored", "--exact", PROCESS, "--nocapture"]).env(CONFIG, config);
        command.envs(variables.iter().copied()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let log = Arc::<Mutex<String>>::default();
        let (kept, stderr) = (Arc::clone(&log), child.stderr.take().unwrap());
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                let mut kept = kept.lock().unwrap();
                kept.push_str(&line);
                kept.push('\n');
            }
        });
        Self { child, log }
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Where it serves metrics and probes.
    pub fn address(&self) -> SocketAddr {
        wait::until("the gateway's HTTP address", || self.logged_address("serving /metrics"))
    }

    /// The address in the log line that holds this text.
    pub fn logged_address(&self, text: &str) -> Option<SocketAddr> {
        let log = self.log();
        let line = log.lines().find(|line| line.contains(text))?;
        let address = line.split("address=").nth(1)?.split(' ').next()?;
        Some(address.trim_matches('"').parse().unwrap())
    }

    /// Answers to GET: status and body.
    pub fn get(&self, path: &str) -> (u16, String) {
        get(self.address(), path)
    }

    /// Waits until `/readyz` says so.
    pub fn wait_until_ready(&self) {
        wait::until("ready", || (self.get("/readyz").0 == 200).then_some(()));
    }

    /// The value of one series of `/metrics`: the sum of all whose line begins so and holds all of `labels`.
    pub fn metric(&self, name: &str, labels: &[&str]) -> f64 {
        let (_, text) = self.get("/metrics");
        let of_name = |line: &&str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' ']));
        let lines = text.lines().filter(of_name).filter(|line| labels.iter().all(|label| line.contains(label)));
        lines.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()).sum()
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// kill -9.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_raw(self.child.id().cast_signed()).unwrap();
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// SIGTERM, and how long it took to end.
    pub fn terminate(mut self) -> Duration {
        let began = std::time::Instant::now();
        self.signal(rustix::process::Signal::TERM);
        let status = wait::until("the end after SIGTERM", || self.child.try_wait().unwrap());
        assert!(status.success(), "{status}\n{}", self.log());
        began.elapsed()
    }

    /// Waits for it to end by itself, and returns its exit code and log.
    pub fn ended(mut self) -> (Option<i32>, String) {
        let status = wait::until("the end", || self.child.try_wait().unwrap());
        let log = wait::until("the last line", || Some(self.log()).filter(|log| !log.is_empty()));
        (status.code(), log)
    }

    /// Processor time that it has taken.
    pub fn processor_time(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        // proc(5): after the name in parentheses, utime and stime are the 12th and 13th field
        let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
        let ticks: u64 = fields[11..13].iter().map(|field| field.parse::<u64>().unwrap()).sum();
        Duration::from_secs_f64(ticks as f64 / rustix::param::clock_ticks_per_second() as f64)
    }

    /// Resident memory in bytes.
    pub fn resident_bytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("---- the gateway's log\n{}", self.log());
        }
    }
}

pub fn get(address: SocketAddr, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(wait::PATIENCE)).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: gateway\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

/// A configuration file with both sides as directories.
pub fn write_config(directory: &Path, text: &str) -> PathBuf {
    let path = directory.join("gateway.toml");
    std::fs::write(&path, text).unwrap();
    path
}
