//! Makes one relocatable object out of a static library, with nothing global
//! but what a program may call.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::symbols;
use crate::command;
use crate::error::{Context, Error, Result};
use crate::toolchain::Toolchain;

/// The kernel's object: sections merged by the linker script.
pub fn kernel(
    toolchain: &Toolchain,
    library: &Path,
    cipher: &Path,
    script: &Path,
    work: &Path,
) -> Result<Vec<u8>> {
    let keep = interface(library, symbols::is_kernel_interface)?;
    if !keep.contains("_start") {
        return Err(Error::failed(format!(
            "found no `_start` in {}: the kernel has no entry",
            library.display()
        )));
    }
    let cipher = self::cipher(toolchain, cipher, work)?;
    object(
        toolchain,
        &[library, &cipher],
        Some(script),
        &keep,
        &work.join("kernel"),
    )
}

/// The cipher's object, which is linked into the kernel's: with a `core` of its own, that no other
/// part sees.
fn cipher(toolchain: &Toolchain, library: &Path, work: &Path) -> Result<PathBuf> {
    let keep = interface(library, symbols::is_cipher_interface)?;
    if keep.is_empty() {
        return Err(Error::failed(format!(
            "found no function of the cipher in {}: is it built with its feature `export`?",
            library.display()
        )));
    }
    let stem = work.join("cipher");
    object(toolchain, &[library], None, &keep, &stem)?;
    Ok(stem.with_extension("o"))
}

/// The builtins' object: sections left apart, so that a program takes only the
/// functions that it calls.
pub fn builtins(toolchain: &Toolchain, library: &Path, work: &Path) -> Result<Vec<u8>> {
    let keep = interface(library, symbols::is_c_function)?;
    for name in ["memcpy", "memmove", "memset", "memcmp"] {
        if !keep.contains(name) {
            return Err(Error::failed(format!(
                "found no `{name}` in {}",
                library.display()
            )));
        }
    }
    object(toolchain, &[library], None, &keep, &work.join("builtins"))
}

fn interface(library: &Path, is_interface: impl Fn(&str) -> bool) -> Result<BTreeSet<String>> {
    let mut names = symbols::defined_in_library(library)?;
    names.retain(|name| is_interface(name));
    Ok(names)
}

fn object(
    toolchain: &Toolchain,
    inputs: &[&Path],
    script: Option<&Path>,
    keep: &BTreeSet<String>,
    stem: &Path,
) -> Result<Vec<u8>> {
    let (linked, finished) = (stem.with_extension("linked.o"), stem.with_extension("o"));
    let names = stem.with_extension("symbols");
    let list: String = keep.iter().map(|name| format!("{name}\n")).collect();
    std::fs::write(&names, list).context(|| format!("write {}", names.display()))?;

    // What can be reached from the interface, and nothing else.
    let mut linker = toolchain.linker()?;
    linker
        .args([
            "-flavor",
            "gnu",
            "-r",
            "--gc-sections",
            "--force-group-allocation",
            "-o",
        ])
        .arg(&linked);
    match script {
        Some(script) => linker.arg("-T").arg(script),
        // Nobody debugs memcpy by its lines, and the archive stays small.
        None => linker.arg("--strip-debug"),
    };
    for name in keep {
        linker.arg("-u").arg(name);
    }
    command::run(linker.args(inputs))?;

    let mut objcopy = toolchain.objcopy()?;
    let mut listed = std::ffi::OsString::from("--keep-global-symbols=");
    listed.push(&names);
    // Merged out of mergeable sections, it is not one itself.
    objcopy.arg("--set-section-flags=krodata=alloc,readonly,data");
    command::run(objcopy.arg(listed).arg(&linked).arg(&finished))?;

    let mut data = std::fs::read(&finished).context(|| format!("read {}", finished.display()))?;
    set_os_abi(&mut data)?;
    Ok(data)
}

/// ELF's "standalone": the mark by which Hermit's loaders know their own.
pub const OS_ABI_STANDALONE: u8 = 255;
/// Where the OS ABI is in an ELF header.
pub const OS_ABI_OFFSET: usize = 7;

fn set_os_abi(object: &mut [u8]) -> Result<()> {
    match object.get_mut(OS_ABI_OFFSET) {
        Some(os_abi) => *os_abi = OS_ABI_STANDALONE,
        None => return Err(Error::failed("rust-objcopy made an empty object")),
    }
    Ok(())
}
