//! A large result as one number.

use std::fmt;

/// A number that changes with every byte of what is added, and with their order (FNV-1a).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checksum(u64);

impl Checksum {
    /// That of nothing.
    pub const fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    /// Adds bytes.
    pub fn with(self, bytes: &[u8]) -> Self {
        let mix = |sum: u64, &byte: &u8| (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        Self(bytes.iter().fold(self.0, mix))
    }

    /// That of numbers, of which each bit counts: the same only if each was computed in the same
    /// order.
    pub fn of_floats<'a>(numbers: impl IntoIterator<Item = &'a f64>) -> Self {
        let add = |sum: Self, number: &f64| sum.with(&number.to_bits().to_le_bytes());
        numbers.into_iter().fold(Self::new(), add)
    }

    /// That of whole numbers.
    pub fn of_integers(numbers: impl IntoIterator<Item = u64>) -> Self {
        let add = |sum: Self, number: u64| sum.with(&number.to_le_bytes());
        numbers.into_iter().fold(Self::new(), add)
    }
}

impl Default for Checksum {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Display for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "checksum {:016x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::Checksum;

    #[test]
    fn is_that_of_the_algorithm() {
        assert_eq!(Checksum::new().with(b"a").0, 0xaf63_dc4c_8601_ec8c);
        assert_eq!(Checksum::new().with(b"foobar").0, 0x8594_4171_f739_67e8);
    }

    #[test]
    fn tells_zeros_of_both_signs_apart() {
        assert_ne!(Checksum::of_floats(&[0.0]), Checksum::of_floats(&[-0.0]));
    }
}
