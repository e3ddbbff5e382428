//! A thread's whole life.

use std::thread;

use crate::counter;

const THREADS: u32 = 1000;

/// Ticks from the start of a thread that does nothing until it has been joined.
pub fn join() -> f64 {
    let life = || {
        thread::spawn(|| {})
            .join()
            .unwrap_or_else(|_| unreachable!("the thread does nothing"))
    };
    // The first threads' memory is used again by all others.
    for _ in 0..10 {
        life();
    }
    counter::per_round(THREADS, life)
}
