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

mod counter;
mod getpid;

/// Something to measure.
struct Measurement {
    name: &'static str,
    /// What one operation is.
    about: &'static str,
    /// Gives the ticks of one operation.
    run: fn() -> f64,
}

/// All there is to measure.
const MEASUREMENTS: &[Measurement] = &[Measurement {
    name: "getpid",
    about: "a call of the system that does next to nothing",
    run: getpid::run,
}];

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
        eprintln!("  {name:<12} {about}");
    }
    ExitCode::from(2)
}
