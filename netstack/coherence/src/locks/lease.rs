//! What a node may lock without asking.

use super::want::Mode;
use crate::ranges::{Gap, RangeState};

/// A lease on bytes. An agent may forget one in silence: its home then knows of more than there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Lease {
    /// The most that can be locked under it.
    pub mode: Mode,
    /// Whether it was asked for, or used, or only came along.
    pub need: Need,
}

/// Why there is a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Need {
    /// Nobody else was there: it goes when somebody comes.
    CameAlong,
    /// A thread wanted it.
    Wanted,
}

impl RangeState for Lease {
    fn merged(self, other: Self, gap: Gap) -> Option<Self> {
        let both = Self {
            mode: self.mode.min(other.mode),
            need: self.need.max(other.need),
        };
        (gap == Gap::None).then_some(both)
    }
}
