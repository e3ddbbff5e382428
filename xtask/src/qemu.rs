//! Finds QEMU, or installs it.

use std::path::PathBuf;
use std::process::Command;

use crate::command;
use crate::error::{Error, Result};

const PROGRAM: &str = "qemu-system-x86_64";
const PACKAGE: &str = "qemu-system-x86";

/// Where QEMU is, if it is there.
pub fn find() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|dir| dir.join(PROGRAM))
        .find(|path| command::is_executable(path))
}

/// Makes sure that QEMU is there, and says what it installs.
pub fn ensure() -> Result<PathBuf> {
    if let Some(path) = find() {
        return Ok(path);
    }
    if !command::exists("apt-get") {
        return Err(Error::usage(format!(
            "found no {PROGRAM}, and no apt-get to install it with; run your system's equivalent of:\n    \
             sudo apt-get install {PACKAGE}"
        )));
    }
    let by_hand = format!(
        "    sudo sh -c 'apt-get update && apt-get install -y --no-install-recommends {PACKAGE}'"
    );
    if !is_root() {
        return Err(Error::usage(format!(
            "found no {PROGRAM}, and only root may install it; run this once:\n{by_hand}"
        )));
    }
    eprintln!("xtask: installing Debian's package {PACKAGE} (the virtual machine)");
    let apt = |args: &[&str]| {
        command::output(
            Command::new("apt-get")
                .args(args)
                .env("DEBIAN_FRONTEND", "noninteractive"),
        )
    };
    apt(&["-q", "update"])
        .and_then(|_| apt(&["-q", "install", "-y", "--no-install-recommends", PACKAGE]))
        .map_err(|error| {
            Error::usage(format!(
                "{error}\nrun this once, and see what it says:\n{by_hand}"
            ))
        })?;
    let path = find().ok_or_else(|| {
        Error::failed(format!("installed {PACKAGE}, but it brought no {PROGRAM}"))
    })?;
    eprintln!("xtask: installed: {}", path.display());
    Ok(path)
}

/// What QEMU says of its version.
pub fn version() -> Result<String> {
    let text = command::output(Command::new(PROGRAM).arg("--version"))?;
    Ok(text.lines().next().unwrap_or("").to_owned())
}

fn is_root() -> bool {
    // The owner of one's own process, as the kernel's file system shows it.
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").is_ok_and(|meta| meta.uid() == 0)
}
