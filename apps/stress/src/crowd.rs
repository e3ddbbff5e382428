//! Many threads.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

use crate::{Outcome, several};

/// What a thread that only waits needs.
const STACK_BYTES: usize = 16 << 10;

/// All exist at the same time; then each is let go, adds its number and ends.
pub fn threads(count: u64) -> Outcome {
    let gate = Arc::new((Mutex::new(false), Condvar::new()));
    let sum = Arc::new(AtomicU64::new(0));
    let mut waiting = Vec::new();
    for number in 0..count {
        let (gate, sum) = (Arc::clone(&gate), Arc::clone(&sum));
        let thread = thread::Builder::new()
            .stack_size(STACK_BYTES)
            .spawn(move || {
                let (open, opened) = &*gate;
                let mut is_open = open.lock().unwrap();
                while !*is_open {
                    is_open = opened.wait(is_open).unwrap();
                }
                drop(is_open);
                sum.fetch_add(number, Ordering::Relaxed);
            });
        waiting.push(thread.map_err(|error| format!("thread {number} did not start: {error}"))?);
    }
    if sum.load(Ordering::Relaxed) != 0 {
        return Err("a thread ran on before it was let go".into());
    }
    *gate.0.lock().unwrap() = true;
    gate.1.notify_all();
    for thread in waiting {
        thread.join().map_err(|_| "a thread panicked")?;
    }
    match (
        sum.load(Ordering::Relaxed),
        count * count.saturating_sub(1) / 2,
    ) {
        (found, expected) if found == expected => Ok(format!("{count} at the same time")),
        (found, expected) => Err(format!("found the sum {found}, expected {expected}")),
    }
}

/// Several threads start and join others, over and over.
pub fn spawn(count: u64) -> Outcome {
    let makers = several() as u64;
    let each = count / makers + 1;
    let made = thread::scope(|scope| {
        let makers: Vec<_> = (0..makers)
            .map(|maker| {
                scope.spawn(move || {
                    (0..each)
                        .filter(|&number| {
                            thread::spawn(move || maker ^ number).join().ok()
                                == Some(maker ^ number)
                        })
                        .count()
                })
            })
            .collect();
        makers
            .into_iter()
            .map(|maker| maker.join().unwrap_or(0) as u64)
            .sum::<u64>()
    });
    match made == makers * each {
        true => Ok(format!("{made} by {makers} threads")),
        false => Err(format!(
            "{made} of {} came back with their number",
            makers * each
        )),
    }
}

/// Memory of threads that have ended comes back though no CPU is ever idle.
pub fn busy(count: u64) -> Outcome {
    // All of them together are more than the VM of a test has.
    const LARGE_STACK: usize = 16 << 20;
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..several() {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            });
        }
        let result = (0..count).try_for_each(|number| {
            thread::Builder::new()
                .stack_size(LARGE_STACK)
                .spawn(|| ())
                .map_err(|error| format!("thread {number} did not start: {error}"))?
                .join()
                .map_err(|_| format!("thread {number} panicked"))
        });
        stop.store(true, Ordering::Relaxed);
        result
    })?;
    Ok(format!("{count} beside spinning threads"))
}
