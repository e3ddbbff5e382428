//! Giving way to other threads.

use std::sync::Barrier;
use std::thread;

use crate::counter;

const YIELDS: u32 = 100_000;

/// Ticks of a yield when no other thread wants to run.
pub fn alone() -> f64 {
    counter::per_round(YIELDS, thread::yield_now)
}

/// Ticks of a yield when two threads yield to each other: each leads to the other
/// thread.
pub fn pair() -> f64 {
    let both_run = Barrier::new(2);
    thread::scope(|scope| {
        scope.spawn(|| {
            both_run.wait();
            for _ in 0..YIELDS {
                thread::yield_now();
            }
        });
        both_run.wait();
        // For each of this thread's yields there is one of the other's.
        counter::per_round(YIELDS, thread::yield_now) / 2.0
    })
}
