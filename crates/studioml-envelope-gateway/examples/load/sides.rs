//! The outer and the inner side: directories, or two RabbitMQ nodes.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use clap::ValueEnum;

use super::support::keys::number_of;
use super::support::process::write_config;
use super::support::queue::Queue;
use super::support::rabbit::{Client, Node, Vhost, client_properties};

/// Threads that publish to a broker, each waiting for its confirms.
const PUBLISHERS: usize = 8;

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// Directory queues
    Dir,
    /// Two RabbitMQ nodes
    Amqp,
}

impl Kind {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Dir => "directory",
            Self::Amqp => "RabbitMQ",
        }
    }
}

pub struct Sides {
    directory: tempfile::TempDir,
    queues: Vec<String>,
    brokers: Option<Brokers>,
}

struct Brokers {
    outer: Vhost,
    inner: Vhost,
    _nodes: [Node; 2],
}

impl Sides {
    pub fn new(kind: Kind, below: Option<&Path>, queues: usize) -> Self {
        let directory = match below {
            Some(below) => tempfile::tempdir_in(below).unwrap(),
            None => tempfile::tempdir().unwrap(),
        };
        let queues: Vec<String> = (0..queues).map(|number| format!("rmq_load_{number}")).collect();
        let brokers = (kind == Kind::Amqp).then(|| {
            let nodes = Node::start_two();
            Brokers { outer: nodes[0].vhost("outer"), inner: nodes[1].vhost("inner"), _nodes: nodes }
        });
        let sides = Self { directory, queues, brokers };
        match &sides.brokers {
            Some(brokers) => {
                let client = brokers.outer.client();
                sides.queues.iter().for_each(|queue| client.declare(queue, false));
            }
            None => sides.queues.iter().for_each(|queue| drop(Queue::create(&sides.root("outer"), queue))),
        }
        sides
    }

    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    fn root(&self, side: &str) -> PathBuf {
        self.directory.path().join(side)
    }

    pub fn config(&self) -> PathBuf {
        self.directory.path().join("gateway.toml")
    }

    pub fn configure(&self, keys: &str) {
        let sides = match &self.brokers {
            Some(brokers) => format!(
                "[outer]\nkind = \"amqp\"\nurl = \"{}\"\n[inner]\nkind = \"amqp\"\nurl = \"{}\"\n",
                brokers.outer.url, brokers.inner.url
            ),
            None => "[outer]\nkind = \"dir\"\nroot = \"outer\"\n[inner]\nkind = \"dir\"\nroot = \"inner\"\n".to_owned(),
        };
        let rest = "[http]\nlisten = \"127.0.0.1:0\"\n[rejects]\nmax_count = 1000\n";
        write_config(self.directory.path(), &format!("{sides}{rest}{keys}"));
    }

    /// Publishes all at once, spread over the queues.
    pub fn fill(&self, messages: &[Vec<u8>]) {
        let Some(brokers) = &self.brokers else {
            for (number, message) in messages.iter().enumerate() {
                self.put(number, message);
            }
            return;
        };
        let next = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..PUBLISHERS {
                scope.spawn(|| {
                    let client = brokers.outer.client();
                    while let Some(message) = messages.get(next.fetch_add(1, Ordering::Relaxed)) {
                        let queue = &self.queues[fastrand::usize(..self.queues.len())];
                        assert!(client.publish(queue, message, client_properties()));
                    }
                });
            }
        });
    }

    fn put(&self, number: usize, message: &[u8]) {
        let queue = &self.queues[number % self.queues.len()];
        Queue::at(&self.root("outer"), queue).put(&format!("message-{number:07}"), message);
    }

    /// Publishes at a rate and takes what arrives; how long each was on its way.
    pub fn pace(&self, messages: &[Vec<u8>], rate: f64) -> Vec<Duration> {
        match &self.brokers {
            Some(brokers) => self.pace_brokers(brokers, messages, rate),
            None => self.pace_directories(messages, rate),
        }
    }

    fn pace_directories(&self, messages: &[Vec<u8>], rate: f64) -> Vec<Duration> {
        let sent: Mutex<HashMap<String, Instant>> = Mutex::default();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let began = Instant::now();
                for (number, message) in messages.iter().enumerate() {
                    wait_for_turn(began, number, rate);
                    sent.lock().unwrap().insert(format!("message-{number:07}"), Instant::now());
                    self.put(number, message);
                }
            });
            let mut latencies = Vec::with_capacity(messages.len());
            let inner: Vec<Queue> = self.queues.iter().map(|queue| Queue::at(&self.root("inner"), queue)).collect();
            while latencies.len() < messages.len() {
                for queue in &inner {
                    for (name, _) in queue.take() {
                        let now = Instant::now();
                        latencies.push(now - sent.lock().unwrap()[&name]);
                    }
                }
                std::thread::sleep(Duration::from_micros(500)); // a runner that looks often
            }
            latencies
        })
    }

    fn pace_brokers(&self, brokers: &Brokers, messages: &[Vec<u8>], rate: f64) -> Vec<Duration> {
        let next = AtomicUsize::new(0);
        let sent: Vec<Mutex<Option<Instant>>> = messages.iter().map(|_| Mutex::default()).collect();
        let began = Instant::now();
        std::thread::scope(|scope| {
            for _ in 0..PUBLISHERS {
                scope.spawn(|| {
                    let client = brokers.outer.client();
                    loop {
                        let number = next.fetch_add(1, Ordering::Relaxed);
                        let Some(message) = messages.get(number) else { break };
                        wait_for_turn(began, number, rate);
                        *sent[number].lock().unwrap() = Some(Instant::now());
                        let queue = &self.queues[number % self.queues.len()];
                        assert!(client.publish(queue, message, client_properties()));
                    }
                });
            }
            let client: Client = brokers.inner.client();
            let arrived = client.consume(&self.queues, messages.len());
            arrived.into_iter().map(|(body, at)| at - sent[number_of(&body)].lock().unwrap().unwrap()).collect()
        })
    }
}

fn wait_for_turn(began: Instant, number: usize, rate: f64) {
    let turn = began + Duration::from_secs_f64(number as f64 / rate);
    std::thread::sleep(turn.saturating_duration_since(Instant::now())); // the load's pace
}
