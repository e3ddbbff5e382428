//! The cipher of the links between nodes.

use serde::Deserialize;

use crate::error::{Error, Result};

/// What encrypts on the links of a node. Both say the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Cipher {
    /// Code without vector registers.
    Portable,
    /// Code with them.
    Vectors,
}

impl Cipher {
    /// Its name on command lines.
    pub fn name(self) -> &'static str {
        match self {
            Self::Portable => "portable",
            Self::Vectors => "vectors",
        }
    }

    /// From a command line.
    pub fn parse(text: &str) -> Result<Self> {
        let all = [Self::Portable, Self::Vectors];
        let named = all.into_iter().find(|cipher| cipher.name() == text);
        named.ok_or_else(|| {
            Error::usage(format!(
                "found --cipher {text}, expected portable or vectors"
            ))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Cipher;

    #[test]
    fn each_is_known_by_its_name() {
        for cipher in [Cipher::Portable, Cipher::Vectors] {
            assert_eq!(Cipher::parse(cipher.name()).ok(), Some(cipher));
        }
        let error = Cipher::parse("rot13").unwrap_err().to_string();
        assert!(error.contains("rot13") && error.contains("vectors"));
    }
}
