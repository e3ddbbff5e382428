//! Which functions a program may call: those that `hermit-abi` declares, and Darner's own.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::command;
use crate::error::{Context, Error, Result};
use crate::toolchain::Toolchain;

/// What the kernel has beyond `hermit-abi`: what the crate `darner` calls.
const DARNER: [&str; 9] = [
    "sys_darner_count",
    "sys_darner_cpus",
    "sys_darner_drain",
    "sys_darner_echo",
    "sys_darner_here",
    "sys_darner_nodes",
    "sys_darner_place",
    "sys_darner_prefetch",
    "sys_darner_stats",
];

/// What the kernel has for its own tests, with the feature `selftest`.
const SELFTEST: &str = "sys_selftest";

/// Every `sys_*` symbol that the kernel's own `hermit-abi` declares, and Darner's own.
pub fn expected(toolchain: &Toolchain, root: &Path) -> Result<BTreeSet<String>> {
    let folder = sources(toolchain, root)?;
    let mut names = BTreeSet::new();
    let entries = std::fs::read_dir(&folder).context(|| format!("list {}", folder.display()))?;
    for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
        if path.extension().is_some_and(|extension| extension == "rs") {
            let text =
                std::fs::read_to_string(&path).context(|| format!("read {}", path.display()))?;
            names.extend(declared(&text));
        }
    }
    if names.is_empty() {
        return Err(Error::failed(format!(
            "found no declaration of a sys_* function in {}: has hermit-abi changed its form?",
            folder.display()
        )));
    }
    names.extend(DARNER.map(str::to_owned));
    Ok(names)
}

/// Whether a kernel that has all of `expected` may have this `sys_*` symbol.
pub fn is_known(name: &str, expected: &BTreeSet<String>) -> bool {
    name == SELFTEST || expected.contains(name)
}

/// The folder of the `hermit-abi` that cargo resolves for the kernel.
fn sources(toolchain: &Toolchain, root: &Path) -> Result<PathBuf> {
    let text = command::output(toolchain.cargo(root).args([
        "metadata",
        "--format-version",
        "1",
        "--filter-platform",
        "x86_64-unknown-none",
    ]))?;
    let metadata: Value =
        serde_json::from_str(&text).context(|| "read what `cargo metadata` printed".into())?;
    let missing = || {
        Error::failed(
            "found no hermit-abi among the dependencies of darner-kernel, whose list of functions it is",
        )
    };
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let packages = list(&metadata["packages"]);
    let kernel = packages
        .iter()
        .find(|package| package["name"] == "darner-kernel")
        .ok_or_else(missing)?;
    let id = list(&metadata["resolve"]["nodes"])
        .iter()
        .filter(|node| node["id"] == kernel["id"])
        .flat_map(|node| list(&node["deps"]))
        .find(|dependency| dependency["name"] == "hermit_abi")
        .map(|dependency| dependency["pkg"].clone())
        .ok_or_else(missing)?;
    let manifest = packages
        .iter()
        .find(|package| package["id"] == id)
        .and_then(|package| package["manifest_path"].as_str())
        .ok_or_else(missing)?;
    Ok(Path::new(manifest).with_file_name("src"))
}

/// The symbols that the `extern` blocks of a source file declare: the
/// `link_name` before a function, or else the function's own name.
fn declared(source: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let (mut inside, mut link_name) = (false, None);
    for line in source.lines() {
        let trimmed = line.trim();
        if !inside {
            inside = (trimmed.starts_with("extern \"C\"")
                || trimmed.starts_with("unsafe extern \"C\""))
                && trimmed.ends_with('{');
        } else if line.starts_with('}') {
            inside = false;
        } else if let Some((_, rest)) = trimmed.split_once("link_name = \"") {
            link_name = rest.split('"').next().map(str::to_owned);
        } else if let Some((_, rest)) = trimmed
            .split_once("fn ")
            .filter(|_| !trimmed.starts_with("//"))
        {
            let own = || {
                rest.split(['(', '<'])
                    .next()
                    .unwrap_or("")
                    .trim()
                    .to_owned()
            };
            names.insert(link_name.take().unwrap_or_else(own));
        }
    }
    names.retain(|name| name.starts_with("sys_"));
    names
}

#[cfg(test)]
mod tests {
    use super::declared;

    #[test]
    fn link_names_and_plain_names_are_found_in_extern_blocks_only() {
        let source = "\
pub fn sys_not_this() {}
extern \"C\" {
\t/// A fn sys_in_a_comment(
\t#[link_name = \"sys_getpid\"]
\tpub fn getpid() -> u32;

\tpub fn sys_plain(x: i32);
\tfn other();
}
fn sys_nor_this() {}
";
        assert_eq!(
            declared(source).into_iter().collect::<Vec<_>>(),
            ["sys_getpid", "sys_plain"]
        );
    }
}
