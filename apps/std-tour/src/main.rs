//! Uses each part of Rust's standard library once and checks the result.
//!
//! ```text
//! cargo xtask run --smp 4 std-tour
//! cargo xtask run --smp 4 std-tour -- --stdin < README.md
//! ```
//!
//! Prints one line for each check; the exit code is 1 if any of them failed.
//! There is one file for each part of the library, and it runs on Linux, too.

use std::process::ExitCode;

#[cfg(target_os = "hermit")]
use hermit as _;

mod environment;
mod files;
mod floats;
mod heap;
mod locals;
mod sync;
mod threads;
mod time;

use tour::Check;

fn main() -> ExitCode {
    let with_stdin = std::env::args().any(|arg| arg == "--stdin");
    let parts: [(&str, &[Check]); 8] = [
        ("thread", threads::CHECKS),
        ("thread-local", locals::CHECKS),
        ("sync", sync::CHECKS),
        ("time", time::CHECKS),
        ("heap", heap::CHECKS),
        ("environment", environment::CHECKS),
        ("file", files::CHECKS),
        ("float", floats::CHECKS),
    ];
    let mut failed = tour::run(&parts);
    if with_stdin {
        failed += usize::from(!environment::STDIN.run("environment"));
    }
    tour::end(failed)
}
