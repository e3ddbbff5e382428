//! Measures single operations, one a run, with the time-stamp counter.
//!
//! ```text
//! cargo xtask run --icount micro -- getpid
//! ```
//!
//! Under `--icount` the counter counts instructions, and every run gives the same
//! number; without it, and on Linux, it counts time. Without an argument the
//! program lists what it can measure. `cargo xtask bench` reads what it prints: the
//! name and the ticks of one operation.

use std::process::ExitCode;

#[cfg(target_os = "hermit")]
use hermit as _;

mod clock;
mod counter;
mod getpid;
mod heap;
mod locks;
mod round_trips;
mod spawn;
mod yields;

/// Something to measure.
struct Measurement {
    name: &'static str,
    /// What one operation is.
    about: &'static str,
    /// Gives the ticks of one operation.
    run: fn() -> f64,
}

/// Shortens the list below.
const fn measurement(name: &'static str, about: &'static str, run: fn() -> f64) -> Measurement {
    Measurement { name, about, run }
}

/// All there is to measure.
const MEASUREMENTS: &[Measurement] = &[
    measurement(
        "getpid",
        "a call of the system that does next to nothing",
        getpid::run,
    ),
    measurement(
        "yield_alone",
        "a yield with no other thread to run",
        yields::alone,
    ),
    measurement("yield_pair", "a yield to another thread", yields::pair),
    measurement(
        "mutex_uncontended",
        "taking and giving back a mutex that nobody else wants",
        locks::mutex_uncontended,
    ),
    measurement(
        "spawn_join",
        "a thread that does nothing, from its start to its join",
        spawn::join,
    ),
    measurement(
        "park_rtt",
        "two threads that unpark each other, there and back",
        round_trips::park,
    ),
    measurement(
        "condvar_rtt",
        "the same with a mutex and a condition variable",
        round_trips::condvar,
    ),
    measurement(
        "mpsc_rtt",
        "the same with a message through a channel each way",
        round_trips::mpsc,
    ),
    measurement("instant_now", "the time now", clock::instant_now),
    measurement(
        "pair_64",
        "a box of 64 bytes, made and dropped",
        heap::pair_64,
    ),
    measurement(
        "pair_16k",
        "a box of 16 KiB, made and dropped",
        heap::pair_16k,
    ),
    measurement(
        "throughput",
        "thousands of blocks a second, by a thread on each CPU",
        heap::throughput,
    ),
];

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [name] = args.as_slice() else {
        return usage();
    };
    let Some(measurement) = MEASUREMENTS.iter().find(|entry| entry.name == name) else {
        return usage();
    };
    println!("{name} {:.6}", (measurement.run)());
    ExitCode::SUCCESS
}

/// Says how to call the program; the status of a wrong call.
fn usage() -> ExitCode {
    eprintln!("usage: micro MEASUREMENT");
    for Measurement { name, about, .. } in MEASUREMENTS {
        eprintln!("  {name:<18} {about}");
    }
    ExitCode::from(2)
}
