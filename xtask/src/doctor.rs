//! `xtask doctor`: what is there, what is missing, and what will be done about it.

use std::path::Path;

use crate::accel;
use crate::command;
use crate::error::Result;
use crate::toolchain::Toolchain;
use crate::{qemu, rust_src, workspace};

/// Looks and installs nothing; the status is 1 when something is missing.
pub fn run() -> Result<u8> {
    let root = workspace::root()?;
    let mut is_complete = true;
    let mut report = |good: bool, what: &str, about: String| {
        is_complete &= good;
        println!(
            "{:8} {what:22} {about}",
            if good { "ok" } else { "missing" }
        );
    };

    match Toolchain::find(&root) {
        Ok(toolchain) => {
            report(
                true,
                "Rust",
                format!(
                    "{} in {}",
                    toolchain.version(),
                    toolchain.sysroot().display()
                ),
            );
            for (name, found) in [
                ("rust-lld", toolchain.linker()),
                ("rust-objcopy", toolchain.objcopy()),
            ] {
                match found {
                    Ok(tool) => report(
                        true,
                        name,
                        Path::new(tool.get_program()).display().to_string(),
                    ),
                    Err(error) => report(false, name, error.to_string()),
                }
            }
            let place = rust_src::place(&toolchain);
            match rust_src::is_present(&toolchain) {
                true => {
                    let real = place.canonicalize().unwrap_or(place);
                    report(true, "rust-src", real.display().to_string());
                }
                false => report(
                    false,
                    "rust-src",
                    "`cargo xtask run` takes it from Debian's package; or `rustup component add rust-src`".into(),
                ),
            }
        }
        Err(error) => report(false, "Rust", error.to_string()),
    }
    match command::exists("cc") {
        true => report(true, "C toolchain", "cc".into()),
        false => report(
            false,
            "C toolchain",
            "found no `cc`: install your system's C compiler".into(),
        ),
    }
    match qemu::find() {
        Some(path) => report(
            true,
            "QEMU",
            format!("{}, {}", path.display(), qemu::version()?),
        ),
        None => report(
            false,
            "QEMU",
            "`cargo xtask run` installs Debian's package qemu-system-x86 (as root)".into(),
        ),
    }
    match accel::probe_kvm() {
        Ok(()) => println!(
            "{:8} {:22} kvm: the processor has it and /dev/kvm opens",
            "ok", "accelerator"
        ),
        Err(reason) => println!(
            "{:8} {:22} tcg (emulation), not kvm: {reason}",
            "ok", "accelerator"
        ),
    }
    Ok(if is_complete { 0 } else { 1 })
}
