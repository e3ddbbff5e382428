//! A crate's manifest, rewritten so that its tests are built for the guest.
//!
//! The sources stay in cargo's registry, as they came. The rewritten manifest
//! lies elsewhere, points to them, and adds the kernel.

use std::collections::BTreeSet;
use std::path::Path;

use toml::{Table, Value};

use crate::error::{Error, Result};
use crate::test::libtest::{PROFILE, manifest};

/// What is kept of a manifest. The rest is examples, benchmarks, and advice to
/// other tools.
const KEPT: [&str; 8] = [
    "package",
    "lib",
    "test",
    "features",
    "dependencies",
    "build-dependencies",
    "dev-dependencies",
    "target",
];
/// What is kept of its `[package]`.
const KEPT_OF_PACKAGE: [&str; 8] = [
    "name",
    "version",
    "edition",
    "build",
    "autolib",
    "autobins",
    "autotests",
    "autobenches",
];
/// What the program of the tests inside the library is called here.
pub const UNIT: &str = "unit";

/// A crate's manifest.
#[derive(Debug)]
pub struct Manifest {
    table: Table,
}

impl Manifest {
    /// Reads the text of one as cargo puts it into packages: there, every
    /// target is named.
    pub fn parse(text: &str) -> Result<Self> {
        let mut table: Table = text
            .parse()
            .map_err(|error| Error::failed(format!("not a manifest: {error}")))?;
        table.retain(|key, _| KEPT.contains(&key));
        for part in ["package", "lib"] {
            if !table.get(part).is_some_and(Value::is_table) {
                return Err(Error::failed(format!("the manifest has no [{part}]")));
            }
        }
        Ok(Self { table })
    }

    /// Adds test programs: the files `tests/NAME.rs` of `folder`.
    pub fn add(&mut self, names: &[String], folder: &Path) -> Result<()> {
        let tests = self
            .table
            .entry("test")
            .or_insert_with(|| Value::Array(Vec::new()))
            .as_array_mut()
            .ok_or_else(|| Error::failed("`test` in the manifest is no array"))?;
        for name in names {
            let path = folder.join("tests").join(format!("{name}.rs"));
            tests.push(Value::from(Table::from_iter([
                ("name".to_owned(), name.as_str().into()),
                ("path".to_owned(), manifest::path(&path)?),
            ])));
        }
        Ok(())
    }

    /// Has features on that are off by default.
    pub fn turn_on(&mut self, names: &[String]) -> Result<()> {
        let features = section(&mut self.table, "features")?;
        if let Some(name) = names.iter().find(|name| !features.contains_key(*name)) {
            return Err(Error::usage(format!(
                "found no feature `{name}` in the manifest"
            )));
        }
        features
            .entry("default")
            .or_insert_with(|| Value::Array(Vec::new()))
            .as_array_mut()
            .ok_or_else(|| Error::failed("`default` in the manifest is no array"))?
            .extend(names.iter().map(|name| name.as_str().into()));
        Ok(())
    }

    /// The names of the test programs that it makes.
    pub fn programs(&self) -> Vec<String> {
        let tests = self.table.get("test").and_then(Value::as_array);
        let names = tests.into_iter().flatten().filter_map(|test| {
            let name = test.get("name")?.as_str()?;
            Some(name.to_owned())
        });
        std::iter::once(UNIT.to_owned()).chain(names).collect()
    }

    /// Leaves out all test programs but these.
    pub fn keep(&mut self, programs: &[String]) -> Result<()> {
        let lib = section(&mut self.table, "lib")?;
        let has_unit = programs.iter().any(|name| name == UNIT);
        lib.insert("test".into(), has_unit.into());
        let tests = self.table.get_mut("test").and_then(Value::as_array_mut);
        if let Some(tests) = tests {
            tests.retain(|test| {
                let name = test.get("name").and_then(Value::as_str);
                programs.iter().any(|kept| Some(kept.as_str()) == name)
            });
        }
        Ok(())
    }

    /// Rewrites it: the sources are those in `folder`, and the kernel is that
    /// of the repository `root`. The tests do without the dependencies
    /// `without`; an error if they are not among those of the tests.
    pub fn rewritten(self, folder: &Path, root: &Path, without: &[String]) -> Result<String> {
        let mut table = self.table;
        let name = rewrite_package(&mut table, folder)?;
        set_paths(&mut table, folder)?;
        for unused in without {
            let removed = section(&mut table, "dev-dependencies")?.remove(unused);
            if removed.is_none() {
                return Err(Error::usage(format!(
                    "the tests of `{name}` do not depend on `{unused}`, which the list says to leave out"
                )));
            }
        }
        keep_default_features(&mut table)?;

        let hermit = manifest::path(&root.join("unikernel/hermit"))?;
        let hermit = Value::from(Table::from_iter([("path".to_owned(), hermit)]));
        section(&mut table, "dependencies")?.insert("hermit".into(), hermit.clone());
        // For the host, it is empty; but it is what `flags` name.
        section(&mut table, "build-dependencies")?.insert("hermit".into(), hermit);

        table.insert("workspace".into(), Table::new().into());
        table.extend(manifest::profiles(root)?);
        let profiles = section(&mut table, "profile")?;
        let profile = section(profiles, PROFILE.name())?;
        let of_package = section(section(profile, "package")?, &name)?;
        of_package.insert("rustflags".into(), flags());
        table.insert("cargo-features".into(), vec!["profile-rustflags"].into());
        Ok(table.to_string())
    }
}

/// What the sources would say themselves if they had been written for us.
fn flags() -> Value {
    Value::from(vec![
        "-Zunstable-options",
        // `use hermit as _;`
        "--extern=force:hermit",
        // Warnings are for those who can change the sources.
        "--cap-lints=allow",
    ])
}

/// Names the package and keeps of `[package]` what matters to a build.
fn rewrite_package(table: &mut Table, folder: &Path) -> Result<String> {
    let package = section(table, "package")?;
    package.retain(|key, _| KEPT_OF_PACKAGE.contains(&key));
    set_path(package, "build", folder)?;
    match package.get("name").and_then(Value::as_str) {
        Some(name) => Ok(name.to_owned()),
        None => Err(Error::failed("the manifest names no package")),
    }
}

/// Makes the paths of all targets those of files in `folder`.
fn set_paths(table: &mut Table, folder: &Path) -> Result<()> {
    set_path(section(table, "lib")?, "path", folder)?;
    let tests = table.get_mut("test").and_then(Value::as_array_mut);
    for test in tests.into_iter().flatten() {
        if let Some(test) = test.as_table_mut() {
            set_path(test, "path", folder)?;
        }
    }
    Ok(())
}

/// Makes the path under that key one of a file in `folder`, if there is one.
fn set_path(table: &mut Table, key: &str, folder: &Path) -> Result<()> {
    if let Some(path) = table.get(key).and_then(Value::as_str) {
        let path = manifest::path(&folder.join(path))?;
        table.insert(key.to_owned(), path);
    }
    Ok(())
}

/// Leaves out features that are off by default, and the dependencies that only
/// they have: cargo would otherwise choose versions for those, too.
fn keep_default_features(table: &mut Table) -> Result<()> {
    let features = section(table, "features")?;
    let (mut kept, mut dependencies) = (BTreeSet::new(), BTreeSet::new());
    let mut open = vec!["default".to_owned()];
    while let Some(name) = open.pop() {
        match features.get(&name).and_then(Value::as_array) {
            Some(entries) => {
                let entries = entries.iter().filter_map(Value::as_str);
                if kept.insert(name) {
                    open.extend(entries.map(str::to_owned));
                }
            }
            // `dep`, `dep:dep`, `dep/feature` or `dep?/feature`.
            None => {
                let name = name.trim_start_matches("dep:");
                let name = name.split(['?', '/']).next().unwrap_or(name);
                dependencies.insert(name.to_owned());
            }
        }
    }
    features.retain(|name, _| kept.contains(name));
    leave_out_optional(table, &dependencies)?;
    // Those that only some targets have.
    for (_, table) in section(table, "target")? {
        if let Some(table) = table.as_table_mut() {
            leave_out_optional(table, &dependencies)?;
        }
    }
    Ok(())
}

/// Leaves out optional dependencies but these.
fn leave_out_optional(table: &mut Table, kept: &BTreeSet<String>) -> Result<()> {
    for kind in ["dependencies", "build-dependencies"] {
        section(table, kind)?.retain(|name, dependency| {
            let optional = dependency.get("optional").and_then(Value::as_bool);
            optional != Some(true) || kept.contains(name)
        });
    }
    Ok(())
}

/// The table of that name, made if there is none.
fn section<'a>(table: &'a mut Table, name: &str) -> Result<&'a mut Table> {
    table
        .entry(name)
        .or_insert_with(|| Value::from(Table::new()))
        .as_table_mut()
        .ok_or_else(|| Error::failed(format!("`{name}` in the manifest is no table")))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{Manifest, keep_default_features};

    const MANIFEST: &str = r#"
        [package]
        name = "rope"
        version = "1.0.0"
        edition = "2021"
        build = "build.rs"
        readme = "README.md"

        [features]
        default = ["std"]
        std = ["alloc", "string/std", "dep:knot"]
        alloc = []
        model = ["loom", "alloc"]

        [lib]
        name = "rope"
        path = "src/lib.rs"

        [[test]]
        name = "tie"
        path = "tests/tie.rs"

        [[bench]]
        name = "pull"
        path = "benches/pull.rs"

        [dependencies.string]
        version = "1"
        optional = true

        [dependencies.knot]
        version = "1"
        optional = true

        [dependencies.loom]
        version = "1"
        optional = true

        [dependencies.twine]
        version = "1"

        [target."cfg(unix)".dependencies.pulley]
        version = "1"

        [target."cfg(model)".dependencies.model]
        version = "1"
        optional = true

        [dev-dependencies.rand]
        version = "0.8"

        [dev-dependencies.signals]
        version = "1"

        [lints.rust]
        unused = "deny"
    "#;

    fn rewritten(without: &[&str]) -> crate::error::Result<toml::Table> {
        let without: Vec<String> = without.iter().map(|&name| name.to_owned()).collect();
        let text = Manifest::parse(MANIFEST)?.rewritten(
            Path::new("/registry/a \"quoted\" rope"),
            &crate::workspace::root()?,
            &without,
        )?;
        Ok(text.parse().unwrap())
    }

    fn keys(table: &toml::Value) -> Vec<&str> {
        let table = table.as_table().unwrap();
        table.keys().map(String::as_str).collect()
    }

    #[test]
    fn the_programs_are_the_tests_and_the_library() {
        let manifest = Manifest::parse(MANIFEST).unwrap();
        assert_eq!(manifest.programs(), ["unit", "tie"]);
        assert!(Manifest::parse("[package]\nname = \"rope\"\n").is_err());
        assert!(Manifest::parse("no manifest").is_err());
    }

    #[test]
    fn programs_can_be_left_out() {
        for (kept, has_unit, tests) in [("unit", true, 0), ("tie", false, 1)] {
            let mut manifest = Manifest::parse(MANIFEST).unwrap();
            manifest.keep(&[kept.to_owned()]).unwrap();
            assert_eq!(manifest.table["lib"]["test"].as_bool(), Some(has_unit));
            assert_eq!(manifest.table["test"].as_array().unwrap().len(), tests);
        }
    }

    #[test]
    fn the_sources_stay_where_they_are() {
        let manifest = rewritten(&[]).unwrap();
        let folder = "/registry/a \"quoted\" rope";
        for (value, expected) in [
            (&manifest["package"]["build"], "build.rs"),
            (&manifest["lib"]["path"], "src/lib.rs"),
            (&manifest["test"][0]["path"], "tests/tie.rs"),
        ] {
            assert_eq!(value.as_str(), Some(&*format!("{folder}/{expected}")));
        }
        for gone in ["bench", "lints"] {
            assert!(!manifest.contains_key(gone), "{gone}");
        }
        assert!(manifest["package"].get("readme").is_none());
    }

    #[test]
    fn only_what_is_on_by_default_is_kept() {
        let manifest = rewritten(&[]).unwrap();
        assert_eq!(keys(&manifest["features"]), ["alloc", "default", "std"]);
        assert_eq!(
            keys(&manifest["dependencies"]),
            ["hermit", "knot", "string", "twine"]
        );
        let of_targets = &manifest["target"];
        assert_eq!(keys(&of_targets["cfg(unix)"]["dependencies"]), ["pulley"]);
        assert!(keys(&of_targets["cfg(model)"]["dependencies"]).is_empty());
    }

    #[test]
    fn features_can_be_turned_on() {
        let mut manifest = Manifest::parse(MANIFEST).unwrap();
        manifest.turn_on(&["model".to_owned()]).unwrap();
        keep_default_features(&mut manifest.table).unwrap();
        assert!(manifest.table["dependencies"].get("loom").is_some());
        assert!(manifest.turn_on(&["mode".to_owned()]).is_err());
    }

    #[test]
    fn tests_from_elsewhere_stay_there() {
        let mut manifest = Manifest::parse(MANIFEST).unwrap();
        manifest
            .add(&["pull".to_owned()], Path::new("/cache/rope"))
            .unwrap();
        assert_eq!(manifest.programs(), ["unit", "tie", "pull"]);
        let root = crate::workspace::root().unwrap();
        let text = manifest
            .rewritten(Path::new("/registry"), &root, &[])
            .unwrap();
        let manifest: toml::Table = text.parse().unwrap();
        assert_eq!(
            manifest["test"][1]["path"].as_str(),
            Some("/cache/rope/tests/pull.rs")
        );
    }

    #[test]
    fn the_kernel_is_linked_and_the_profile_is_ours() {
        let manifest = rewritten(&[]).unwrap();
        let release = &manifest["profile"]["release"];
        assert_eq!(release["debug"].as_str(), Some("line-tables-only"));
        let flags = release["package"]["rope"]["rustflags"].as_array().unwrap();
        assert!(flags.contains(&"--extern=force:hermit".into()));
        assert!(manifest.contains_key("workspace"));
    }

    #[test]
    fn tests_do_without_what_the_list_says() {
        let manifest = rewritten(&["signals"]).unwrap();
        assert_eq!(keys(&manifest["dev-dependencies"]), ["rand"]);
        assert!(rewritten(&["twine"]).is_err());
    }
}
