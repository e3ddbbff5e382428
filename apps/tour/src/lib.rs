//! What the tours share: programs that use each part of a library once. What a check is, how
//! its result is shown, and how such a program ends.

use std::error::Error;
use std::io::ErrorKind;
use std::process::ExitCode;

/// How a check ends: with what it found, or with what is wrong.
pub type Outcome = Result<String, Box<dyn Error>>;

/// One check: its name and what it does.
pub struct Check {
    name: &'static str,
    does: fn() -> Outcome,
}

impl Check {
    /// A check.
    pub const fn new(name: &'static str, does: fn() -> Outcome) -> Self {
        Self { name, does }
    }

    /// Runs it and prints one line; whether all was well.
    pub fn run(&self, part: &str) -> bool {
        match (self.does)() {
            Ok(found) => {
                println!("ok     {part}: {} ({found})", self.name);
                true
            }
            Err(error) => {
                println!("FAILED {part}: {}: {error}", self.name);
                false
            }
        }
    }
}

/// Ends the check with an error unless the two are equal.
#[macro_export]
macro_rules! same {
    ($found:expr, $expected:expr) => {
        match (&$found, &$expected) {
            (found, expected) => {
                if found != expected {
                    return Err(format!(
                        "{}: found {found:?}, expected {expected:?}",
                        stringify!($found)
                    )
                    .into());
                }
            }
        }
    };
}

/// Ends the check with an error unless the condition holds.
#[macro_export]
macro_rules! ensure {
    ($condition:expr, $($message:tt)+) => {
        if !$condition {
            return Err(format!($($message)+).into());
        }
    };
}

/// The kind of error that it ended with; success is an error here.
pub fn kind<T>(result: std::io::Result<T>) -> Result<ErrorKind, Box<dyn Error>> {
    match result {
        Ok(_) => Err("found success, expected an error".into()),
        Err(error) => Ok(error.kind()),
    }
}

/// Runs the checks of all parts. How many have failed.
pub fn run(parts: &[(&str, &[Check])]) -> usize {
    let failed =
        |(part, checks): &(&str, &[Check])| checks.iter().filter(|check| !check.run(part)).count();
    parts.iter().map(failed).sum()
}

/// Says whether all is well; the exit code is 1 if not.
pub fn end(failed: usize) -> ExitCode {
    if failed == 0 {
        println!("all well");
        ExitCode::SUCCESS
    } else {
        println!("{failed} checks failed");
        ExitCode::FAILURE
    }
}
