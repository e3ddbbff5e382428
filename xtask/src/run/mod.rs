//! `xtask run`: one program in one virtual machine.
//!
//! Exit statuses: the program's own; 101 after a panic, 139 after a fault, 124
//! at the timeout, 75 when a part of the program was lost with a machine, 70 when QEMU died without a
//! word from the guest, 1 when the guest could not start, 2 when the user has to do something first.

mod explanation;
pub mod network_options;
pub mod options;

use std::io::Write;
use std::path::{Path, PathBuf};

pub use explanation::{DIED, Explanation, LOST, backtrace};
use network_options::NetworkOptions;
use options::{Options, nothing_more};

use crate::app::App;
use crate::build_set::BuildSet;
use crate::error::{Context, Error, Result};
use crate::trace;
use crate::vm::network::check_free;
use crate::vm::{self, Guest, Input, Output, Streams};
use crate::workspace;

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
    config.network = options.network.finish(0)?;
    check_free(config.network.forwards())?;
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
        samples: None,
        boot_line: Some(Box::new(|line| {
            // In one piece: the program's output may come at the same time.
            let _ = std::io::stderr().write_all(format!("{line}\n").as_bytes());
        })),
        verbose: options.verbose,
    };
    config.trace = trace_file.map(|_| folder.path().join("trace"));
    let outcome = vm::run(&set.qemu, &config, &guest, streams)?;
    let explanation = Explanation::of(&set, &program, &outcome)?;
    eprint!("{}", explanation.text);
    if let (Some(raw), Some(out)) = (&config.trace, trace_file) {
        trace::convert(&[(0, raw)], out)?;
    }
    Ok(explanation.status)
}
