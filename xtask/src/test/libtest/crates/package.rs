//! Compiles the tests of a crate for the guest.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::list::TestSuite;
use super::lock;
use super::rewritten::{Manifest, UNIT};
use crate::build_set::{BuildSet, Program};
use crate::command;
use crate::error::{Context, Error, Result};
use crate::guest_cargo::{self, Executable, TARGET};
use crate::test::libtest::PROFILE;
use crate::workspace;

/// The folder of the package that pins all crates.
const PINNED: &str = "ci/crate-tests";

/// Builds all test programs of the crate, each called as the list calls it.
pub fn build(set: &BuildSet, tests: &TestSuite) -> Result<Vec<Program>> {
    let original = fetched(set, &tests.package)?;
    let mut manifest = Manifest::parse(&read(&original)?)
        .context(|| format!("make sense of {}", original.display()))?;
    let sources = original.parent().unwrap_or(&original);
    let target_dir = workspace::target_dir(&set.root);
    let folder = target_dir.join("crate-tests").join(&tests.package);
    if let Some(repository) = &tests.repository {
        repository.check_origin(sources)?;
        repository.copy_tests(&set.root.join(PINNED), &folder)?;
        manifest.add(&repository.tests, &folder)?;
    }
    let programs = tests.chosen(&manifest.programs())?;
    manifest.keep(&programs)?;
    manifest.turn_on(&tests.features)?;
    let manifest = manifest.rewritten(sources, &set.root, &tests.without)?;

    let pinned = read(&set.root.join(PINNED).join("Cargo.lock"))?;
    std::fs::create_dir_all(&folder).context(|| format!("make the folder {}", folder.display()))?;
    write(&folder.join("Cargo.toml"), &manifest)?;
    let lock = folder.join("Cargo.lock");
    write(&lock, &pinned)?;

    let made = compiled(set, tests, &folder, &target_dir)?;
    lock::check(&pinned, &read(&lock)?).map_err(|what| {
        Error::failed(format!(
            "{} does not pin what `{}` was built of: {what}",
            set.root.join(PINNED).join("Cargo.lock").display(),
            tests.package
        ))
    })?;
    programs
        .into_iter()
        .map(|name| {
            let is_it = |made: &&Executable| match made.of_library {
                true => name == UNIT,
                false => name == made.target,
            };
            let made = made.iter().find(is_it).ok_or_else(|| {
                Error::failed(format!(
                    "cargo made no test program `{name}` of `{}`",
                    tests.package
                ))
            })?;
            set.stripped(&name, made.path.clone())
        })
        .collect()
}

/// Runs cargo in the way that programs are built in. Its configuration is the
/// repository's, and so are profile and folder: what is there of the standard
/// library serves here, too.
fn compiled(
    set: &BuildSet,
    tests: &TestSuite,
    folder: &Path,
    target_dir: &Path,
) -> Result<Vec<Executable>> {
    let mut cargo = guest_cargo::command(
        &set.toolchain,
        &set.root,
        &set.root,
        // `cargo test` would have everything unwind, whatever the profile says.
        "build",
        "std,panic_abort,test",
        PROFILE,
    )?;
    cargo
        .arg("--tests")
        .arg("--manifest-path")
        .arg(folder.join("Cargo.toml"))
        .arg("--target-dir")
        .arg(target_dir);
    let what = format!("the test programs of the crate `{}`", tests.package);
    guest_cargo::executables(cargo, &[], &what)
}

/// Has cargo fetch and verify all crates that are pinned, unless it has them;
/// gives the manifest of that package.
fn fetched(set: &BuildSet, package: &str) -> Result<PathBuf> {
    let manifest = set.root.join(PINNED).join("Cargo.toml");
    let metadata = command::output(
        set.toolchain
            .cargo(&set.root)
            .args(["metadata", "--locked", "--format-version", "1"])
            .args(["--filter-platform", TARGET])
            .arg("--manifest-path")
            .arg(&manifest),
    )?;
    let metadata: Value = serde_json::from_str(&metadata)
        .map_err(|error| Error::failed(format!("cargo metadata wrote no JSON: {error}")))?;
    manifests(&metadata).remove(package).ok_or_else(|| {
        Error::usage(format!(
            "found no dependency `{package}` in {}, expected all crates of ci/crate-tests.toml",
            manifest.display()
        ))
    })
}

/// By name, where the manifests of all packages are.
fn manifests(metadata: &Value) -> HashMap<String, PathBuf> {
    let packages = metadata["packages"].as_array();
    let entry = |package: &Value| {
        let name = package["name"].as_str()?.to_owned();
        Some((name, package["manifest_path"].as_str()?.into()))
    };
    packages.into_iter().flatten().filter_map(entry).collect()
}

fn read(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).context(|| format!("read {}", path.display()))
}

fn write(path: &Path, text: &str) -> Result<()> {
    std::fs::write(path, text).context(|| format!("write {}", path.display()))
}

#[cfg(test)]
mod tests {
    #[test]
    fn manifests_are_found_by_name() {
        let metadata = serde_json::json!({"packages": [
            {"name": "rope", "manifest_path": "/r/Cargo.toml"},
            {"name": "string", "manifest_path": "/s/Cargo.toml"},
        ]});
        let manifests = super::manifests(&metadata);
        assert_eq!(manifests.len(), 2);
        assert_eq!(manifests["string"], std::path::Path::new("/s/Cargo.toml"));
    }
}
