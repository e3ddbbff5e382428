//! What the manifests of all test packages have in common.

use std::path::Path;

use crate::error::{Context, Error, Result};

/// A path as a value of a manifest; an error if it is not valid UTF-8.
pub fn path(path: &Path) -> Result<toml::Value> {
    match path.to_str() {
        Some(text) => Ok(toml::Value::from(text)),
        None => Err(Error::usage(format!(
            "expected a path that is valid UTF-8, found {}",
            path.display()
        ))),
    }
}

/// The table `[profile]` of the repository's manifest, in a table of its own.
/// What is compiled by it elsewhere serves the test packages, too.
pub fn profiles(root: &Path) -> Result<toml::Table> {
    let path = root.join("Cargo.toml");
    let text = std::fs::read_to_string(&path).context(|| format!("read {}", path.display()))?;
    let mut manifest: toml::Table = text
        .parse()
        .context(|| format!("make sense of {}", path.display()))?;
    manifest.retain(|key, _| key == "profile");
    Ok(manifest)
}
