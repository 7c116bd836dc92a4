//! Which cores are the gateway's, and which are everybody else's.

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

pub struct Cores {
    gateway: Vec<usize>,
    others: Vec<usize>,
}

impl Cores {
    /// The cores named are the gateway's; all, if none is named.
    pub fn new(named: &[usize]) -> Self {
        let set = sched_getaffinity(None).unwrap();
        let all: Vec<usize> = (0..CpuSet::MAX_CPU).filter(|core| set.is_set(*core)).collect();
        assert!(named.iter().all(|core| all.contains(core)), "of the cores {all:?}");
        let gateway = if named.is_empty() { all.clone() } else { named.to_vec() };
        let others: Vec<usize> = all.iter().copied().filter(|core| !gateway.contains(core)).collect();
        Self { gateway, others: if others.is_empty() { all } else { others } }
    }

    /// How many the gateway has.
    pub fn gateway(&self) -> usize {
        self.gateway.len()
    }

    /// Keeps this thread, and all that it starts, away from the gateway's cores.
    pub fn leave_to_gateway(&self) {
        run_on(&self.others);
    }

    /// Runs `start` on the gateway's cores; what it starts stays there.
    pub fn run_as_gateway<T>(&self, start: impl FnOnce() -> T) -> T {
        run_on(&self.gateway);
        let started = start();
        self.leave_to_gateway();
        started
    }
}

fn run_on(cores: &[usize]) {
    let mut set = CpuSet::new();
    for core in cores {
        set.set(*core);
    }
    sched_setaffinity(None, &set).unwrap();
}
