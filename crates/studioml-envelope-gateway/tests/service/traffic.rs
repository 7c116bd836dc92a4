//! Numbered requests and reports through many queues, and the account of what became of each.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use studioml_envelope::Opener;

use crate::support::keys::{number_of, report, report_key, request};
use crate::support::queue::Queue;
use crate::support::{provider, wait};
use crate::world::World;

/// Requests in, reports out, over some queues.
pub struct Traffic<'w> {
    world: &'w World,
    queues: Vec<String>,
    /// The experimenter's end of the reports, made once: to check an RSA key takes longer than to open with it.
    opener: Opener,
    /// How often each number arrived, of requests and of reports.
    arrived: Mutex<[HashMap<usize, u32>; 2]>,
    sent: AtomicUsize,
    size: usize,
}

impl<'w> Traffic<'w> {
    pub fn new(world: &'w World, queues: usize, size: usize) -> Self {
        let queues: Vec<String> = (0..queues).map(|number| format!("rmq_queue_{number}")).collect();
        for queue in &queues {
            // the report queue first, as the client does
            world.outer(&format!("{queue}_response"));
            world.outer(queue);
            Queue::create(&world.inner_root(), &format!("{queue}_response"));
        }
        let opener = Opener::new(&provider(), [report_key()]).unwrap();
        Self { world, queues, opener, arrived: Mutex::default(), sent: AtomicUsize::new(0), size }
    }

    /// Sends the next request and the next report, each to its queue in turn.
    pub fn send_next(&self) {
        let number = self.sent.fetch_add(1, Ordering::SeqCst);
        let queue = &self.queues[number % self.queues.len()];
        let sealed = self.world.experimenter.seal(&request(number, self.size));
        self.world.outer(queue).put(&format!("request-{number:07}"), &sealed);
        let inner = Queue::at(&self.world.inner_root(), &format!("{queue}_response"));
        inner.put(&format!("report-{number:07}"), &report(number));
    }

    /// Sends until there are `count`, or until told to stop; no faster than it is carried, but for a few hundred.
    pub fn send(&self, count: usize, stop: &AtomicBool) {
        while self.sent() < count && !stop.load(Ordering::Relaxed) {
            let [requests, reports] = self.arrived();
            if self.sent() < requests.min(reports) + 400 {
                self.send_next();
            } else {
                std::thread::sleep(Duration::from_millis(1)); // the receiver's turn
            }
        }
    }

    pub fn sent(&self) -> usize {
        self.sent.load(Ordering::SeqCst)
    }

    /// Takes what has arrived, as runners and experimenters do, and rests a moment: who only looks takes the gateway's cores.
    pub fn receive(&self) {
        for queue in &self.queues {
            for (_, request) in self.world.inner(queue).take() {
                self.count(0, number_of(&request));
            }
            for (_, mut sealed) in Queue::at(&self.world.outer_root(), &format!("{queue}_response")).take() {
                let opened = self.opener.open_report(&mut sealed, 1 << 20).unwrap();
                let report: serde_json::Value = serde_json::from_slice(opened.unauthenticated_plaintext()).unwrap();
                self.count(1, report["experimentId"].as_str().unwrap().parse().unwrap());
            }
        }
        std::thread::sleep(Duration::from_millis(2));
    }

    fn count(&self, direction: usize, number: usize) {
        *self.arrived.lock().unwrap()[direction].entry(number).or_default() += 1;
    }

    /// How many different requests and reports have arrived.
    pub fn arrived(&self) -> [usize; 2] {
        let arrived = self.arrived.lock().unwrap();
        [arrived[0].len(), arrived[1].len()]
    }

    /// Waits until all that was sent has arrived, and returns how many arrived more than once.
    pub fn wait_for_all(&self, patience: Duration) -> usize {
        wait::within(patience, "all messages to arrive", || {
            self.receive();
            (self.arrived() == [self.sent(), self.sent()]).then_some(())
        });
        let arrived = self.arrived.lock().unwrap();
        arrived.iter().flat_map(HashMap::values).map(|times| *times as usize - 1).sum()
    }
}
