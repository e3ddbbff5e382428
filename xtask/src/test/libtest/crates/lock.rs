//! Whether a package was built of what ci/crate-tests/Cargo.lock pins.

use serde::Deserialize;

#[derive(Deserialize)]
struct Lock {
    #[serde(default)]
    package: Vec<Locked>,
}

#[derive(PartialEq, Eq, Deserialize)]
struct Locked {
    name: String,
    version: String,
    /// None for packages that are folders here.
    source: Option<String>,
    checksum: Option<String>,
}

/// An error if the lock file `used` has a package of a registry that the lock
/// file `pinned` does not have in the very same version.
pub fn check(pinned: &str, used: &str) -> Result<(), String> {
    let read = |text| toml::from_str::<Lock>(text).map_err(|error| error.to_string());
    let pinned = read(pinned)?.package;
    let strays: Vec<String> = read(used)?
        .package
        .into_iter()
        .filter(|used| used.source.is_some() && !pinned.contains(used))
        .map(|stray| format!("{} {}", stray.name, stray.version))
        .collect();
    match strays.is_empty() {
        true => Ok(()),
        false => Err(format!(
            "found packages that it does not have: {}; add what needs them to the manifest beside it",
            strays.join(", ")
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::check;

    const PINNED: &str = r#"
        version = 4
        [[package]]
        name = "rope"
        version = "1.0.0"
        source = "registry"
        checksum = "12"
        [[package]]
        name = "string"
        version = "2.0.0"
        source = "registry"
        checksum = "34"
        dependencies = ["rope"]
    "#;

    #[test]
    fn fewer_packages_and_folders_are_fine() {
        let used = r#"
            [[package]]
            name = "rope"
            version = "1.0.0"
            source = "registry"
            checksum = "12"
            [[package]]
            name = "string"
            version = "3.0.0"
        "#;
        assert_eq!(check(PINNED, used), Ok(()));
    }

    #[test]
    fn any_other_version_or_content_is_told() {
        for (from, to) in [("2.0.0", "2.0.1"), ("34", "35"), ("\"string\"", "\"yarn\"")] {
            let used = PINNED.replacen(from, to, 1);
            assert!(check(PINNED, &used).unwrap_err().contains("2.0."), "{to}");
        }
        assert!(check("no lock", PINNED).is_err());
    }
}
