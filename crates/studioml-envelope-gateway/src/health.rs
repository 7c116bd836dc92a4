//! What the probes are told: whether the gateway still works, and whether it can do its work.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The state that probes ask for. It is written by the supervisor at every look.
pub(crate) struct Health {
    /// A part that has not been heard of for this long hangs.
    heartbeat: Duration,
    state: Mutex<State>,
}

struct State {
    /// When the supervisor last went round.
    supervisor: Instant,
    /// When the threads that compute last took a job.
    pool: Instant,
    /// What stands in the way of readiness. Nothing has been looked at yet in the beginning, and that does.
    obstacles: Vec<String>,
}

impl Health {
    /// `heartbeat`: longer than the supervisor takes to go round when no broker answers.
    pub(crate) fn new(heartbeat: Duration) -> Self {
        let now = Instant::now();
        let state = State { supervisor: now, pool: now, obstacles: vec!["starting".to_owned()] };
        Self { heartbeat, state: Mutex::new(state) }
    }

    pub(crate) fn supervisor_works(&self) {
        self.state().supervisor = Instant::now();
    }

    pub(crate) fn pool_works(&self) {
        self.state().pool = Instant::now();
    }

    /// Says what stands in the way of readiness, and whether that is a change.
    pub(crate) fn set_obstacles(&self, obstacles: Vec<String>) -> bool {
        let mut state = self.state();
        let changed = state.obstacles != obstacles;
        state.obstacles = obstacles;
        changed
    }

    /// Nothing, while all parts work. Brokers that are down are no obstacle to life: a restart would not help.
    pub(crate) fn obstacles_to_life(&self) -> Vec<String> {
        let state = self.state();
        [("the supervisor", state.supervisor), ("the threads that compute", state.pool)]
            .into_iter()
            .filter(|(_, heard)| heard.elapsed() > self.heartbeat)
            .map(|(part, heard)| format!("{part}: not heard of for {} s", heard.elapsed().as_secs()))
            .collect()
    }

    /// Nothing, when there are keys, both sides can be reached and no queue waits for somebody to change a configuration.
    pub(crate) fn obstacles_to_readiness(&self) -> Vec<String> {
        let mut obstacles = self.obstacles_to_life();
        obstacles.extend(self.state().obstacles.iter().cloned());
        obstacles
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_that_is_not_heard_of_is_an_obstacle_to_life_and_to_readiness() {
        let hangs = Health::new(Duration::ZERO);
        hangs.set_obstacles(Vec::new());
        std::thread::sleep(Duration::from_millis(1)); // no clock is so coarse
        let obstacles = hangs.obstacles_to_life();
        assert_eq!(obstacles.len(), 2, "{obstacles:?}");
        assert!(obstacles[0].starts_with("the supervisor: not heard of"), "{obstacles:?}");
        assert_eq!(hangs.obstacles_to_readiness(), obstacles);
    }

    #[test]
    fn what_stands_in_the_way_of_readiness_does_not_stand_in_the_way_of_life() {
        let health = Health::new(Duration::from_secs(600));
        assert_eq!(health.obstacles_to_readiness(), ["starting"]);
        assert!(health.set_obstacles(vec!["inner: out of reach".to_owned()]));
        assert!(!health.set_obstacles(vec!["inner: out of reach".to_owned()]), "no change");
        assert_eq!(health.obstacles_to_readiness(), ["inner: out of reach"]);
        assert_eq!(health.obstacles_to_life(), Vec::<String>::new());
    }
}
