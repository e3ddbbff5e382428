//! Runs tests, side by side where they allow it, and tells of each.

use std::collections::VecDeque;
use std::io::Write;
use std::panic::AssertUnwindSafe;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::case::{Case, Company, Failure};
use super::suite::Suite;
use crate::error::{Error, Result};
use crate::vm::Outcome;

/// How much of the serial output a failure shows.
const SHOWN_LINES: usize = 50;

/// How tests ended.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// How many did as they should.
    pub passed: usize,
    /// How many did not.
    pub failed: usize,
    /// Those for which something was missing, by name.
    pub not_run: Vec<String>,
}

impl Tally {
    /// Whether none failed, and not all were left undone.
    pub fn is_success(&self) -> bool {
        self.failed == 0 && self.passed > 0
    }

    fn count(&mut self, case: &Case, end: &End) {
        match end {
            End::Passed => self.passed += 1,
            End::Failed(_) => self.failed += 1,
            End::NotRun(_) => self.not_run.push(case.name.clone()),
        }
    }
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)?;
        match &self.not_run[..] {
            [] => Ok(()),
            names => write!(f, ", {} not run: {}", names.len(), names.join(", ")),
        }
    }
}

/// How one test ended.
enum End {
    Passed,
    Failed(Failure),
    /// What it needs is missing: this says what, and what to do.
    NotRun(String),
}

/// Runs all: first builds, then what needs the machine for itself, then guests.
pub fn run(suite: &Suite, cases: &[Case]) -> Result<Tally> {
    let workers = std::thread::available_parallelism()
        .map_or(1, usize::from)
        .min(4);
    let mut tally = Tally::default();
    for (company, workers) in [
        (Company::Builds, workers),
        (Company::Nobody, 1),
        (Company::Guests, workers),
    ] {
        let cases = cases.iter().filter(|case| case.company == company);
        side_by_side(suite, cases.collect(), workers, &mut tally);
    }
    match crate::interrupt::status() {
        Some(_) => Err(Error::interrupted()),
        None => Ok(tally),
    }
}

/// Runs these, as many at a time as there are workers.
fn side_by_side(suite: &Suite, cases: VecDeque<&Case>, workers: usize, tally: &mut Tally) {
    fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
        mutex.lock().unwrap_or_else(PoisonError::into_inner)
    }
    let (queue, tally) = (Mutex::new(cases), Mutex::new(tally));
    let next = || locked(&queue).pop_front();
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while crate::interrupt::status().is_none()
                    && let Some(case) = next()
                {
                    let end = one(suite, case);
                    locked(&tally).count(case, &end);
                }
            });
        }
    });
}

/// Runs one and says how it went.
fn one(suite: &Suite, case: &Case) -> End {
    let begin = Instant::now();
    let end =
        std::panic::catch_unwind(AssertUnwindSafe(|| ended(suite, case))).unwrap_or_else(|_| {
            End::Failed(Failure {
                reason: "the test itself panicked".into(),
                outcome: None,
            })
        });
    let text = told(&case.name, begin.elapsed(), &end);
    // In one piece, whatever the other tests print meanwhile.
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
    end
}

fn ended(suite: &Suite, case: &Case) -> End {
    if let Some(need) = &case.need
        && let Err(missing) = need()
    {
        return End::NotRun(missing);
    }
    match (case.body)(suite) {
        Ok(()) => End::Passed,
        Err(failure) => End::Failed(failure),
    }
}

fn told(name: &str, time: Duration, end: &End) -> String {
    let time = time.as_secs_f64();
    match end {
        End::Passed => format!("test {name} ... ok ({time:.2} s)\n"),
        End::NotRun(missing) => format!("test {name} ... not run\n{}", indented(missing)),
        End::Failed(failure) => format!(
            "test {name} ... FAILED ({time:.2} s)\n{}{}",
            indented(&failure.reason),
            failure.outcome.as_deref().map(serial).unwrap_or_default()
        ),
    }
}

/// The end of what came over the serial lines.
fn serial(outcome: &Outcome) -> String {
    let mut text = String::new();
    for (what, bytes) in [
        ("COM1 (standard output)", &outcome.stdout),
        ("standard error", &outcome.stderr),
    ] {
        let content = String::from_utf8_lossy(bytes);
        let lines: Vec<&str> = content.lines().collect();
        let shown = &lines[lines.len().saturating_sub(SHOWN_LINES)..];
        text.push_str(&format!(
            "  last {} of {} lines of {what}:\n",
            shown.len(),
            lines.len()
        ));
        text.push_str(&indented(&shown.join("\n")));
    }
    text
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("    | {line}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::{Case, End, Failure, Tally, told};

    #[test]
    fn a_test_that_was_not_run_has_neither_passed_nor_failed() {
        let (mut tally, case) = (Tally::default(), Case::new("a/b", |_| Ok(())));
        tally.count(&case, &End::NotRun("no such host".into()));
        assert_eq!(tally.to_string(), "0 passed, 0 failed, 1 not run: a/b");
        assert!(!tally.is_success());
        tally.count(&case, &End::Passed);
        assert!(tally.is_success());
        tally.count(&case, &End::Failed(Failure::from("found 1, expected 2")));
        assert_eq!(tally.to_string(), "1 passed, 1 failed, 1 not run: a/b");
        assert!(!tally.is_success());
    }

    #[test]
    fn what_is_missing_is_told() {
        let end = End::NotRun("no such host\nask another".into());
        assert_eq!(
            told("a/b", std::time::Duration::ZERO, &end),
            "test a/b ... not run\n    | no such host\n    | ask another\n"
        );
    }
}
