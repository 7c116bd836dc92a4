//! A private RabbitMQ node, started without systemd and with everything moved by environment; and clients of it.
//!
//! A node never outlives the test program, however that ends: a shell that reads from it kills the node when nothing more
//! comes. So a program may keep its nodes in a static, and share them between its tests.

use std::fs;
use std::io::Write;
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::StreamExt;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions,
    ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions, QueueDeleteOptions, QueuePurgeOptions,
};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties, ExchangeKind};
use rustix::process::{Pid, Signal};
use tokio::runtime::Runtime;
use tokio::time::timeout;

use super::wait;

/// The wrappers in `/usr/sbin` switch the user; these do not.
const PROGRAMS: &str = "/usr/lib/rabbitmq/bin";
/// Longer than a start takes on a loaded machine.
const START: Duration = Duration::from_secs(300);

/// How long a broker gets to answer a test's client; a stalled one does not.
const ANSWER: Duration = Duration::from_secs(30);

/// Runs the port mapper, reads the process of each server, and ends the mapper and the last server when this program has
/// ended. The mapper comes first: one that a server starts keeps the server's output open for ever.
const GUARDIAN: &str = r#"
epmd -port "$1" -address 127.0.0.1 </dev/null &
while read -r server; do last=$server; done
kill -9 "-$last"
kill -9 "$!"
rm -rf -- "$0"
"#;

/// A node, and its own port mapper.
pub struct Node {
    directory: PathBuf,
    port: u16,
    server: Mutex<Child>,
    guardian: Mutex<Child>,
}

impl Node {
    /// Starts a node and waits until it answers.
    pub fn start() -> Self {
        // somebody may take one of its ports between the look and the start
        (0..3).find_map(|_| Self::try_start()).expect("RabbitMQ starts")
    }

    fn try_start() -> Option<Self> {
        let directory = tempfile::tempdir().unwrap().keep();
        let port = free_ports();
        let text = format!(
            "listeners.tcp.1 = 127.0.0.1:{port}\nmanagement.tcp.ip = 127.0.0.1\nmanagement.tcp.port = {}\n\
             disk_free_limit.absolute = 50MB\nmax_message_size = 134217728\nlog.file.level = warning\n",
            port + 10_000
        );
        fs::write(directory.join("rabbitmq.conf"), text).unwrap();
        fs::write(directory.join("plugins"), "[rabbitmq_management].\n").unwrap();
        let mut guardian = Command::new("sh");
        guardian.args(["-c", GUARDIAN]).arg(&directory).arg((port + 2).to_string());
        guardian.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
        let mut guardian = guardian.spawn().unwrap();
        let server = launch(&directory, port, &mut guardian);
        let node = Self { directory, port, server: Mutex::new(server), guardian: Mutex::new(guardian) };
        node.wait_until_up().then_some(node)
    }

    /// Starts two nodes side by side.
    pub fn start_two() -> [Self; 2] {
        std::thread::scope(|scope| {
            let other = scope.spawn(Self::start);
            [Self::start(), other.join().unwrap()]
        })
    }

    /// Whether it has come up, and not ended before that.
    fn wait_until_up(&self) -> bool {
        wait::within(START, "RabbitMQ to start", || {
            if let Some(status) = lock(&self.server).try_wait().unwrap() {
                println!("RabbitMQ on port {} ended with {status}", self.port);
                return Some(false);
            }
            let answers = self.management("GET", "overview", None).is_some();
            (answers && std::net::TcpStream::connect(("127.0.0.1", self.port)).is_ok()).then_some(true)
        })
    }

    /// kill -9, of the whole process group.
    pub fn kill(&self) {
        let mut server = lock(&self.server);
        rustix::process::kill_process_group(group(&server), Signal::KILL).unwrap();
        server.wait().unwrap();
    }

    /// Starts it again with what it had on disk.
    pub fn start_again(&self) {
        // its ports are known to others by now: there is no second choice
        let up = (0..3).any(|_| {
            *lock(&self.server) = launch(&self.directory, self.port, &mut lock(&self.guardian));
            self.wait_until_up()
        });
        assert!(up, "RabbitMQ does not start again");
    }

    pub fn signal(&self, signal: Signal) {
        rustix::process::kill_process_group(group(&lock(&self.server)), signal).unwrap();
    }

    /// Raises or clears the memory alarm.
    pub fn memory_alarm(&self, alarm: bool) {
        let share = if alarm { "0.0001" } else { "0.4" };
        self.control(&["set_vm_memory_high_watermark", share]);
    }

    /// Has the node compute an Erlang expression.
    pub fn eval(&self, expression: &str) {
        self.control(&["eval", expression]);
    }

    fn control(&self, arguments: &[&str]) {
        // it gives a node on a loaded machine some seconds to answer
        wait::until("rabbitmqctl", || {
            let mut command = Command::new(Path::new(PROGRAMS).join("rabbitmqctl"));
            environment(&mut command, &self.directory, self.port);
            let done = command.args(arguments).output().unwrap();
            if !done.status.success() {
                println!("{done:?}");
            }
            done.status.success().then_some(())
        });
    }

    /// A virtual host of this name.
    pub fn vhost(&self, name: &str) -> Vhost {
        wait::within(START, "the virtual host", || {
            self.management("PUT", &format!("vhosts/{name}"), None)?;
            let all = r#"{"configure":".*","write":".*","read":".*"}"#;
            self.management("PUT", &format!("permissions/{name}/guest"), Some(all))
        });
        Vhost { url: format!("amqp://guest:guest@127.0.0.1:{}/{name}", self.port), name: name.to_owned() }
    }

    /// Removes a virtual host and all that is in it.
    pub fn remove_vhost(&self, name: &str) {
        self.management("DELETE", &format!("vhosts/{name}"), None);
    }

    /// Asks the management API; `None` unless it says yes.
    pub fn management(&self, method: &str, path: &str, body: Option<&str>) -> Option<String> {
        let request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("http://127.0.0.1:{}/api/{path}", self.port + 10_000))
            .header("Authorization", "Basic Z3Vlc3Q6Z3Vlc3Q=")
            .header("Content-Type", "application/json")
            .body(body.unwrap_or_default().to_owned())
            .unwrap();
        let agent: ureq::Agent = ureq::Agent::config_builder().timeout_global(Some(START)).build().into();
        agent.run(request).ok()?.body_mut().read_to_string().ok()
    }
}

fn launch(directory: &Path, port: u16, guardian: &mut Child) -> Child {
    let mut command = Command::new(Path::new(PROGRAMS).join("rabbitmq-server"));
    environment(&mut command, directory, port);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
    let server = command.spawn().expect("rabbitmq-server; hint: apt-get install rabbitmq-server");
    writeln!(guardian.stdin.as_ref().unwrap(), "{}", server.id()).unwrap();
    server
}

fn group(leader: &Child) -> Pid {
    Pid::from_raw(leader.id().cast_signed()).unwrap()
}

/// A test that failed does not take the node from the others.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn environment(command: &mut Command, directory: &Path, port: u16) {
    let path = |name: &str| directory.join(name);
    command
        .env("HOME", directory)
        .env("RABBITMQ_CONF_ENV_FILE", "/dev/null")
        .env("RABBITMQ_NODENAME", format!("test{port}@localhost"))
        .env("RABBITMQ_NODE_IP_ADDRESS", "127.0.0.1")
        .env("RABBITMQ_NODE_PORT", port.to_string())
        .env("RABBITMQ_DIST_PORT", (port + 1).to_string())
        .env("ERL_EPMD_PORT", (port + 2).to_string())
        .env("ERL_EPMD_ADDRESS", "127.0.0.1")
        .env("RABBITMQ_CONFIG_FILE", path("rabbitmq.conf"))
        .env("RABBITMQ_ENABLED_PLUGINS_FILE", path("plugins"))
        .env("RABBITMQ_MNESIA_BASE", path("mnesia"))
        .env("RABBITMQ_LOG_BASE", path("log"))
        .env("RABBITMQ_PID_FILE", path("pid"))
        .env("RABBITMQ_GENERATED_CONFIG_DIR", path("config"))
        .env("RABBITMQ_SCHEMA_DIR", path("schema"))
        .env("ERL_CRASH_DUMP", path("crash"))
        .env("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", "+S 2:2 +sbwt none +sbwtdcpu none +sbwtdio none");
}

/// A port, its two neighbours and the one 10,000 above, all free, and none of those that the system gives to whoever connects.
fn free_ports() -> u16 {
    let free = |port: u16| TcpListener::bind(("127.0.0.1", port)).is_ok();
    loop {
        let port = fastrand::u16(11_000..22_700);
        if [port, port + 1, port + 2, port + 10_000].into_iter().all(free) {
            return port;
        }
    }
}

/// A virtual host of a node.
#[derive(Clone)]
pub struct Vhost {
    pub url: String,
    pub name: String,
}

impl Vhost {
    /// Connects to it.
    pub fn client(&self) -> Client {
        Client::connect(&self.url)
    }
}

/// A connection of a test's own: an experimenter at the outer side, a runner at the inner one.
pub struct Client {
    runtime: Runtime,
    url: String,
    _connection: Connection,
    channel: Channel,
    asking: tokio::sync::Mutex<Option<Connection>>,
}

/// A message that was taken.
pub struct Message {
    pub body: Vec<u8>,
    pub properties: BasicProperties,
    pub redelivered: bool,
}

impl Message {
    /// A header, as text.
    pub fn header(&self, name: &str) -> Option<String> {
        let headers = self.properties.headers().as_ref()?;
        headers.inner().iter().find(|(key, _)| key.as_str() == name).map(|(_, value)| match value {
            lapin::types::AMQPValue::LongString(text) => text.to_string(),
            other => format!("{other:?}"),
        })
    }
}

/// What the deployed Python client sends with a message.
pub fn client_properties() -> BasicProperties {
    BasicProperties::default().with_app_id("studioml".into()).with_content_type("application/json".into())
}

impl Client {
    fn connect(url: &str) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let (connection, channel) = wait::within(START, "a connection", || {
            // a broker that is killed meanwhile does not answer, and nobody says so
            let connecting = async {
                let connection = Connection::connect(url, ConnectionProperties::default()).await.ok()?;
                let channel = connection.create_channel().await.ok()?;
                channel.confirm_select(ConfirmSelectOptions::default()).await.ok()?;
                Some((connection, channel))
            };
            runtime.block_on(async { timeout(ANSWER, connecting).await.ok().flatten() })
        });
        Self { runtime, url: url.to_owned(), _connection: connection, channel, asking: Default::default() }
    }

    /// A channel of its own for a question: a broker that says no closes it.
    ///
    /// Over a connection that is made again when a channel cannot be opened. lapin keeps the error that closed a channel for all
    /// later ones of its number, and a test that looks for a queue every few milliseconds is through all 2047 within seconds.
    async fn open_channel(&self) -> Option<Channel> {
        let mut asking = self.asking.lock().await;
        if let Some(connection) = asking.as_ref()
            && let Ok(channel) = connection.create_channel().await
        {
            return Some(channel);
        }
        let connection = Connection::connect(&self.url, ConnectionProperties::default()).await.ok()?;
        let channel = connection.create_channel().await.ok()?;
        *asking = Some(connection);
        Some(channel)
    }

    /// Makes the connection again, after its broker was killed.
    pub fn reconnect(&mut self) {
        *self = Self::connect(&self.url);
    }

    /// Declares a queue as the deployed client does: the exchange, the queue and the binding.
    pub fn declare(&self, queue: &str, durable: bool) {
        self.runtime.block_on(async {
            let topic = ExchangeDeclareOptions { durable: true, auto_delete: true, ..Default::default() };
            self.channel
                .exchange_declare("StudioML.topic".into(), ExchangeKind::Topic, topic, FieldTable::default())
                .await
                .unwrap();
            let options = QueueDeclareOptions { durable, ..Default::default() };
            self.channel.queue_declare(queue.into(), options, FieldTable::default()).await.unwrap();
            let key = format!("StudioML.{queue}");
            self.channel
                .queue_bind(
                    queue.into(),
                    "StudioML.topic".into(),
                    key.as_str().into(),
                    QueueBindOptions::default(),
                    FieldTable::default(),
                )
                .await
                .unwrap();
        });
    }

    /// Declares a queue and binds it to nothing, as the deployed catcher does with its response queue.
    pub fn declare_unbound(&self, queue: &str, durable: bool) {
        let options = QueueDeclareOptions { durable, ..Default::default() };
        self.runtime.block_on(self.channel.queue_declare(queue.into(), options, FieldTable::default())).unwrap();
    }

    /// Declares a queue that only this connection may use.
    pub fn declare_exclusive(&self, queue: &str) {
        let options = QueueDeclareOptions { exclusive: true, ..Default::default() };
        self.runtime.block_on(self.channel.queue_declare(queue.into(), options, FieldTable::default())).unwrap();
    }

    /// Publishes through the exchange, and waits for the confirm. `false` if the connection is gone.
    pub fn publish(&self, queue: &str, body: &[u8], properties: BasicProperties) -> bool {
        let key = format!("StudioML.{queue}");
        self.publish_to("StudioML.topic", &key, body, properties)
    }

    /// Publishes to a queue by its name.
    pub fn publish_directly(&self, queue: &str, body: &[u8], properties: BasicProperties) -> bool {
        self.publish_to("", queue, body, properties)
    }

    fn publish_to(&self, exchange: &str, key: &str, body: &[u8], properties: BasicProperties) -> bool {
        let publish = async {
            let options = BasicPublishOptions { mandatory: true, ..Default::default() };
            let confirm = self.channel.basic_publish(exchange.into(), key.into(), options, body, properties).await?;
            confirm.await
        };
        matches!(self.ask(publish), Some(Ok(lapin::Confirmation::Ack(None))))
    }

    /// Waits for what needs the broker's answer; `None` if it does not come.
    fn ask<T>(&self, answer: impl Future<Output = T>) -> Option<T> {
        self.runtime.block_on(async { timeout(ANSWER, answer).await.ok() })
    }

    /// Takes a message, if there is one; `None` too if the queue or the connection is not there.
    pub fn take(&self, queue: &str) -> Option<Message> {
        let taken = self.ask(async {
            let channel = self.open_channel().await?;
            let taken = channel.basic_get(queue.into(), BasicGetOptions::default()).await.ok()??;
            let told = taken.delivery.acker.ack(BasicAckOptions::default()).await.ok()?;
            let delivery = taken.delivery;
            told.then_some(Message {
                body: delivery.data,
                properties: delivery.properties,
                redelivered: delivery.redelivered,
            })
        });
        taken.flatten()
    }

    /// Takes all messages there are, up to some hundreds.
    pub fn take_all(&self, queue: &str) -> Vec<Message> {
        let mut all = Vec::new();
        // what was taken before the broker stopped to answer may come again
        self.ask(async {
            let Some(channel) = self.open_channel().await else { return };
            while let Ok(Some(taken)) = channel.basic_get(queue.into(), BasicGetOptions::default()).await {
                let delivery = taken.delivery;
                let told = delivery.acker.ack(BasicAckOptions::default()).await;
                all.push(Message {
                    body: delivery.data,
                    properties: delivery.properties,
                    redelivered: delivery.redelivered,
                });
                if !matches!(told, Ok(true)) || all.len() >= 500 {
                    break;
                }
            }
            // closed in order, or what was acknowledged last may not have been heard
            let _ = channel.close(200, "done".into()).await;
        });
        all
    }

    /// Waits for a message, and takes it.
    pub fn wait_for(&self, queue: &str) -> Message {
        wait::until(&format!("a message on {queue}"), || self.take(queue))
    }

    /// Consumes from some queues until so many messages have arrived; each with the moment it did.
    pub fn consume(&self, queues: &[String], count: usize) -> Vec<(Vec<u8>, std::time::Instant)> {
        self.runtime.block_on(async {
            let (arrived, mut arrivals) = tokio::sync::mpsc::unbounded_channel();
            for queue in queues {
                let options = BasicConsumeOptions { no_ack: true, ..Default::default() };
                let consumer =
                    self.channel.basic_consume(queue.as_str().into(), "".into(), options, FieldTable::default());
                let (mut consumer, arrived) = (consumer.await.unwrap(), arrived.clone());
                tokio::spawn(async move {
                    while let Some(Ok(delivery)) = consumer.next().await {
                        let _ = arrived.send((delivery.data, std::time::Instant::now())); // enough have arrived
                    }
                });
            }
            let mut all = Vec::with_capacity(count);
            while all.len() < count {
                all.push(arrivals.recv().await.unwrap());
            }
            all
        })
    }

    /// How many messages wait on a queue; `None` if it does not exist, or the broker does not answer.
    pub fn count(&self, queue: &str) -> Option<u32> {
        let counted = self.ask(async {
            let channel = self.open_channel().await?;
            let passive = QueueDeclareOptions { passive: true, ..Default::default() };
            let declared = channel.queue_declare(queue.into(), passive, FieldTable::default()).await.ok()?;
            let _ = channel.close(200, "asked".into()).await; // it is known already
            Some(declared.message_count())
        });
        counted.flatten()
    }

    pub fn delete(&self, queue: &str) {
        self.runtime.block_on(self.channel.queue_delete(queue.into(), QueueDeleteOptions::default())).unwrap();
    }

    pub fn purge(&self, queue: &str) {
        self.runtime.block_on(self.channel.queue_purge(queue.into(), QueuePurgeOptions::default())).unwrap();
    }
}

/// The Python of the tests: `STUDIOML_PYTHON`, or the environment that `cargo xtask test` makes in the target directory.
pub fn python() -> PathBuf {
    if let Some(python) = std::env::var_os("STUDIOML_PYTHON") {
        return python.into();
    }
    let target = std::env::current_exe().unwrap().ancestors().nth(3).unwrap().to_owned();
    let python = target.join("python/bin/python");
    assert!(python.exists(), "{} is missing; hint: cargo xtask test makes it", python.display());
    python
}
