//! Threads that want a CPU all the time.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::Outcome;

/// Spinning threads on every CPU do not keep another from running.
pub fn spin(times: u64) -> Outcome {
    let cpus = thread::available_parallelism().map_or(1, usize::from);
    let stop = AtomicBool::new(false);
    let worst = thread::scope(|scope| {
        for _ in 0..cpus {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            });
        }
        let mut worst = Duration::ZERO;
        for _ in 0..times {
            let begin = Instant::now();
            thread::sleep(Duration::from_millis(1));
            worst = worst.max(begin.elapsed());
        }
        stop.store(true, Ordering::Relaxed);
        worst
    });
    match worst < Duration::from_secs(2) {
        true => Ok(format!(
            "{times} sleeps of 1 ms beside {cpus} spinning threads"
        )),
        false => Err(format!(
            "a sleep of 1 ms took {worst:?} beside {cpus} spinning threads"
        )),
    }
}

/// Threads that only compute take turns: none is left out for long, and those of one
/// CPU get the same.
pub fn share(times: u64) -> Outcome {
    /// How much more one thread may get than another of the same CPU.
    const FACTOR: u64 = 8;
    const PERIODS: u64 = 3;
    /// How long a period may be until every thread has run in it. A CPU of a virtual machine
    /// may stand still for a part of a second, and all its threads with it.
    const PATIENCE: Duration = Duration::from_secs(10);
    let cpus = thread::available_parallelism().map_or(1, usize::from) as u64;
    let threads = times * cpus;
    let period = Duration::from_millis(50 * threads.min(20));
    let stop = AtomicBool::new(false);
    let done: Vec<AtomicU64> = (0..threads).map(|_| AtomicU64::new(0)).collect();
    let now = || -> Vec<u64> {
        done.iter()
            .map(|done| done.load(Ordering::Relaxed))
            .collect()
    };
    let mut left_out = 0;
    thread::scope(|scope| {
        for done in &done {
            let stop = &stop;
            scope.spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    done.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        for _ in 0..PERIODS {
            let (before, begin) = (now(), Instant::now());
            left_out += loop {
                thread::sleep(period);
                let after = now();
                let still = before
                    .iter()
                    .zip(after)
                    .filter(|(before, after)| *before == after)
                    .count();
                if still == 0 || begin.elapsed() > PATIENCE {
                    break still;
                }
            };
        }
        stop.store(true, Ordering::Relaxed);
    });
    let done = now();
    let (least, most) = (
        done.iter().min().copied().unwrap_or(0),
        done.iter().max().copied().unwrap_or(0),
    );
    // Several CPUs of a virtual machine need not get the same of the host.
    let is_even = cpus > 1 || most <= least.saturating_mul(FACTOR);
    match left_out == 0 && is_even {
        true => Ok(format!(
            "{threads} threads, {PERIODS} periods, none left out"
        )),
        false => Err(format!(
            "{threads} threads: {left_out} times one was left out; one got {least}, one {most}"
        )),
    }
}
