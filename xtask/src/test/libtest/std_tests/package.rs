//! Compiles a test program of the standard library's sources for the guest.

use std::path::Path;

use super::list::TestSuite;
use crate::build_set::{BuildSet, Program};
use crate::error::{Context, Error, Result};
use crate::guest_cargo;
use crate::test::libtest::{PROFILE, manifest};
use crate::{rust_src, workspace};

/// Builds the program.
///
/// The sources stay where the toolchain has them; cargo gets a package of our
/// own that points there.
pub fn build(set: &BuildSet, tests: &TestSuite) -> Result<Program> {
    let target_dir = workspace::target_dir(&set.root);
    let folder = target_dir.join("std-tests").join(&tests.name);
    write(set, tests, &folder)?;

    // Cargo's configuration is the repository's, and so are the profile and the
    // folder: that is why what the programs of apps/ have built of the standard
    // library serves here, too.
    let mut cargo = guest_cargo::command(
        &set.toolchain,
        &set.root,
        &set.root,
        "rustc",
        "std,panic_abort,test",
        PROFILE,
    )?;
    cargo
        .arg("--manifest-path")
        .arg(folder.join("Cargo.toml"))
        .arg("--target-dir")
        .arg(&target_dir)
        .args(["--test", &tests.name]);
    let what = format!("the standard library's test program `{}`", tests.name);
    match &guest_cargo::executables(cargo, &rustc_flags(tests), &what)?[..] {
        [made] => set.stripped(&tests.name, made.path.clone()),
        several => Err(Error::failed(format!(
            "{what}: found {} executables, expected one",
            several.len()
        ))),
    }
}

/// What the sources would say themselves if they had been written for us.
fn rustc_flags(tests: &TestSuite) -> Vec<String> {
    let mut flags: Vec<String> = [
        "-Zunstable-options",
        // `use hermit as _;`
        "--extern=force:hermit",
        // Warnings are for those who can change the sources.
        "--cap-lints=allow",
    ]
    .map(str::to_owned)
    .into();
    flags.extend(
        tests
            .features
            .iter()
            .map(|feature| format!("-Zcrate-attr=feature({feature})")),
    );
    flags
}

/// Writes the package.
fn write(set: &BuildSet, tests: &TestSuite, folder: &Path) -> Result<()> {
    let library = rust_src::place(&set.toolchain).join("library");
    let source = library.join(&tests.source);
    if !source.is_file() {
        return Err(Error::failed(format!(
            "found no {} in the sources of Rust {}, which ci/std-tests.toml names",
            source.display(),
            set.toolchain.version()
        )));
    }
    std::fs::create_dir_all(folder).context(|| format!("make the folder {}", folder.display()))?;
    let place = folder.join("Cargo.toml");
    let text = text(&tests.name, &source, &set.root)?;
    std::fs::write(&place, text).context(|| format!("write {}", place.display()))?;
    // The tests get the crates of the versions that the release was tested with.
    let (from, to) = (library.join("Cargo.lock"), folder.join("Cargo.lock"));
    std::fs::copy(&from, &to)
        .map(drop)
        .context(|| format!("copy {} to {}", from.display(), to.display()))
}

/// The manifest of a package that has nothing but the test program.
fn text(name: &str, source: &Path, root: &Path) -> Result<String> {
    let hermit = manifest::path(&root.join("unikernel/hermit"))?;
    let source = manifest::path(source)?;
    Ok(format!(
        r#"[package]
name = "std-tests-{name}"
version = "0.0.0"
edition = "2024"
publish = false

[workspace]

[[test]]
name = "{name}"
path = {source}

# Those of std's, alloc's and core's own tests, and the kernel.
[dependencies]
rand = {{ version = "0.9.0", default-features = false, features = ["alloc"] }}
rand_xorshift = {{ version = "0.4.0", default-features = false }}
hermit = {{ path = {hermit} }}

{}"#,
        manifest::profiles(root)?
    ))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    #[test]
    fn paths_of_any_kind_go_into_the_manifest() {
        let root = crate::workspace::root().unwrap();
        let source = Path::new("/a \"quoted\" path/lib.rs");
        let manifest = super::text("sync", source, &root).unwrap();
        let manifest: toml::Table = manifest.parse().unwrap();
        assert_eq!(
            manifest["test"][0]["path"].as_str().map(Path::new),
            Some(source)
        );
        assert_eq!(
            manifest["profile"]["release"]["debug"].as_str(),
            Some("line-tables-only")
        );
    }
}
