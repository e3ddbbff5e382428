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

/// Of threads that only compute each gets its share, within a factor.
pub fn share(times: u64) -> Outcome {
    /// A thread that was once moved has waited a while; so it is no more exact.
    const FACTOR: u64 = 8;
    let threads = times * thread::available_parallelism().map_or(1, usize::from) as u64;
    let stop = AtomicBool::new(false);
    let done: Vec<AtomicU64> = (0..threads).map(|_| AtomicU64::new(0)).collect();
    thread::scope(|scope| {
        for done in &done {
            let stop = &stop;
            scope.spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    done.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        thread::sleep(Duration::from_millis(150 * threads.min(20)));
        stop.store(true, Ordering::Relaxed);
    });
    let done = || done.iter().map(|done| done.load(Ordering::Relaxed));
    let (least, most) = (done().min().unwrap_or(0), done().max().unwrap_or(0));
    match least > 0 && most / least <= FACTOR {
        true => Ok(format!(
            "{threads} threads got shares within a factor of {FACTOR}"
        )),
        false => Err(format!(
            "of {threads} threads one got {least} and one {most}"
        )),
    }
}
