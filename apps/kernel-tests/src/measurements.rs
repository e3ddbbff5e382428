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

/// Makes the measurements of these names; prints the ticks of one operation of each.
pub fn run(names: &[&str]) -> ExitCode {
    for &name in names {
        let Some((_, operations)) = MEASUREMENTS.into_iter().find(|&(known, _)| known == name)
        else {
            eprintln!("found no measurement `{name}`; there are:");
            for (known, _) in MEASUREMENTS {
                eprintln!("  {known}");
            }
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
