//! Runs tests, side by side where they allow it, and tells of each.

use std::collections::VecDeque;
use std::io::Write;
use std::panic::AssertUnwindSafe;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::case::{Case, Failure, Verdict};
use super::suite::Suite;
use crate::error::{Error, Result};
use crate::vm::Outcome;

/// How much of the serial output a failure shows.
const SHOWN_LINES: usize = 50;

/// Runs all; gives how many failed.
pub fn run(suite: &Suite, cases: &[Case]) -> Result<usize> {
    let mut failed = 0;
    for case in cases.iter().filter(|case| case.alone) {
        failed += usize::from(!one(suite, case));
    }
    let queue: Mutex<VecDeque<&Case>> =
        Mutex::new(cases.iter().filter(|case| !case.alone).collect());
    let workers = std::thread::available_parallelism()
        .map_or(1, usize::from)
        .min(4);
    let next = || {
        queue
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop_front()
    };
    failed += std::thread::scope(|scope| {
        let workers: Vec<_> = (0..workers)
            .map(|_| {
                scope.spawn(|| {
                    let mut failed = 0;
                    while crate::interrupt::status().is_none()
                        && let Some(case) = next()
                    {
                        failed += usize::from(!one(suite, case));
                    }
                    failed
                })
            })
            .collect();
        workers
            .into_iter()
            .map(|worker| worker.join().unwrap_or(1))
            .sum::<usize>()
    });
    match crate::interrupt::status() {
        Some(_) => Err(Error::interrupted()),
        None => Ok(failed),
    }
}

/// Runs one and says how it went; whether it went well.
fn one(suite: &Suite, case: &Case) -> bool {
    let begin = Instant::now();
    let verdict =
        std::panic::catch_unwind(AssertUnwindSafe(|| (case.body)(suite))).unwrap_or_else(|_| {
            Err(Failure {
                reason: "the test itself panicked".into(),
                outcome: None,
            })
        });
    let text = told(&case.name, begin.elapsed(), &verdict);
    // In one piece, whatever the other tests print meanwhile.
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
    verdict.is_ok()
}

fn told(name: &str, time: Duration, verdict: &Verdict) -> String {
    let result = if verdict.is_ok() { "ok" } else { "FAILED" };
    let mut text = format!("test {name} ... {result} ({:.2} s)\n", time.as_secs_f64());
    if let Err(failure) = verdict {
        text.push_str(&indented(&failure.reason));
        if let Some(outcome) = &failure.outcome {
            text.push_str(&serial(outcome));
        }
    }
    text
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
