//! Numbers by which nodes, their lives, and points in time are known.

use core::fmt;
use core::ops::Add;
use darner_coherence::NodeId;

/// How many slots a cluster has: no node has a higher number than one less.
pub const SLOTS: u16 = 64;

/// A point in time, or a span, in nanoseconds, by a clock of the node's own that never goes back.
///
/// No two nodes' clocks need to show the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Nanos(pub u64);

impl Nanos {
    /// What is so far away that it never comes.
    pub const NEVER: Self = Self(u64::MAX);

    /// The time since `earlier`, or none if that is yet to come.
    #[must_use]
    pub fn since(self, earlier: Self) -> Self {
        Self(self.0.saturating_sub(earlier.0))
    }

    /// That many times the span.
    #[must_use]
    pub fn times(self, factor: u64) -> Self {
        Self(self.0.saturating_mul(factor))
    }
}

impl Add for Nanos {
    type Output = Self;

    fn add(self, span: Self) -> Self {
        Self(self.0.saturating_add(span.0))
    }
}

/// Which life of a node: higher each time that a node starts with the same number.
///
/// The time of day at which it starts, in nanoseconds, will do. What a node promised it
/// forgets when it dies, so it never comes back as the one that it was. Zero is no life:
/// it stands for any in [`Packet::receiver`](crate::Packet::receiver).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Incarnation(pub u64);

impl Incarnation {
    /// Whoever it is.
    pub const ANY: Self = Self(0);
}

/// Which cluster: a random number that its founder has drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClusterId(pub u64);

/// Where a node is reached: an IPv6 address (or an IPv4 one, mapped) and a port of TCP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    /// The IPv6 address.
    pub ip: [u8; 16],
    /// The port.
    pub port: u16,
}

/// One life of one node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identity {
    /// The node's number: its slot.
    pub node: NodeId,
    /// Which life.
    pub incarnation: Incarnation,
}

/// A set of slots.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SlotSet(pub u64);

impl SlotSet {
    /// None.
    pub const EMPTY: Self = Self(0);

    /// Just this one.
    #[must_use]
    pub fn of(node: NodeId) -> Self {
        Self(1_u64.checked_shl(u32::from(node.0)).unwrap_or(0))
    }

    /// Whether `node` is in it.
    #[must_use]
    pub fn contains(self, node: NodeId) -> bool {
        self.0 & Self::of(node).0 != 0
    }

    /// With `node` too.
    #[must_use]
    pub fn with(self, node: NodeId) -> Self {
        self.union(Self::of(node))
    }

    /// Without `node`.
    #[must_use]
    pub fn without(self, node: NodeId) -> Self {
        Self(self.0 & !Self::of(node).0)
    }

    /// What is in either.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// What is in this one and not in `other`.
    #[must_use]
    pub fn minus(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// How many.
    #[must_use]
    pub fn len(self) -> u32 {
        self.0.count_ones()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// All of them, in order.
    pub fn iter(self) -> impl Iterator<Item = NodeId> {
        (0..SLOTS)
            .map(NodeId)
            .filter(move |&node| self.contains(node))
    }
}

impl FromIterator<NodeId> for SlotSet {
    fn from_iter<I: IntoIterator<Item = NodeId>>(nodes: I) -> Self {
        nodes.into_iter().fold(Self::EMPTY, Self::with)
    }
}

impl fmt::Debug for SlotSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set()
            .entries(self.iter().map(|node| node.0))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_holds_what_is_put_in() {
        let set: SlotSet = [NodeId(0), NodeId(63)].into_iter().collect();
        assert!(set.contains(NodeId(63)) && !set.contains(NodeId(1)));
        assert_eq!(set.len(), 2);
        assert_eq!(set.without(NodeId(0)), SlotSet::of(NodeId(63)));
        assert!(SlotSet::of(NodeId(64)).is_empty());
    }

    #[test]
    fn never_is_never_passed() {
        assert_eq!(Nanos::NEVER + Nanos(1), Nanos::NEVER);
        assert_eq!(Nanos(1).since(Nanos(2)), Nanos(0));
    }
}
