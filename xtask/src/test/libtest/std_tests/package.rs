//! Compiles a test program of the standard library's sources for the guest.

use std::path::{Path, PathBuf};

use super::list::{First, TestSuite};
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
    std::fs::create_dir_all(folder).context(|| format!("make the folder {}", folder.display()))?;
    let source = match tests.first()? {
        First::Source(source) => library.join(source),
        First::Frame(frame) => {
            framed(&set.root.join("ci/std-tests").join(frame), &library, folder)?
        }
    };
    if !source.is_file() {
        return Err(Error::failed(format!(
            "found no {} in the sources of Rust {}, which ci/std-tests.toml names",
            source.display(),
            set.toolchain.version()
        )));
    }
    let place = folder.join("Cargo.toml");
    let text = text(&tests.name, &source, &set.root)?;
    std::fs::write(&place, text).context(|| format!("write {}", place.display()))?;
    // The tests get the crates of the versions that the release was tested with.
    let (from, to) = (library.join("Cargo.lock"), folder.join("Cargo.lock"));
    std::fs::copy(&from, &to)
        .map(drop)
        .context(|| format!("copy {} to {}", from.display(), to.display()))
}

/// Puts a frame and a link `library` to the sources into the package's folder; gives the
/// frame's place there.
fn framed(frame: &Path, library: &Path, folder: &Path) -> Result<PathBuf> {
    let link = folder.join("library");
    if std::fs::read_link(&link).ok().as_deref() != Some(library) {
        // It may lead to another toolchain's.
        let _ = std::fs::remove_file(&link);
        std::os::unix::fs::symlink(library, &link)
            .context(|| format!("link {} to {}", link.display(), library.display()))?;
    }
    let place = folder.join("frame.rs");
    std::fs::copy(frame, &place)
        .context(|| format!("copy {} to {}", frame.display(), place.display()))?;
    Ok(place)
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
    fn a_frame_finds_the_sources() {
        let scratch = std::env::temp_dir().join(format!("frame-{}", std::process::id()));
        let (old, new) = (scratch.join("old"), scratch.join("new"));
        let (frame, folder) = (scratch.join("inner.rs"), scratch.join("folder"));
        for folder in [&old, &new, &folder] {
            std::fs::create_dir_all(folder).unwrap();
        }
        std::fs::write(&frame, "mod tests;").unwrap();
        std::fs::write(new.join("tests.rs"), "").unwrap();
        for library in [&old, &new, &new] {
            let place = super::framed(&frame, library, &folder).unwrap();
            assert_eq!(std::fs::read_to_string(place).unwrap(), "mod tests;");
        }
        assert!(folder.join("library/tests.rs").is_file());
        assert!(super::framed(&scratch.join("none.rs"), &new, &folder).is_err());
        std::fs::remove_dir_all(scratch).unwrap();
    }

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
