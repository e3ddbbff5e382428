//! `xtask run`: one program in one virtual machine.
//!
//! Exit statuses: the program's own; 101 after a panic, 139 after a fault, 124
//! at the timeout, 70 when QEMU died without a word from the guest, 1 when the
//! guest could not start, 2 when the user has to do something first.

mod options;

use darner_abi::Stats;
use options::Options;

use crate::app::App;
use crate::build_set::{BuildSet, Program};
use crate::error::{Context, Result};
use crate::symbolize;
use crate::trace;
use crate::vm::{self, Death, End, Guest, Input, Outcome, Output, Streams};
use crate::workspace;

/// Status at the timeout, as `timeout(1)` has it.
const TIMED_OUT: u8 = 124;
/// Status when QEMU died: "internal software error" in sysexits(3).
const DIED: u8 = 70;

/// Does what the command line after `run` says; gives the status to exit with.
pub fn run(parser: lexopt::Parser) -> Result<u8> {
    start(Options::parse(parser, false)?)
}

/// Does what the command line after `trace` says: as [`run`], and writes a trace.
pub fn trace(parser: lexopt::Parser) -> Result<u8> {
    start(Options::parse(parser, true)?)
}

fn start(mut options: Options) -> Result<u8> {
    // A mistyped name costs no build.
    let app = App::find(&workspace::root()?, &options.app)?;
    let set = BuildSet::ready()?;
    let program = set.program(&app, options.profile)?;
    let folder = tempfile::Builder::new()
        .prefix("darner-initrd-")
        .tempdir()
        .context(|| "make a temporary folder".into())?;
    let initrd = folder.path().join("initrd.tar");
    set.initrd(&initrd, &program, &options.shares)?;
    if options.config.gdb {
        eprintln!("xtask: QEMU waits; in another terminal: gdb -ex 'target remote :1234' \\");
        eprintln!(
            "xtask:   -ex 'add-symbol-file {} -o 0x8000000000'",
            program.elf.display()
        );
    }
    let guest = Guest {
        loader: set.loader.clone(),
        initrd,
        name: program.name.clone(),
        log: options.log,
        env: options.env,
        args: options.args,
    };
    let streams = Streams {
        input: Input::Stdin,
        stdout: Output::Stdout,
        stderr: Output::Stderr,
        boot_line: true,
        verbose: options.verbose,
    };
    if options.trace.is_some() {
        options.config.trace = Some(folder.path().join("trace"));
    }
    let outcome = vm::run(&set.qemu, &options.config, &guest, streams)?;
    let status = explain(&set, &program, &outcome)?;
    if let (Some(raw), Some(out)) = (&options.config.trace, &options.trace) {
        trace::convert(raw, out)?;
    }
    Ok(status)
}

/// Says what there is to say of a guest's end; gives the status to exit with.
fn explain(set: &BuildSet, program: &Program, outcome: &Outcome) -> Result<u8> {
    if let Some(text) = backtrace(set, program, outcome)? {
        eprint!("{text}");
    }
    if let Some(Death::Refused(reason)) = &outcome.report.death {
        eprintln!("xtask: the guest could not start: {reason}");
    }
    if let Some(stats) = &outcome.report.stats {
        eprint!("{}", Stats::from(&**stats));
    }
    Ok(match &outcome.end {
        End::Exited(status) => *status,
        End::TimedOut(limit) => {
            eprintln!(
                "xtask: killed: it still ran after {} s (--timeout)",
                limit.as_secs_f64()
            );
            TIMED_OUT
        }
        End::Died { status, said } => {
            eprintln!(
                "xtask: QEMU ended without the guest's exit record (triple fault or killed; {status})"
            );
            if !said.is_empty() {
                eprintln!("xtask: QEMU said: {said}");
            }
            DIED
        }
    })
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
