//! Where threads wait, and how they are known there.

use crate::ids::{NodeId, PageIndex};

/// A word of cluster memory: its address, less the start of cluster memory, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place(pub u64);

/// A thread that waits, or wants to know how many it woke, as its node knows it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u32);

/// How many wake-ups a node knows of at a place. To be asked for before the word is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Generation {
    pub(super) home: NodeId,
    pub(super) count: Option<u64>,
}

impl Place {
    /// The page that the word is in.
    #[must_use]
    pub fn page(self) -> PageIndex {
        PageIndex(self.0 / 4096)
    }

    /// One of so many, evenly.
    pub(super) fn bucket(self, buckets: usize) -> usize {
        // The odd number next to 2^64 by the golden ratio spreads neighbours apart.
        let spread = self.0.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        (spread % buckets.max(1) as u64) as usize
    }
}

impl Ticket {
    pub(super) fn next(self) -> Self {
        Self(self.0.wrapping_add(1))
    }
}
