//! Reading the clock.

use std::hint::black_box;
use std::time::Instant;

use crate::counter;

const READINGS: u32 = 100_000;

/// Ticks of asking for the time.
pub fn instant_now() -> f64 {
    counter::per_round(READINGS, || {
        black_box(Instant::now());
    })
}
