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
    /// Since when the threads that compute owe an answer, if they do.
    pool_asked: Option<Instant>,
    /// What stands in the way of readiness. Nothing has been looked at yet in the beginning, and that does.
    obstacles: Vec<String>,
}

impl Health {
    /// `heartbeat`: longer than the supervisor takes to go round when no broker answers.
    pub(crate) fn new(heartbeat: Duration) -> Self {
        let state = State { supervisor: Instant::now(), pool_asked: None, obstacles: vec!["starting".to_owned()] };
        Self { heartbeat, state: Mutex::new(state) }
    }

    pub(crate) fn supervisor_works(&self) {
        self.state().supervisor = Instant::now();
    }

    /// Whether the threads that compute are to be asked for a sign of life now: [`pool_works`](Self::pool_works) is their answer.
    /// Not while they owe one. Nobody asks them during a long look at a slow broker, and their silence means nothing then.
    pub(crate) fn asks_pool(&self) -> bool {
        let mut state = self.state();
        let owes_nothing = state.pool_asked.is_none();
        state.pool_asked.get_or_insert_with(Instant::now);
        owes_nothing
    }

    pub(crate) fn pool_works(&self) {
        self.state().pool_asked = None;
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
        [("the supervisor", Some(state.supervisor)), ("the threads that compute", state.pool_asked)]
            .into_iter()
            .filter_map(|(part, since)| Some((part, since?.elapsed())))
            .filter(|(_, silent_for)| *silent_for > self.heartbeat)
            .map(|(part, silent_for)| format!("{part}: not heard of for {} s", silent_for.as_secs()))
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
        assert!(hangs.asks_pool());
        assert!(!hangs.asks_pool(), "it owes an answer");
        std::thread::sleep(Duration::from_millis(1)); // no clock is so coarse
        let obstacles = hangs.obstacles_to_life();
        assert_eq!(obstacles.len(), 2, "{obstacles:?}");
        assert!(obstacles[0].starts_with("the supervisor: not heard of"), "{obstacles:?}");
        assert_eq!(hangs.obstacles_to_readiness(), obstacles);
    }

    #[test]
    fn threads_that_nobody_has_asked_do_not_hang() {
        let health = Health::new(Duration::ZERO);
        assert!(health.asks_pool());
        health.pool_works();
        std::thread::sleep(Duration::from_millis(1));
        let obstacles = health.obstacles_to_life();
        assert!(!obstacles.iter().any(|obstacle| obstacle.starts_with("the threads")), "{obstacles:?}");
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
