//! `xtask sim`: the simulator, built optimised and run.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::command;
use crate::error::{Error, Result};
use crate::toolchain::Toolchain;
use crate::workspace;

/// The profile for what runs long: optimised, and arithmetic that overflows is a panic.
pub const PROFILE: &str = "checked";

/// Passes the command line after `sim` on; the status is the simulator's.
pub fn run(mut parser: lexopt::Parser) -> Result<u8> {
    let root = workspace::root()?;
    let program = build(&Toolchain::find(&root)?, &root)?;
    let mut simulator = Command::new(program);
    simulator.args(parser.raw_args()?);
    let status = command::Guarded::spawn(&mut simulator)?.wait(&simulator)?;
    match status.code() {
        Some(code) => Ok(code as u8),
        None => Err(Error::failed(format!(
            "`{}` ended ({status})",
            command::shown(&simulator)
        ))),
    }
}

/// Builds the simulator; where it is.
pub fn build(toolchain: &Toolchain, root: &Path) -> Result<PathBuf> {
    let target_dir = workspace::target_dir(root);
    let mut cargo = toolchain.cargo(root);
    cargo
        .args(["build", "--quiet", "--package", "darner-sim"])
        .args(["--profile", PROFILE, "--target-dir"])
        .arg(&target_dir);
    command::run(&mut cargo)?;
    Ok(target_dir.join(PROFILE).join("darner-sim"))
}
