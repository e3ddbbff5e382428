//! What is measured, and how often it is repeated for that.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use crate::kernel;

/// The measurements, and how many operations each takes the ticks of.
const MEASUREMENTS: [(&str, u64); 8] = [
    ("critical_pair", 160_000),
    ("domsg_fast", 100_000),
    ("port_queued", 10_000),
    ("port_answered", 10_000),
    ("ipi_pingpong", 20_000),
    ("ipi_pipelined", 1_000_000),
    // These need a network card, as the test of network cards does.
    ("network_send", 1600),
    ("network_receive", 1600),
];

/// What the names of measurements of updated counters begin with. The kernel knows the
/// rest: `counters/WAY/SHAPE`, and that with `/interrupts`.
const COUNTERS: &str = "counters/";
/// How many updates are made first, to see how long they take. This and [`STEP`] are
/// multiples of the number of CPUs, up to 64.
const FIRST_UPDATES: u64 = 9600;
/// The number of updates is a multiple of this.
const STEP: u64 = 64;
/// How long an experiment shall take, about: long enough that it makes no difference
/// when each CPU begins and ends.
const DURATION: Duration = Duration::from_millis(150);
/// The most updates that are made.
const MOST_UPDATES: u64 = 4_800_000;

/// How many operations the measurement of that name takes the ticks of.
fn operations(name: &str) -> Result<u64, String> {
    if !name.starts_with(COUNTERS) {
        return MEASUREMENTS
            .into_iter()
            .find_map(|(known, operations)| (known == name).then_some(operations))
            .ok_or_else(|| "there is no such measurement".into());
    }
    let begin = Instant::now();
    kernel::run(name, FIRST_UPDATES)?;
    let took = begin.elapsed().as_nanos().max(1);
    let fitting = u128::from(FIRST_UPDATES) * DURATION.as_nanos() / took;
    let fitting = u64::try_from(fitting).unwrap_or(MOST_UPDATES);
    Ok(fitting.clamp(FIRST_UPDATES, MOST_UPDATES) / STEP * STEP)
}

/// Makes the measurements of these names; prints the ticks of one operation of each.
pub fn run(names: &[&str]) -> ExitCode {
    for &name in names {
        let measured = operations(name)
            .and_then(|operations| Ok((kernel::run(name, operations)?, operations)));
        match measured {
            Ok((ticks, operations)) => println!("{name} {:.6}", ticks as f64 / operations as f64),
            Err(error) => {
                eprintln!("{name}: {error}; the measurements are:");
                for (known, _) in MEASUREMENTS {
                    eprintln!("  {known}");
                }
                eprintln!("  {COUNTERS}WAY/SHAPE, {COUNTERS}WAY/SHAPE/interrupts");
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}
