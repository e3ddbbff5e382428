//! What is measured, and how often it is repeated for that.

use std::process::ExitCode;

use crate::kernel;

/// The measurements, and how many operations each takes the ticks of.
const MEASUREMENTS: [(&str, u64); 6] = [
    ("critical_pair", 160_000),
    ("domsg_fast", 100_000),
    ("port_queued", 10_000),
    ("port_answered", 10_000),
    ("ipi_pingpong", 20_000),
    ("ipi_pipelined", 1_000_000),
];

/// What the names of measurements of updated counters begin with. The kernel knows the
/// rest: `counters/WAY/SHAPE`, and that with `/interrupts`.
const COUNTERS: &str = "counters/";
/// How many updates are measured: a multiple of the CPUs' number, up to 64.
const UPDATES: u64 = 192_000;

/// How many operations the measurement of that name takes the ticks of.
fn operations(name: &str) -> Option<u64> {
    match name.starts_with(COUNTERS) {
        true => Some(UPDATES),
        false => MEASUREMENTS
            .into_iter()
            .find_map(|(known, operations)| (known == name).then_some(operations)),
    }
}

/// Makes the measurements of these names; prints the ticks of one operation of each.
pub fn run(names: &[&str]) -> ExitCode {
    for &name in names {
        let Some(operations) = operations(name) else {
            eprintln!("found no measurement `{name}`; there are:");
            for (known, _) in MEASUREMENTS {
                eprintln!("  {known}");
            }
            eprintln!("  {COUNTERS}WAY/SHAPE, {COUNTERS}WAY/SHAPE/interrupts");
            return ExitCode::from(2);
        };
        match kernel::run(name, operations) {
            Ok(ticks) => println!("{name} {:.6}", ticks as f64 / operations as f64),
            Err(error) => {
                eprintln!("{name}: {error}");
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}
