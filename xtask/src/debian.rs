//! Debian's packages, unpacked under the cache folder without being installed.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::command;
use crate::error::{Context, Error, Result};
use crate::workspace;

const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";
const DEFAULT_MIRROR: &str = "http://deb.debian.org/debian";

/// Says so if this machine has not the tools that fetch and unpack packages.
pub fn check_tools() -> Result<()> {
    for tool in ["apt-get", "apt-cache", "dpkg-deb"] {
        if !command::exists(tool) {
            return Err(Error::usage(format!(
                "found no {tool}, so this is no Debian to take packages from"
            )));
        }
    }
    Ok(())
}

/// apt with lists, cache and status of its own, so that the machine's package
/// state is neither needed nor touched.
pub struct Apt {
    dir: PathBuf,
}

impl Apt {
    /// The packages of this release, as they are now.
    pub fn of(suite: &str) -> Result<Self> {
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
        let apt = Self { dir };
        command::output(apt.command("apt-get").args(["-q", "update"]))?;
        Ok(apt)
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

    /// The versions of a package that there are, as `apt-cache madison` has them.
    pub fn offered(&self, package: &str) -> Result<String> {
        command::output(self.command("apt-cache").args(["madison", package]))
    }

    /// The packages that a package cannot do without.
    #[cfg(feature = "full")]
    pub fn depends(&self, package: &str) -> Result<Vec<String>> {
        let said = command::output(self.command("apt-cache").args(["depends", package]))?;
        Ok(depends_in(&said))
    }

    /// Fetches a package (`NAME`, or `NAME=VERSION`) and unpacks it; gives the folder.
    pub fn unpack(&self, package: &str) -> Result<PathBuf> {
        let fetched = self.dir.join("fetched");
        let unpacked = self.dir.join("unpacked");
        for dir in [&fetched, &unpacked] {
            // What an earlier one has left, if anything.
            let _ = fs::remove_dir_all(dir);
        }
        fs::create_dir_all(&fetched)
            .context(|| format!("make the folder {}", fetched.display()))?;
        let mut download = self.command("apt-get");
        download.current_dir(&fetched);
        command::output(download.args(["-q", "download", package]))?;
        let archive = fs::read_dir(&fetched)
            .context(|| format!("list {}", fetched.display()))?
            .filter_map(|entry| Some(entry.ok()?.path()))
            .find(|path| path.extension().is_some_and(|extension| extension == "deb"))
            .ok_or_else(|| Error::failed(format!("apt-get downloaded no package {package}")))?;
        let mut unpack = Command::new("dpkg-deb");
        command::output(unpack.arg("-x").arg(&archive).arg(&unpacked))?;
        Ok(unpacked)
    }

    /// Removes the lists and what is left of packages: only needed to fetch another.
    pub fn remove(self) {
        // What cannot be removed is in nobody's way.
        let _ = fs::remove_dir_all(&self.dir);
    }
}

#[cfg(feature = "full")]
fn depends_in(said: &str) -> Vec<String> {
    said.lines()
        .filter_map(|line| line.trim().strip_prefix("Depends: "))
        .map(str::to_owned)
        .collect()
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
    use super::*;

    #[test]
    fn the_mirror_is_read_from_both_formats() {
        let new = "Types: deb\n# http://elsewhere/debian\nURIs: http://m.example/debian-security http://m.example/debian\n";
        assert_eq!(mirror_in(new).as_deref(), Some("http://m.example/debian"));
        let old =
            "# deb http://x/debian\ndeb [arch=amd64] http://m.example/debian/ bookworm main\n";
        assert_eq!(mirror_in(old).as_deref(), Some("http://m.example/debian"));
        assert_eq!(mirror_in("URIs: http://m.example/ubuntu\n"), None);
    }

    #[cfg(feature = "full")]
    #[test]
    fn only_what_cannot_be_done_without_counts() {
        let said = "linux-image-cloud-amd64\n  Depends: linux-image-6.1.0-1\n  Suggests: x\n";
        assert_eq!(depends_in(said), ["linux-image-6.1.0-1"]);
    }
}
