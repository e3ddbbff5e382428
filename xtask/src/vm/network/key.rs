//! The key of a cluster: what its nodes have, and nobody else.

use std::fmt;
use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use darner_link::ClusterKey;

use crate::error::{Context, Error, Result};

/// Where the host's random bytes are.
const RANDOM: &str = "/dev/urandom";
/// What is shown in place of a key.
const HIDDEN: &str = "...";

/// 64 hexadecimal digits.
#[derive(Clone)]
pub struct Key(String);

impl Key {
    /// One that nobody else has had.
    pub fn random() -> Result<Self> {
        let mut bytes = [0; 32];
        File::open(RANDOM)
            .and_then(|mut file| file.read_exact(&mut bytes))
            .context(|| format!("read {RANDOM}"))?;
        Ok(Self::of(bytes))
    }

    fn of(bytes: [u8; 32]) -> Self {
        Self(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// The one in a file, with nothing around it but white space.
    pub fn read(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path)
            .map_err(|error| Error::usage(format!("--key: {}: {error}", path.display())))?;
        let digits = text.trim();
        ClusterKey::from_hex(digits)
            .map_err(|error| Error::usage(format!("--key: {}: {error}", path.display())))?;
        Ok(Self(digits.to_owned()))
    }

    /// What the kernel is told.
    pub fn word(&self) -> String {
        format!("cluster.key={}", self.0)
    }

    /// A text without the key.
    pub fn hidden_in(&self, text: &str) -> String {
        text.replace(&self.0, HIDDEN)
    }
}

/// Never the key itself.
impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::Key;

    #[test]
    fn a_file_has_64_digits_and_keys_are_hidden() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        std::fs::write(&path, format!("\n{}\n", "0a".repeat(32))).unwrap();
        let key = Key::read(&path).unwrap();
        assert_eq!(key.word(), format!("cluster.key={}", "0a".repeat(32)));
        assert_eq!(key.hidden_in(&key.word()), "cluster.key=...");
        assert_eq!(format!("{key:?}"), "Key(..)");
        for wrong in ["", "0a", &"0g".repeat(32)] {
            std::fs::write(&path, wrong).unwrap();
            let error = Key::read(&path).unwrap_err();
            assert_eq!(error.status(), 2);
            assert!(wrong.is_empty() || !error.to_string().contains(wrong));
        }
        assert_ne!(Key::random().unwrap().word(), Key::random().unwrap().word());
    }
}
