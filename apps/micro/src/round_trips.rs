//! Two threads that wait for each other in turn: one wakes the other and waits for
//! its answer.

use std::sync::mpsc::channel;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use crate::counter;

const TRIPS: u32 = 10_000;

/// Ticks of a trip with `unpark` and `park`.
pub fn park() -> f64 {
    let here = thread::current();
    thread::scope(|scope| {
        let there = scope.spawn(move || {
            for _ in 0..TRIPS {
                thread::park();
                here.unpark();
            }
        });
        counter::per_round(TRIPS, || {
            there.thread().unpark();
            thread::park();
        })
    })
}

/// Whose turn it is, and a way to wait for one's own.
struct Turn {
    is_theirs: Mutex<bool>,
    changed: Condvar,
}

impl Turn {
    /// Waits until it is the caller's turn, then gives it to the other one.
    fn take(&self, theirs: bool) {
        let is_theirs = self.lock();
        let mut is_theirs = self
            .changed
            .wait_while(is_theirs, |turn| *turn != theirs)
            .unwrap_or_else(PoisonError::into_inner);
        *is_theirs = !theirs;
        self.changed.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, bool> {
        self.is_theirs
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ticks of a trip with a mutex and a condition variable.
pub fn condvar() -> f64 {
    let turn = Turn {
        is_theirs: Mutex::new(false),
        changed: Condvar::new(),
    };
    thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..TRIPS {
                turn.take(true);
            }
        });
        counter::per_round(TRIPS, || turn.take(false))
    })
}

/// Ticks of a trip with two channels.
pub fn mpsc() -> f64 {
    let (to_there, at_there) = channel();
    let (to_here, at_here) = channel();
    thread::scope(|scope| {
        scope.spawn(move || {
            // Until the sender is dropped.
            for number in at_there {
                if to_here.send(number).is_err() {
                    break;
                }
            }
        });
        let mut number = 0;
        let ticks = counter::per_round(TRIPS, || {
            number += 1;
            let answer = to_there.send(number).map(|()| at_here.recv());
            assert_eq!(answer, Ok(Ok(number)), "the other thread answers");
        });
        drop(to_there);
        ticks
    })
}
