//! The cluster's key, and random bytes for one handshake.

use core::fmt;

use crate::cipher::Sealer;

const KEY_BYTES: usize = 32;

/// What all nodes of a cluster have, and nobody else.
#[derive(Clone)]
pub struct ClusterKey {
    pub(crate) bytes: [u8; KEY_BYTES],
    /// What encrypts on the links that it protects; portable code, unless there is something better.
    pub(crate) sealer: Option<&'static dyn Sealer>,
}

impl ClusterKey {
    /// Of 32 bytes that nobody can guess.
    #[must_use]
    pub fn new(bytes: [u8; KEY_BYTES]) -> Self {
        let sealer = None;
        Self { bytes, sealer }
    }

    /// The same key, for links that `sealer` encrypts.
    #[must_use]
    pub fn sealed_by(self, sealer: &'static dyn Sealer) -> Self {
        let sealer = Some(sealer);
        Self { sealer, ..self }
    }

    /// Of 64 hexadecimal digits, as it is on a command line.
    ///
    /// # Errors
    ///
    /// It is something else. The error does not repeat it.
    pub fn from_hex(digits: &str) -> Result<Self, BadKey> {
        let bad = BadKey {
            characters: digits.chars().count(),
        };
        let (pairs, rest) = digits.as_bytes().as_chunks::<2>();
        if pairs.len() != KEY_BYTES || !rest.is_empty() {
            return Err(bad);
        }
        let mut bytes = [0; KEY_BYTES];
        for (byte, &[high, low]) in bytes.iter_mut().zip(pairs) {
            *byte = digit(high).ok_or(bad)? << 4 | digit(low).ok_or(bad)?;
        }
        Ok(Self::new(bytes))
    }
}

/// Keys are compared; what encrypts with them is the machine's affair.
impl PartialEq for ClusterKey {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl Eq for ClusterKey {}

fn digit(character: u8) -> Option<u8> {
    let value = char::from(character).to_digit(16)?;
    u8::try_from(value).ok()
}

/// Never the key itself: logs are not secret.
impl fmt::Debug for ClusterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClusterKey(..)")
    }
}

/// Text that is no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadKey {
    characters: usize,
}

impl fmt::Display for BadKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the cluster's key is {} characters that are not all hexadecimal digits, or are not \
             64; give 64 hexadecimal digits, the same to all nodes",
            self.characters
        )
    }
}

impl core::error::Error for BadKey {}

/// 32 bytes from a generator that nobody can foretell, for one link. Using the same ones twice gives
/// secrets away, so this cannot be copied.
pub struct Seed(pub(crate) [u8; 32]);

impl Seed {
    /// Of fresh random bytes.
    #[must_use]
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::ClusterKey;
    use std::format;

    #[test]
    fn a_key_is_64_hexadecimal_digits() {
        let digits = "00112233445566778899aabbccddeeffFFEEDDCCBBAA99887766554433221100";
        let key = ClusterKey::from_hex(digits).expect("64 digits");
        assert_eq!(key.bytes[..3], [0x00, 0x11, 0x22]);
        assert_eq!(key.bytes[16], 0xff);
    }

    #[test]
    fn anything_else_is_refused_and_not_repeated() {
        let mut digits = "0".repeat(64);
        digits.replace_range(63.., "g");
        for wrong in ["", "abc", &"0".repeat(63), &"0".repeat(66), &digits, "äöü"] {
            let error = ClusterKey::from_hex(wrong).expect_err("no key");
            assert!(wrong.is_empty() || !format!("{error} {error:?}").contains(wrong));
        }
    }

    #[test]
    fn a_key_is_not_printed() {
        let key = ClusterKey::new([0xab; 32]);
        assert_eq!(format!("{key:?}"), "ClusterKey(..)");
    }
}
