//! Numbers by which nodes, pages, requests and points in a page's history are known.

/// A node of the cluster.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub u16);

/// A page of cluster memory: its address, less the start of cluster memory, by 4 KiB.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PageIndex(pub u64);

impl PageIndex {
    /// The pages that a mask of [`LONGEST_SPAN`](crate::LONGEST_SPAN) bits is for: the first one, and which of them this is.
    #[must_use]
    pub fn in_span(self) -> (Self, u32) {
        let span = u64::from(crate::LONGEST_SPAN);
        (Self(self.0 / span * span), (self.0 % span) as u32)
    }

    /// The page `distance` pages on.
    #[must_use]
    pub fn plus(self, distance: u64) -> Self {
        Self(self.0 + distance)
    }
}

/// A point in the history of what a home has granted.
///
/// A home counts its exclusive grants. A copy bears the count at which it was known to be
/// current, a record the count of its page's last exclusive grant, or a later one. So a copy
/// is current if its serial is not below the record's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Serial(pub u64);

/// The number of a view of the cluster: who its members are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(pub u32);

/// Whoever waits for a page: a thread, as its own node knows it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token(pub u64);

/// A point in time, in microseconds since any moment that stays the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(pub u64);

/// A request of a node to a home: the how manieth between the two.
///
/// It wraps. Two are compared by their distance, which is right while fewer than 2^31
/// requests between two nodes are under way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct RequestId(pub u32);

impl RequestId {
    /// The one that follows.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.wrapping_add(1))
    }

    /// The one before.
    #[must_use]
    pub fn before(self) -> Self {
        Self(self.0.wrapping_sub(1))
    }

    /// Whether this request was sent before `other`, or is the same.
    #[must_use]
    pub fn at_or_before(self, other: Self) -> bool {
        other.0.wrapping_sub(self.0) < 1 << 31
    }
}

/// What a program may do with a page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rights {
    /// Nothing: an access faults.
    #[default]
    None,
    /// Read it.
    Read,
    /// Read and write it.
    Write,
}

/// What a program was about to do when it faulted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Access {
    /// A load or an instruction fetch.
    Read,
    /// A store, or a load and a store in one.
    Write,
}

impl Access {
    /// The least rights that let it happen.
    #[must_use]
    pub fn needs(self) -> Rights {
        match self {
            Self::Read => Rights::Read,
            Self::Write => Rights::Write,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_ordered_across_the_wrap() {
        let last = RequestId(u32::MAX);
        assert!(last.at_or_before(last.next()));
        assert!(!last.next().at_or_before(last));
        assert!(last.at_or_before(last));
        assert_eq!(last.next().before(), last);
    }
}
