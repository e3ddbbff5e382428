//! Looking at the numbers, and waiting for them.

use std::thread;
use std::time::{Duration, Instant};

use darner::{Stats, Totals};

/// How long something may take that must happen by itself.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often to look.
const PERIOD: Duration = Duration::from_millis(50);

/// What a part says of numbers that are not there.
pub const NOT_LOOKED_AT: &str = "(this system tells nothing of its heap: not looked at)";

/// The program's heap, where there is one to tell of.
pub fn heap() -> Option<Totals> {
    darner::stats().program.map(|heap| heap.totals)
}

/// Waits until what the numbers say holds; an error that says what they are when it does
/// not after [`PATIENCE`].
pub fn wait_for(what: &str, holds: impl Fn(&Stats) -> bool) -> Result<Stats, String> {
    let begin = Instant::now();
    loop {
        let stats = darner::stats();
        if holds(&stats) {
            return Ok(stats);
        }
        if begin.elapsed() > PATIENCE {
            return Err(format!("waited {PATIENCE:?} for {what}"));
        }
        thread::sleep(PERIOD);
    }
}

/// As MiB.
pub fn mib(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}
