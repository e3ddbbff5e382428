//! What a critical section costs.

use darner_lwkt::Critical;

use super::super::Found;
use super::ticks;
use crate::sched::Kernel;

/// Ticks of `pairs` pairs of entering and leaving a critical section, a multiple of
/// 16.
pub fn critical_pair(pairs: u64) -> Found {
    const UNROLLED: u64 = 16;
    Ok(ticks(pairs / UNROLLED, |_| {
        // Unrolled by the compiler, so that the loop itself is little.
        for _ in 0..UNROLLED {
            drop(Critical::<Kernel>::enter());
        }
    }))
}
