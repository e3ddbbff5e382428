//! Addresses of memory.

use alloc::string::String;
use core::fmt;

use serde::de::{Error, Unexpected};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An address, written `0x1000`: readers that take numbers for floating-point ones would
/// round it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address(pub u64);

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

impl Serialize for Address {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let digits = text.strip_prefix("0x");
        match digits.map(|digits| u64::from_str_radix(digits, 16)) {
            Some(Ok(address)) => Ok(Self(address)),
            _ => {
                let found = Unexpected::Str(&text);
                Err(Error::invalid_value(found, &"an address, as 0x1000"))
            }
        }
    }
}
