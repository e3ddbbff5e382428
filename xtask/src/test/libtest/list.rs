//! Lists of test suites, files of `[[suite]]` tables.

use std::path::Path;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::error::{Context, Error, Result};

/// An entry of such a list.
pub trait Listed: DeserializeOwned {
    /// Refuses what cannot have been meant, also beside the entries `before` it.
    fn check(&self, before: &[Self]) -> Result<()>;
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct List<T> {
    suite: Vec<T>,
}

/// Reads the list in the file at `path`.
pub fn read<T: Listed>(path: &Path) -> Result<Vec<T>> {
    let text = std::fs::read_to_string(path).context(|| format!("read {}", path.display()))?;
    parse(&text).context(|| format!("make sense of {}", path.display()))
}

/// The entries of the list in `text`.
pub fn parse<T: Listed>(text: &str) -> Result<Vec<T>> {
    let list: List<T> = toml::from_str(text).map_err(|error| Error::usage(error.to_string()))?;
    for (index, suite) in list.suite.iter().enumerate() {
        suite.check(&list.suite[..index])?;
    }
    Ok(list.suite)
}
