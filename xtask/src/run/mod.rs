//! `xtask run`: one program in one virtual machine.
//!
//! Exit statuses: the program's own; 101 after a panic, 139 after a fault, 124
//! at the timeout, 70 when QEMU died without a word from the guest, 1 when the
//! guest could not start, 2 when the user has to do something first.

mod network_options;
mod options;

use std::path::{Path, PathBuf};

use darner_abi::Stats;
use network_options::NetworkOptions;
use options::{Options, nothing_more};

use crate::app::App;
use crate::build_set::{BuildSet, Program};
use crate::error::{Context, Error, Result};
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
    let options = Options::parse(parser, NetworkOptions::default(), &mut nothing_more)?;
    start(options, None)
}

/// Does what the command line after `trace` says: as [`run`], and writes a trace.
pub fn trace(parser: lexopt::Parser) -> Result<u8> {
    let mut out: Option<PathBuf> = None;
    let mut take = |option: &str, parser: &mut lexopt::Parser| {
        if option != "--out" {
            return Ok(false);
        }
        out = Some(parser.value()?.into());
        Ok(true)
    };
    let options = Options::parse(parser, NetworkOptions::default(), &mut take)?;
    let out = out.ok_or_else(|| {
        Error::usage("found no --out, expected `cargo xtask trace APP --out FILE.json`")
    })?;
    start(options, Some(&out))
}

fn start(options: Options, trace_file: Option<&Path>) -> Result<u8> {
    let mut config = options.config;
    // A mistyped name costs no build.
    let app = App::find(&workspace::root()?, &options.app)?;
    config.network = options.network.finish()?;
    let set = BuildSet::ready()?;
    let program = set.program(&app, options.profile)?;
    let folder = tempfile::Builder::new()
        .prefix("darner-initrd-")
        .tempdir()
        .context(|| "make a temporary folder".into())?;
    let initrd = folder.path().join("initrd.tar");
    set.initrd(&initrd, &program, &options.shares)?;
    if config.gdb {
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
    config.trace = trace_file.map(|_| folder.path().join("trace"));
    let outcome = vm::run(&set.qemu, &config, &guest, streams)?;
    let status = explain(&set, &program, &outcome)?;
    if let (Some(raw), Some(out)) = (&config.trace, trace_file) {
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
