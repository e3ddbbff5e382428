//! The standard library's sources, which `-Zbuild-std` compiles.
//!
//! rustup's component `rust-src` is the usual way to them, and rustup fetches it
//! by itself because rust-toolchain.toml names it. Where rustup must not fetch
//! (`RUSTUP_AUTO_INSTALL=0`), or there is no rustup, Debian packages the sources
//! of the very same release: that package is unpacked under the cache folder and
//! linked to where cargo looks.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::command;
use crate::error::{Context, Error, Result};
use crate::toolchain::Toolchain;
use crate::workspace;

/// Debian's releases that may carry the package, the likeliest first.
const SUITES: [&str; 2] = ["trixie-backports", "sid"];
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";
const DEFAULT_MIRROR: &str = "http://deb.debian.org/debian";

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
    for tool in ["apt-get", "apt-cache", "dpkg-deb"] {
        if !command::exists(tool) {
            return Err(Error::usage(format!(
                "{hint}\n(found no {tool}, so this is no Debian to take them from)"
            )));
        }
    }
    let mut reasons = Vec::new();
    for suite in SUITES {
        match Apt::new(suite).and_then(|apt| apt.unpack_rust_src(version, kept)) {
            Ok(()) => return Ok(()),
            Err(error) => reasons.push(format!("  Debian {suite}: {error}")),
        }
    }
    Err(Error::usage(format!(
        "{hint}\nDebian's package did not do instead:\n{}",
        reasons.join("\n")
    )))
}

/// apt with lists, cache and status of its own, so that the machine's package
/// state is neither needed nor touched.
struct Apt {
    dir: PathBuf,
}

impl Apt {
    fn new(suite: &str) -> Result<Self> {
        let dir = workspace::cache_dir()?.join(format!("apt-{suite}"));
        for sub in ["lists/partial", "cache/archives/partial"] {
            fs::create_dir_all(dir.join(sub))
                .context(|| format!("make the folder {}/{sub}", dir.display()))?;
        }
        let source = format!("deb [signed-by={KEYRING}] {} {suite} main\n", mirror());
        for (name, content) in [("sources.list", source.as_str()), ("status", "")] {
            fs::write(dir.join(name), content)
                .context(|| format!("write {name} in {}", dir.display()))?;
        }
        Ok(Self { dir })
    }

    fn command(&self, tool: &str) -> Command {
        let mut command = Command::new(tool);
        let at = |name: &str| self.dir.join(name).display().to_string();
        for option in [
            format!("Dir::Etc::SourceList={}", at("sources.list")),
            "Dir::Etc::SourceParts=/dev/null".into(),
            format!("Dir::State::Lists={}", at("lists")),
            format!("Dir::Cache={}", at("cache")),
            format!("Dir::State::status={}", at("status")),
            // apt's unprivileged user may not be let into the cache folder.
            "APT::Sandbox::User=root".into(),
        ] {
            command.arg("-o").arg(option);
        }
        command.current_dir(&self.dir);
        command
    }

    fn unpack_rust_src(&self, version: &str, kept: &Path) -> Result<()> {
        command::output(self.command("apt-get").args(["-q", "update"]))?;
        let offered = command::output(self.command("apt-cache").args(["madison", "rust-src"]))?;
        let package = package_version(&offered, version).ok_or_else(|| {
            Error::failed(format!(
                "expected rust-src {version}, found {}",
                if offered.trim().is_empty() {
                    "no such package"
                } else {
                    offered.trim()
                }
            ))
        })?;
        eprintln!(
            "xtask: fetching Debian's package rust-src {package} (the standard library's sources)"
        );
        command::output(self.command("apt-get").args([
            "-q",
            "download",
            &format!("rust-src={package}"),
        ]))?;
        let archive = fs::read_dir(&self.dir)
            .context(|| format!("list {}", self.dir.display()))?
            .filter_map(|entry| Some(entry.ok()?.path()))
            .find(|path| {
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                name.starts_with(&format!("rust-src_{version}")) && name.ends_with(".deb")
            })
            .ok_or_else(|| Error::failed("apt-get downloaded no rust-src package"))?;
        let unpacked = self.dir.join("unpacked");
        let _ = fs::remove_dir_all(&unpacked);
        command::output(
            Command::new("dpkg-deb")
                .arg("-x")
                .arg(&archive)
                .arg(&unpacked),
        )?;
        let sources = unpacked.join(format!("usr/src/rustc-{version}"));
        if !has_library(&sources) {
            return Err(Error::failed(format!(
                "found no library/std in {}",
                sources.display()
            )));
        }
        let _ = fs::remove_dir_all(kept);
        fs::rename(&sources, kept).context(|| format!("move the sources to {}", kept.display()))?;
        // What is left is only needed to fetch another release.
        let _ = fs::remove_dir_all(&self.dir);
        eprintln!("xtask: installed: {}", kept.display());
        Ok(())
    }
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

/// The mirror that this machine's apt uses.
fn mirror() -> String {
    let mut files = vec![PathBuf::from("/etc/apt/sources.list")];
    if let Ok(entries) = fs::read_dir("/etc/apt/sources.list.d") {
        files.extend(entries.filter_map(|entry| Some(entry.ok()?.path())));
    }
    files.sort();
    files
        .iter()
        .filter_map(|file| fs::read_to_string(file).ok())
        .find_map(|text| mirror_in(&text))
        .unwrap_or_else(|| DEFAULT_MIRROR.into())
}

/// The first mirror of Debian proper in a sources file of either format.
fn mirror_in(text: &str) -> Option<String> {
    text.lines()
        .map(str::trim)
        .filter(|line| line.starts_with("URIs:") || line.starts_with("deb "))
        .flat_map(str::split_whitespace)
        .map(|word| word.trim_end_matches('/'))
        .find(|word| word.contains("://") && word.ends_with("/debian"))
        .map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::{mirror_in, package_version};

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

    #[test]
    fn the_mirror_is_read_from_both_formats() {
        let new = "Types: deb\n# http://elsewhere/debian\nURIs: http://m.example/debian-security http://m.example/debian\n";
        assert_eq!(mirror_in(new).as_deref(), Some("http://m.example/debian"));
        let old =
            "# deb http://x/debian\ndeb [arch=amd64] http://m.example/debian/ bookworm main\n";
        assert_eq!(mirror_in(old).as_deref(), Some("http://m.example/debian"));
        assert_eq!(mirror_in("URIs: http://m.example/ubuntu\n"), None);
    }
}
