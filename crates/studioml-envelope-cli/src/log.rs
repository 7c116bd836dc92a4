//! What a server says while it serves. A stream has a thread of its own that writes to it: who reads it slowly, or not at
//! all, holds up neither messages nor signals. What finds no room is left out, and that is said.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc::{Receiver, Sender, channel},
    },
    thread,
    time::Duration,
};

use crate::failure::{Failure, Outcome};

/// How many lines wait to be written.
const WAITING: usize = 1024;
/// How long the server waits for them when it ends.
const LAST_LINES: Duration = Duration::from_secs(1);

/// One stream.
pub struct Log {
    entries: Sender<Entry>,
    count: Arc<Count>,
}

enum Entry {
    Line(Box<dyn FnOnce() -> Outcome + Send>),
    /// Answered with what became of the last line.
    End(Sender<Outcome>),
}

#[derive(Default)]
struct Count {
    waiting: AtomicUsize,
    left_out: AtomicUsize,
}

impl Log {
    /// Begins to write. `tell_left_out` says how many lines found no room.
    pub fn start(tell_left_out: impl Fn(usize) -> Outcome + Send + 'static) -> Outcome<Self> {
        let (entries, to_write) = channel();
        let count = Arc::new(Count::default());
        let counted = Arc::clone(&count);
        let writer = thread::Builder::new().spawn(move || write(&to_write, &counted, tell_left_out));
        writer.map_err(|error| Failure::io(format!("starting: {error}")))?;
        Ok(Self { entries, count })
    }

    /// Has a line written, by a function that says how it went. Never waits.
    pub fn say(&self, line: impl FnOnce() -> Outcome + Send + 'static) {
        if self.count.waiting.fetch_add(1, Ordering::Relaxed) >= WAITING {
            self.count.waiting.fetch_sub(1, Ordering::Relaxed);
            self.count.left_out.fetch_add(1, Ordering::Relaxed);
            return;
        }
        // its thread ends only after the end was asked for
        let _ = self.entries.send(Entry::Line(Box::new(line)));
    }

    /// Writes what waits, if somebody reads it, and says what became of the last line.
    pub fn end(&self) -> Outcome {
        let (written, outcome) = channel();
        let _ = self.entries.send(Entry::End(written));
        outcome.recv_timeout(LAST_LINES).unwrap_or_else(|_| Err(Failure::reader_gone()))
    }
}

fn write(entries: &Receiver<Entry>, count: &Count, tell_left_out: impl Fn(usize) -> Outcome) {
    let mut last = Ok(());
    for entry in entries {
        match entry {
            Entry::Line(line) => {
                last = line();
                count.waiting.fetch_sub(1, Ordering::Relaxed);
            }
            Entry::End(written) => {
                let _ = written.send(last);
                return;
            }
        }
        match count.left_out.swap(0, Ordering::Relaxed) {
            0 => {}
            lines => last = tell_left_out(lines),
        }
    }
}
