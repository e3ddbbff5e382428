//! What there is to say of a guest's end.

use std::fmt::Write;

use darner_abi::Stats;

use crate::build_set::{BuildSet, Program};
use crate::error::Result;
use crate::symbolize;
use crate::vm::{Death, End, Outcome};

/// Status at the timeout, as `timeout(1)` has it.
const TIMED_OUT: u8 = 124;
/// Status when QEMU died: "internal software error" in sysexits(3).
pub const DIED: u8 = 70;
/// Status of a program of which a part was lost with a machine (the kernel's own).
pub const LOST: u8 = 75;
/// Status of a guest that was told to end: as if by SIGTERM.
const STOPPED: u8 = 143;

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// For the user: lines, or nothing.
    pub text: String,
    /// For the shell.
    pub status: u8,
}

impl Explanation {
    /// Of this guest.
    pub fn of(set: &BuildSet, program: &Program, outcome: &Outcome) -> Result<Self> {
        let mut text = backtrace(set, program, outcome)?.unwrap_or_default();
        if let Some(Death::Refused(reason)) = &outcome.report.death {
            line(
                &mut text,
                format_args!("xtask: the guest could not start: {reason}"),
            );
        }
        if let Some(address) = outcome.report.variable
            && let Some(name) = symbolize::variable(&program.elf, address)?
        {
            line(&mut text, format_args!("xtask: the variable is `{name}`"));
        }
        if let Some(stats) = &outcome.report.stats {
            text += &Stats::from(&**stats).to_string();
        }
        let status = match &outcome.end {
            End::Exited(status) => *status,
            End::TimedOut(limit) => {
                let seconds = limit.as_secs_f64();
                line(
                    &mut text,
                    format_args!("xtask: killed: it still ran after {seconds} s (--timeout)"),
                );
                TIMED_OUT
            }
            End::Stopped => {
                line(&mut text, format_args!("xtask: killed: it still ran"));
                STOPPED
            }
            End::Died { status, said } => {
                line(
                    &mut text,
                    format_args!(
                        "xtask: QEMU ended without the guest's exit record (triple fault or \
                         killed; {status})"
                    ),
                );
                if !said.is_empty() {
                    line(&mut text, format_args!("xtask: QEMU said: {said}"));
                }
                DIED
            }
        };
        Ok(Self { text, status })
    }
}

fn line(text: &mut String, what: std::fmt::Arguments) {
    // A text takes everything.
    let _ = writeln!(text, "{what}");
}

/// The backtrace that a dying guest left, with names.
pub fn backtrace(set: &BuildSet, program: &Program, outcome: &Outcome) -> Result<Option<String>> {
    if outcome.report.backtrace.is_empty() {
        return Ok(None);
    }
    let exact = matches!(outcome.report.death, Some(Death::Fault(_)));
    let library = set.toolchain.sysroot().join("lib/rustlib/src/rust");
    symbolize::backtrace(
        &program.elf,
        &[&set.root, &library],
        &outcome.report.backtrace,
        exact,
    )
    .map(Some)
}
