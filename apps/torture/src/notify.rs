//! Notifications: each wakes one that sleeps. Tokens are handed out one by one, with one notification
//! each, to threads that take one and wait for the others: none sleeps while there is one for it.

use std::sync::{Barrier, Condvar, Mutex};
use std::time::Duration;

use crate::{Load, Outcome, all};

/// Far longer than a wake-up takes, on whatever machine.
const PATIENCE: Duration = Duration::from_secs(30);

struct Tokens {
    left: Mutex<usize>,
    one_more: Condvar,
    /// Of givers and takers, between rounds.
    round: Barrier,
}

/// As many who give as who take, for a fifth of the turns: each is a round of all.
pub fn run(load: Load) -> Outcome {
    let (pairs, rounds) = (load.threads.div_ceil(2), load.turns.div_ceil(5));
    let tokens = Tokens {
        left: Mutex::new(0),
        one_more: Condvar::new(),
        round: Barrier::new(2 * pairs),
    };
    all(parallel::team(2 * pairs, |me| {
        let mut result = Ok(());
        for _ in 0..rounds {
            // One that has failed goes on, or the others would wait for it.
            result = result.and(match me < pairs {
                true => tokens.give(),
                false => tokens.take(),
            });
            tokens.round.wait();
        }
        result
    }))?;
    Ok(format!("{rounds} rounds, none slept with a token there"))
}

impl Tokens {
    fn give(&self) -> Result<(), String> {
        *self.left.lock().map_err(|_| "a lock is poisoned")? += 1;
        self.one_more.notify_one();
        Ok(())
    }

    fn take(&self) -> Result<(), String> {
        let mut left = self.left.lock().map_err(|_| "a lock is poisoned")?;
        let mut has_slept_on = false;
        while *left == 0 {
            let waited = self.one_more.wait_timeout(left, PATIENCE);
            let (guard, timeout) = waited.map_err(|_| "a lock is poisoned")?;
            left = guard;
            has_slept_on = timeout.timed_out() && *left > 0;
        }
        *left -= 1;
        match has_slept_on {
            false => Ok(()),
            true => Err("a thread slept though it had been notified".into()),
        }
    }
}
