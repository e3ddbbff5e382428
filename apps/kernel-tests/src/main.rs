//! Runs the tests and measurements that the kernel has of itself, of what only it
//! can do: messages between CPUs, migration, shootdowns.
//!
//! ```text
//! cargo xtask run --smp 4 kernel-tests
//! cargo xtask run --smp 4 kernel-tests -- ipi-storm
//! cargo xtask run --icount kernel-tests -- measure critical_pair
//! cargo xtask run kernel-tests -- network
//! ```
//!
//! The last one needs a network card whose other end is QEMU's own network.
//!
//! Prints one line for each test; the exit code is 1 if any of them failed. A
//! measurement prints its name and the ticks of one operation, for `cargo xtask
//! bench`. The kernel is built with the feature `selftest` for this program.

use std::process::ExitCode;

#[cfg(target_os = "hermit")]
use hermit as _;

mod interrupts;
mod kernel;
mod measurements;
mod network;
mod reclaim;
mod tests;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["measure", names @ ..] => measurements::run(names),
        ["network"] => network::run(),
        names => tests::run(names),
    }
}
