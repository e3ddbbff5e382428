//! Uses each part of the crate `mio` over the loopback interface and checks the result.
//!
//! ```text
//! cargo xtask run --smp 4 mio-tour
//! ```
//!
//! Prints one line for each check; the exit code is 1 if any of them failed. It runs on
//! Linux, too, and prints the same there. On this target mio waits with `poll`, and is woken
//! by an `eventfd`.

use std::process::ExitCode;

#[cfg(target_os = "hermit")]
use hermit as _;

mod datagrams;
mod registering;
mod server;
mod streams;
mod until;
mod waking;

use tour::Check;

fn main() -> ExitCode {
    let parts: [(&str, &[Check]); 5] = [
        ("waking", waking::CHECKS),
        ("registering", registering::CHECKS),
        ("streams", streams::CHECKS),
        ("datagrams", datagrams::CHECKS),
        ("server", server::CHECKS),
    ];
    tour::end(tour::run(&parts))
}
