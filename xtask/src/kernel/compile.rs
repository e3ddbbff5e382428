//! Compiles the two static libraries that `libhermit.a` is made of.

use std::path::{Path, PathBuf};

use super::Options;
use crate::command;
use crate::error::{Error, Result};
use crate::toolchain::Toolchain;

/// The kernel: no vector registers, no red zone, and position-independent, for
/// it becomes part of a static PIE. Frame pointers are what backtraces follow.
/// All that it refers to is in the same image, so nothing needs the detour by
/// the table of global offsets (`plt`, `direct-access-external-data`: there is no
/// stable way to say that); before the kernel relocates itself that table is not
/// even right.
const KERNEL_TARGET: &str = "x86_64-unknown-none";
const KERNEL_FLAGS: &str = "-Ccode-model=small -Cforce-frame-pointers=yes -Crelocation-model=pie -Cpanic=abort \
     -Zplt=yes -Zdirect-access-external-data=yes";
/// The builtins are called by the program and have its calling convention.
const BUILTINS_TARGET: &str = "x86_64-unknown-hermit";
const BUILTINS_FLAGS: &str = "-Cforce-frame-pointers=yes -Cpanic=abort";

/// The static libraries as the compiler made them.
pub struct Parts {
    /// The kernel, with `core`, `alloc` and all.
    pub kernel: PathBuf,
    /// `memcpy` and its like, and C's mathematics.
    pub builtins: PathBuf,
}

impl Parts {
    /// Compiles both.
    pub fn build(toolchain: &Toolchain, root: &Path, options: &Options) -> Result<Self> {
        let mut flags = KERNEL_FLAGS.to_owned();
        if options.randomize_layout {
            flags.push_str(" -Zrandomize-layout");
        }
        let mut kernel = cargo(
            toolchain,
            root,
            options,
            KERNEL_TARGET,
            "darner-kernel",
            &flags,
        );
        kernel.arg("-Zbuild-std=core,alloc");
        if options.no_default_features {
            kernel.arg("--no-default-features");
        }
        if !options.features.is_empty() {
            kernel.arg("--features").arg(options.features.join(","));
        }
        command::run(&mut kernel)?;

        let mut builtins = cargo(
            toolchain,
            root,
            options,
            BUILTINS_TARGET,
            "darner-builtins",
            BUILTINS_FLAGS,
        );
        builtins.args([
            "-Zbuild-std=core",
            "-Zbuild-std-features=compiler-builtins-mem",
        ]);
        command::run(&mut builtins)?;

        Ok(Self {
            kernel: library(options, KERNEL_TARGET, "darner_kernel", "darner-kernel")?,
            builtins: library(
                options,
                BUILTINS_TARGET,
                "darner_builtins",
                "darner-builtins",
            )?,
        })
    }
}

fn cargo(
    toolchain: &Toolchain,
    root: &Path,
    options: &Options,
    target: &str,
    package: &str,
    flags: &str,
) -> std::process::Command {
    let mut cargo = toolchain.cargo_build_std(root);
    cargo
        .env("RUSTFLAGS", flags)
        .args([
            "--package",
            package,
            "--target",
            target,
            "--profile",
            options.profile.name(),
        ])
        .arg("--target-dir")
        .arg(&options.target_dir);
    cargo
}

/// The library of a package, under the name of its package or of its `[lib]`.
fn library(options: &Options, target: &str, crate_name: &str, package: &str) -> Result<PathBuf> {
    let folder = options
        .target_dir
        .join(target)
        .join(options.profile.folder());
    let path = folder.join(format!("lib{crate_name}.a"));
    if !path.is_file() {
        return Err(Error::failed(format!(
            "cargo built {package} but made no {}: is its crate-type `staticlib`?",
            path.display()
        )));
    }
    Ok(path)
}
