//! Locks that nobody else wants.

use std::hint::black_box;
use std::sync::{Mutex, PoisonError};

use crate::counter;

const ROUNDS: u32 = 100_000;

/// Ticks of taking a mutex and giving it back.
pub fn mutex_uncontended() -> f64 {
    let mutex = Mutex::new(());
    counter::per_round(ROUNDS, || {
        drop(
            black_box(&mutex)
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
        )
    })
}
