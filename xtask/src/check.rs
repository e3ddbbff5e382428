//! `xtask check`: model checks and simulations that take too long for every change.

use std::path::Path;

use crate::command;
use crate::error::{Error, Result};
use crate::sim;
use crate::toolchain::Toolchain;
use crate::workspace;

/// Crates whose protocols have a deep model check: tests that are ignored otherwise, and whose
/// names contain `deep`.
const MODELS: [&str; 2] = ["darner-coherence", "darner-cluster"];

/// Steps of the simulation, if nobody says otherwise.
const STEPS: u64 = 1_000_000_000;

/// Does what the command line after `check` says.
pub fn run(mut parser: lexopt::Parser) -> Result<u8> {
    use lexopt::prelude::*;
    let (mut deep, mut steps) = (false, STEPS);
    while let Some(argument) = parser.next()? {
        match argument {
            Long("deep") => deep = true,
            Long("steps") => steps = parser.value()?.parse()?,
            other => return Err(other.unexpected().into()),
        }
    }
    if !deep {
        return Err(Error::usage(
            "found `check` without --deep: what does not take long is in `cargo xtask test`",
        ));
    }
    let root = workspace::root()?;
    let toolchain = Toolchain::find(&root)?;
    for package in MODELS {
        models(&toolchain, &root, package)?;
    }
    simulate(&toolchain, &root, steps)?;
    Ok(0)
}

fn models(toolchain: &Toolchain, root: &Path, package: &str) -> Result<()> {
    eprintln!("xtask: the deep model checks of {package}");
    let mut cargo = toolchain.cargo(root);
    cargo
        .args(["test", "--quiet", "--package", package])
        .args(["--profile", sim::PROFILE, "--target-dir"])
        .arg(workspace::target_dir(root))
        .args(["--", "--ignored", "--nocapture", "deep"]);
    command::run(&mut cargo)
}

fn simulate(toolchain: &Toolchain, root: &Path, steps: u64) -> Result<()> {
    eprintln!("xtask: {steps} simulated steps");
    let program = sim::build(toolchain, root)?;
    let mut simulator = std::process::Command::new(program);
    // Far from the seeds that every run of the tests plays.
    simulator.args(["--seed", "1000000", "--steps", &steps.to_string()]);
    command::run(&mut simulator)
}
