//! Where things are: the repository, its target folder, the cache.

use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// The repository that this xtask was compiled in.
pub fn root() -> Result<PathBuf> {
    // Where xtask was compiled, unless cargo says where it runs from now.
    let manifest = std::env::var_os("CARGO_MANIFEST_DIR")
        .map(PathBuf::from)
        .filter(|dir| dir.ends_with("xtask") && dir.join("src/workspace.rs").is_file())
        .unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")));
    let root = manifest.parent().map(Path::to_path_buf).unwrap_or_default();
    if !root.join("unikernel/Cargo.toml").is_file() {
        return Err(Error::failed(format!(
            "found no unikernel/Cargo.toml in {}, where xtask was compiled; if the repository has \
             moved, run `cargo xtask` in its new place",
            root.display()
        )));
    }
    Ok(root)
}

/// Where xtask builds when nobody says otherwise: cargo's own choice.
#[cfg(feature = "full")]
pub fn target_dir(root: &Path) -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(dir) if !dir.is_empty() => absolute(Path::new(&dir)),
        _ => root.join("target"),
    }
}

/// The folder for what is fetched once and kept.
pub fn cache_dir() -> Result<PathBuf> {
    let base = std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .filter(|dir| dir.is_absolute())
        .or_else(|| std::env::home_dir().map(|home| home.join(".cache")))
        .ok_or_else(|| {
            Error::usage("found neither HOME nor XDG_CACHE_HOME: set one, for the cache folder")
        })?;
    Ok(base.join("darner"))
}

/// `path` seen from the current folder, whether or not it exists.
pub fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf())
}
