//! The standard library's sources, which `-Zbuild-std` compiles.
//!
//! rustup's component `rust-src` is the usual way to them, and rustup fetches it
//! by itself because rust-toolchain.toml names it. Where rustup must not fetch
//! (`RUSTUP_AUTO_INSTALL=0`), or there is no rustup, Debian packages the sources
//! of the very same release: that package is unpacked under the cache folder and
//! linked to where cargo looks.

use std::fs;
use std::path::{Path, PathBuf};

use crate::debian::{self, Apt};
use crate::error::{Context, Error, Result};
use crate::toolchain::Toolchain;
use crate::workspace;

/// Debian's releases that may carry the package, the likeliest first.
const SUITES: [&str; 2] = ["trixie-backports", "sid"];

/// Where cargo looks for the sources of this toolchain.
pub fn place(toolchain: &Toolchain) -> PathBuf {
    toolchain.sysroot().join("lib/rustlib/src/rust")
}

/// Whether the sources are there.
pub fn is_present(toolchain: &Toolchain) -> bool {
    has_library(&place(toolchain))
}

/// Makes sure that the sources are there, and says what it installs.
pub fn ensure(toolchain: &Toolchain) -> Result<()> {
    if is_present(toolchain) {
        return Ok(());
    }
    let place = place(toolchain);
    let kept = workspace::cache_dir()?.join(format!("rust-src-{}", toolchain.version()));
    if !has_library(&kept) {
        fetch_from_debian(toolchain.version(), &kept)?;
    }
    link(&kept, &place).map_err(|error| {
        Error::usage(format!(
            "{error}\nrun this once, as the toolchain's owner:\n    mkdir -p {dir} && ln -sfn {kept} {place}",
            dir = place.parent().unwrap_or(&place).display(),
            kept = kept.display(),
            place = place.display()
        ))
    })?;
    eprintln!(
        "xtask: installed: {} -> {}",
        place.display(),
        kept.display()
    );
    Ok(())
}

fn has_library(dir: &Path) -> bool {
    dir.join("library/std/Cargo.toml").is_file() && dir.join("library/Cargo.lock").is_file()
}

fn link(kept: &Path, place: &Path) -> Result<()> {
    if let Some(parent) = place.parent() {
        fs::create_dir_all(parent).context(|| format!("make the folder {}", parent.display()))?;
    }
    // A link that leads nowhere any more may be replaced; anything else is
    // somebody's, and stays.
    if place.is_symlink() {
        fs::remove_file(place).context(|| format!("remove the dead link {}", place.display()))?;
    }
    std::os::unix::fs::symlink(kept, place).context(|| format!("link {}", place.display()))
}

fn fetch_from_debian(version: &str, kept: &Path) -> Result<()> {
    let hint = format!(
        "the standard library's sources (rust-src {version}) are missing; run this once:\n    \
         rustup component add rust-src"
    );
    debian::check_tools().map_err(|error| Error::usage(format!("{hint}\n({error})")))?;
    let mut reasons = Vec::new();
    for suite in SUITES {
        match fetch(suite, version, kept) {
            Ok(()) => return Ok(()),
            Err(error) => reasons.push(format!("  Debian {suite}: {error}")),
        }
    }
    Err(Error::usage(format!(
        "{hint}\nDebian's package did not do instead:\n{}",
        reasons.join("\n")
    )))
}

fn fetch(suite: &str, version: &str, kept: &Path) -> Result<()> {
    let apt = Apt::of(suite)?;
    let offered = apt.offered("rust-src")?;
    let package = package_version(&offered, version).ok_or_else(|| {
        let found = match offered.trim() {
            "" => "no such package",
            offered => offered,
        };
        Error::failed(format!("expected rust-src {version}, found {found}"))
    })?;
    eprintln!(
        "xtask: fetching Debian's package rust-src {package} (the standard library's sources)"
    );
    let unpacked = apt.unpack(&format!("rust-src={package}"))?;
    let sources = unpacked.join(format!("usr/src/rustc-{version}"));
    if !has_library(&sources) {
        return Err(Error::failed(format!(
            "found no library/std in {}",
            sources.display()
        )));
    }
    let _ = fs::remove_dir_all(kept);
    fs::rename(&sources, kept).context(|| format!("move the sources to {}", kept.display()))?;
    apt.remove();
    eprintln!("xtask: installed: {}", kept.display());
    Ok(())
}

/// Out of `apt-cache madison`'s table, the package of exactly this release.
fn package_version(table: &str, release: &str) -> Option<String> {
    table
        .lines()
        .filter_map(|line| line.split('|').nth(1))
        .map(str::trim)
        .find(|package| {
            package
                .strip_prefix(release)
                .is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_digit() || c == '.'))
        })
        .map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::package_version;

    #[test]
    fn the_package_of_exactly_this_release_is_chosen() {
        let table = "  rust-src | 1.95.1+dfsg1-1~bpo13+1 | http://mirror/debian trixie-backports/main amd64 Packages\n  \
                     rust-src | 1.95.0+dfsg1-2~bpo13+1 | http://mirror/debian trixie-backports/main amd64 Packages\n";
        assert_eq!(
            package_version(table, "1.95.0").as_deref(),
            Some("1.95.0+dfsg1-2~bpo13+1")
        );
        assert_eq!(package_version(table, "1.95"), None);
        assert_eq!(package_version("", "1.95.0"), None);
    }
}
