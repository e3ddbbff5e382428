//! Uses each part of `std::net` over the loopback interface and checks the result.
//!
//! ```text
//! cargo xtask run --smp 4 net-tour
//! cargo xtask run --net none net-tour -- --alone
//! ```
//!
//! Prints one line for each check; the exit code is 1 if any of them failed. It runs on
//! Linux, too, and prints the same there. With `--alone` it also checks what is so only
//! where nothing but the loopback interface leads anywhere. With `--crowd N` it has N
//! connections at once rather than 1,000: both ends are this program's, so that takes
//! 2 N descriptors.

use std::process::ExitCode;

#[cfg(target_os = "hermit")]
use hermit as _;

mod alone;
mod bytes;
mod crowd;
mod ends;
mod listeners;
mod names;
mod options;
mod pair;
mod threads;
mod udp;
mod waits;

use tour::Check;

fn main() -> ExitCode {
    let parts: [(&str, &[Check]); 9] = [
        ("bytes", bytes::CHECKS),
        ("ends", ends::CHECKS),
        ("listeners", listeners::CHECKS),
        ("options", options::CHECKS),
        ("waits", waits::CHECKS),
        ("udp", udp::CHECKS),
        ("names", names::CHECKS),
        ("threads", threads::CHECKS),
        ("crowd", crowd::CHECKS),
    ];
    let mut failed = tour::run(&parts);
    if std::env::args().any(|arg| arg == "--alone") {
        let checks = alone::CHECKS.iter();
        failed += checks.filter(|check| !check.run("alone")).count();
    }
    tour::end(failed)
}
