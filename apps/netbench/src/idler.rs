//! How long a machine of one CPU had something to do.
//!
//! A thread that only yields takes the place of idling. What a round of it takes while
//! there is nothing else to do is measured first; then the time that is not that of its
//! rounds is the time of all other work: the program's and the system's, interrupts
//! included. Where the clock counts instructions (QEMU's `-icount`), so does this.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Rounds that are measured first.
const ROUNDS: u64 = 100_000;

/// A thread that yields until the program ends.
pub struct Idler {
    rounds: Arc<AtomicU64>,
    /// Nanoseconds of a round with nothing else to do.
    round: f64,
}

/// A moment, to be compared with a later one.
pub struct Begin<'a> {
    idler: &'a Idler,
    time: Instant,
    rounds: u64,
}

impl Idler {
    /// Measures its rounds and starts it. Nothing else shall be at work yet.
    pub fn start() -> Self {
        let rounds = Arc::new(AtomicU64::new(0));
        let begin = Instant::now();
        for _ in 0..ROUNDS {
            idle(&rounds);
        }
        let round = begin.elapsed().as_nanos() as f64 / ROUNDS as f64;
        let of_thread = Arc::clone(&rounds);
        thread::spawn(move || {
            loop {
                idle(&of_thread);
            }
        });
        Self { rounds, round }
    }

    /// Now.
    pub fn begin(&self) -> Begin<'_> {
        Begin {
            idler: self,
            time: Instant::now(),
            rounds: self.rounds.load(Ordering::Relaxed),
        }
    }
}

impl Begin<'_> {
    /// For how long there has been something to do since then.
    pub fn busy(&self) -> Duration {
        let rounds = self.idler.rounds.load(Ordering::Relaxed) - self.rounds;
        let idle = Duration::from_nanos((rounds as f64 * self.idler.round) as u64);
        self.time.elapsed().saturating_sub(idle)
    }
}

/// A round. Not inlined, for it to take the same wherever it is called.
#[inline(never)]
fn idle(rounds: &AtomicU64) {
    rounds.fetch_add(1, Ordering::Relaxed);
    thread::yield_now();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_are_idle_time() {
        let idler = Idler::start();
        let begin = idler.begin();
        while idler.rounds.load(Ordering::Relaxed) < begin.rounds + 10 {
            thread::yield_now();
        }
        assert!(begin.busy() <= begin.time.elapsed());
        assert!(idler.round > 0.0);
    }
}
