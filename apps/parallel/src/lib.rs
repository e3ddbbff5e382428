//! What the parallel programs share: how their command line is read, how work is divided among
//! threads, and how a large result becomes one line.
//!
//! Such a program prints the same whatever the number of threads and wherever they run, so what it
//! prints on one machine and on several can be compared. How long something took goes to standard
//! error.

use std::process::ExitCode;
use std::time::Instant;

mod arguments;
mod checksum;
mod shares;

pub use arguments::Arguments;
pub use checksum::Checksum;
pub use shares::{divide, share, team};

use arguments::Stop;

/// Runs a program: `read` takes what it wants from the command line, `run` does the work.
///
/// The exit status is 0; 1 if the work went wrong, which `run` says; 2 if the command line was.
pub fn main<T>(
    program: &str,
    read: impl FnOnce(&mut Arguments) -> T,
    run: impl FnOnce(T) -> Result<(), String>,
) -> ExitCode {
    match arguments::options(lexopt::Parser::from_env(), program, read) {
        Ok(options) => match run(options) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("{program}: {error}");
                ExitCode::FAILURE
            }
        },
        Err(Stop::Help(usage)) => {
            println!("{usage}");
            ExitCode::SUCCESS
        }
        Err(Stop::Wrong(error)) => {
            eprintln!("{program}: {error}");
            ExitCode::from(2)
        }
    }
}

/// Does `work`, and says on standard error when it begins and how long it took.
pub fn timed<T>(what: &str, threads: usize, work: impl FnOnce() -> T) -> T {
    eprintln!("begins with {threads} thread(s)");
    let begin = Instant::now();
    let result = work();
    let time = begin.elapsed().as_millis();
    eprintln!("{what}: {time} ms with {threads} thread(s)");
    result
}
