//! Conditions: a short queue between producers and consumers. Nothing is lost, nothing is there
//! twice, and what one producer put in comes out in its order.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex};
use std::time::Duration;

use crate::{Load, Outcome, all};

/// So few that somebody nearly always waits.
const PLACES: usize = 3;
/// Items that a consumer waits for with an end in time, one of so many.
const IMPATIENT: usize = 4;

/// An item: its producer, and its number there.
type Item = (usize, usize);

struct State {
    places: VecDeque<Item>,
    /// How many are to be taken still.
    left: usize,
    /// Of each producer, the number of its next item to come out.
    next: Vec<usize>,
}

struct Queue {
    state: Mutex<State>,
    not_full: Condvar,
    not_empty: Condvar,
}

/// As many producers as consumers.
pub fn run(load: Load) -> Outcome {
    let pairs = load.threads.div_ceil(2);
    let queue = Queue {
        state: Mutex::new(State {
            places: VecDeque::new(),
            left: load.turns,
            next: vec![0; pairs],
        }),
        not_full: Condvar::new(),
        not_empty: Condvar::new(),
    };
    let taken = all(parallel::team(2 * pairs, |me| match me < pairs {
        true => queue
            .fill(me, parallel::share(load.turns, pairs, me).len())
            .map(|()| 0),
        false => queue.drain(),
    }))?;
    let taken: usize = taken.into_iter().sum();
    match taken == load.turns {
        true => Ok(format!("{taken} items, none lost, none twice, in order")),
        false => Err(format!("took {taken} items, expected {}", load.turns)),
    }
}

impl Queue {
    fn fill(&self, me: usize, items: usize) -> Result<(), String> {
        for item in 0..items {
            let state = self.state.lock().map_err(|_| "a lock is poisoned")?;
            let is_full = |state: &mut State| state.places.len() == PLACES;
            let state = self.not_full.wait_while(state, is_full);
            let mut state = state.map_err(|_| "a lock is poisoned")?;
            state.places.push_back((me, item));
            drop(state);
            self.not_empty.notify_one();
        }
        Ok(())
    }

    /// Takes items until all are taken. How many it took.
    fn drain(&self) -> Result<usize, String> {
        let mut taken = 0;
        loop {
            let mut state = self.state.lock().map_err(|_| "a lock is poisoned")?;
            while state.places.is_empty() && state.left > 0 {
                state = match taken % IMPATIENT {
                    0 => {
                        let wait = self
                            .not_empty
                            .wait_timeout(state, Duration::from_millis(20));
                        wait.map_err(|_| "a lock is poisoned")?.0
                    }
                    _ => {
                        let wait = self.not_empty.wait(state);
                        wait.map_err(|_| "a lock is poisoned")?
                    }
                };
            }
            let Some(item) = state.places.pop_front() else {
                return Ok(taken);
            };
            state.check(item)?;
            taken += 1;
            state.left -= 1;
            let is_last = state.left == 0;
            drop(state);
            self.not_full.notify_one();
            if is_last {
                self.not_empty.notify_all();
            }
        }
    }
}

impl State {
    fn check(&mut self, (producer, item): Item) -> Result<(), String> {
        let length = self.places.len() + 1;
        if length > PLACES {
            return Err(format!("found {length} items in {PLACES} places"));
        }
        let next = &mut self.next[producer];
        if item != *next {
            return Err(format!(
                "found item {item} of producer {producer}, expected {next}"
            ));
        }
        *next += 1;
        Ok(())
    }
}
