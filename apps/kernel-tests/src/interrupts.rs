//! Interrupt threads beside threads of the program, in the kernel and out of it.

use std::hint::black_box;
use std::thread;

use crate::kernel;

/// Has two threads for each CPU take turns: each spins in the kernel `rounds` times, where
/// only interrupt threads may preempt it, and computes in between with numbers that are in
/// vector registers. Gives how often the kernel's code was preempted.
pub fn run(_name: &str, rounds: u64) -> Result<u64, String> {
    let cpus = kernel::run("interrupts-begin", 0)?;
    let expected = compute();
    let threads: Vec<_> = (0..2 * cpus)
        .map(|_| {
            thread::spawn(move || {
                let mut seen = 0;
                for round in 0..rounds {
                    seen += kernel::run("interrupts-spin", 1)?;
                    let computed = compute();
                    if computed != expected {
                        return Err(format!(
                            "computed {computed:?} in round {round}, and {expected:?} before: vector registers were changed"
                        ));
                    }
                }
                Ok(seen)
            })
        })
        .collect();
    let results: Vec<Result<u64, String>> = threads
        .into_iter()
        .map(|thread| thread.join().expect("the thread does not panic"))
        .collect();
    let ran = kernel::run("interrupts-end", 0)?;
    let seen: u64 = results.into_iter().sum::<Result<u64, String>>()?;
    if seen > ran {
        return Err(format!("{seen} preemptions were seen, of {ran}"));
    }
    Ok(seen)
}

/// Orbits of the logistic map (May, "Simple mathematical models with very complicated
/// dynamics", 1976), several at a time: where a bit is wrong all is.
fn compute() -> [f64; 8] {
    let mut orbits: [f64; 8] = std::array::from_fn(|number| 0.1 + 0.05 * number as f64);
    for _ in 0..black_box(300_000) {
        for orbit in &mut orbits {
            *orbit = 3.9 * *orbit * (1.0 - *orbit);
        }
    }
    black_box(orbits)
}
