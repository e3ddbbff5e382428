//! Form and lints of the whole repository, as they have to be for a change to land.

use std::process::Command;

use super::case::{Case, Verdict};
use super::suite::Suite;
use crate::command;
use crate::workspace;

/// Built for targets of their own only.
const FREESTANDING: [&str; 3] = ["darner-kernel", "darner-loader", "darner-builtins"];

/// All of them.
pub fn cases() -> Vec<Case> {
    vec![
        Case::build("lint/format", |suite| {
            let mut cargo = suite.set.toolchain.cargo(&suite.set.root);
            command::run(cargo.args(["fmt", "--all", "--check"])).map_err(Into::into)
        }),
        Case::build("lint/host", |suite| {
            let mut cargo = suite.set.toolchain.cargo(&suite.set.root);
            cargo.args(["clippy", "--workspace", "--all-targets"]);
            cargo.args(["--features", "darner-slab/linux"]);
            for package in FREESTANDING {
                cargo.args(["--exclude", package]);
            }
            clippy(suite, &mut cargo, "host")
        }),
        Case::build("lint/kernel", |suite| {
            let mut cargo = suite.set.toolchain.cargo(&suite.set.root);
            cargo
                .env("RUSTC_BOOTSTRAP", "1")
                .args(["clippy", "-Zbuild-std=core,alloc"])
                .args(["--target", "x86_64-unknown-none"])
                .args(["--package", "darner-kernel", "--package", "darner-loader"])
                .args(["--package", "darner-netstack"])
                .args(["--package", "darner-coherence", "--package", "darner-wire"])
                .args(["--package", "darner-cluster", "--package", "darner-link"]);
            clippy(suite, &mut cargo, "kernel")
        }),
    ]
}

/// Warnings are errors.
fn clippy(suite: &Suite, cargo: &mut Command, folder: &str) -> Verdict {
    let target_dir = workspace::target_dir(&suite.set.root)
        .join("clippy")
        .join(folder);
    cargo.arg("--quiet").arg("--target-dir").arg(target_dir);
    command::run(cargo.args(["--", "-D", "warnings"])).map_err(Into::into)
}
