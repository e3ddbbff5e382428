//! Reading the clock.

use std::time::Instant;

use crate::counter;

const ROUNDS: u32 = 20_000;
/// Readings a round, for the loop to count little.
const READINGS: u32 = 8;

/// Ticks of asking for the time.
pub fn instant_now() -> f64 {
    let ticks = counter::per_round(ROUNDS, || {
        // Whoever asks reads the clock, used or not.
        let _ = Instant::now();
        let _ = Instant::now();
        let _ = Instant::now();
        let _ = Instant::now();
        let _ = Instant::now();
        let _ = Instant::now();
        let _ = Instant::now();
        let _ = Instant::now();
    });
    ticks / f64::from(READINGS)
}
