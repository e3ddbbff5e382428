//! Builds the loader, which QEMU starts and which starts the program.

use std::path::{Path, PathBuf};

use crate::command;
use crate::error::{Error, Result};
use crate::toolchain::Toolchain;
use crate::workspace;

const TARGET: &str = "x86_64-unknown-none";
/// The loader runs where it is linked, below 2 GiB.
const FLAGS: &str = "-Crelocation-model=static -Ccode-model=small";

/// Builds the loader; gives the place of its ELF file.
pub fn build(toolchain: &Toolchain, root: &Path) -> Result<PathBuf> {
    let target_dir = workspace::target_dir(root).join("loader");
    let mut cargo = toolchain.cargo_build_std(root);
    cargo
        .env("RUSTFLAGS", FLAGS)
        .args([
            "-Zbuild-std=core,alloc",
            "--target",
            TARGET,
            "--package",
            "darner-loader",
            "--release",
        ])
        .arg("--target-dir")
        .arg(&target_dir);
    command::run(&mut cargo)?;
    let path = target_dir.join(TARGET).join("release/darner-loader");
    if !path.is_file() {
        return Err(Error::failed(format!(
            "cargo built darner-loader but made no {}",
            path.display()
        )));
    }
    Ok(path)
}
