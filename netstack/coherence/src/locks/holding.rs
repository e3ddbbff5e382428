//! Which nodes have leases on a range.

use crate::ids::NodeId;
use crate::mutants::mutated;
use crate::ranges::{Gap, RangeState};
use crate::sharers::{Grouping, SharerSet};

/// A few nodes, or none. One is always exact, in clusters of any size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Nodes {
    /// Nobody.
    #[default]
    None,
    /// This one.
    One(NodeId),
    /// These, and in a large cluster perhaps others.
    Many(SharerSet),
}

impl Nodes {
    /// Whether nobody is named.
    #[must_use]
    pub fn is_none(self) -> bool {
        self == Self::None
    }

    /// Whether it names a node.
    #[must_use]
    pub fn contains(self, node: NodeId, grouping: Grouping) -> bool {
        match self {
            Self::None => false,
            Self::One(one) => one == node,
            Self::Many(set) => set.contains(node, grouping),
        }
    }

    /// With another.
    #[must_use]
    pub fn with(self, node: NodeId, grouping: Grouping) -> Self {
        match self {
            Self::None => Self::One(node),
            Self::One(one) if one == node => self,
            _ => Self::Many(self.set(grouping).with(node, grouping)),
        }
    }

    /// Without one, if that takes out no other.
    #[must_use]
    pub fn without(self, node: NodeId, grouping: Grouping) -> Self {
        match self {
            Self::One(one) if one == node => Self::None,
            Self::Many(set) => {
                let rest = set.without(node, grouping);
                let mut named = rest.iter(grouping);
                match (named.next(), named.next()) {
                    (None, _) => Self::None,
                    (Some(one), None) => Self::One(one),
                    _ => Self::Many(rest),
                }
            }
            _ => self,
        }
    }

    /// Those in either.
    #[must_use]
    pub fn union(self, other: Self, grouping: Grouping) -> Self {
        match (self, other) {
            (nodes, Self::None) | (Self::None, nodes) => nodes,
            (Self::One(one), Self::One(same)) if one == same => self,
            _ => Self::Many(self.set(grouping).union(other.set(grouping), grouping)),
        }
    }

    /// All that it names.
    pub fn iter(self, grouping: Grouping) -> impl Iterator<Item = NodeId> {
        let one = match self {
            Self::One(one) => Some(one),
            _ => None,
        };
        let many = match self {
            Self::Many(set) => set,
            _ => SharerSet::EMPTY,
        };
        one.into_iter().chain(many.iter(grouping))
    }

    fn set(self, grouping: Grouping) -> SharerSet {
        match self {
            Self::None => SharerSet::EMPTY,
            Self::One(node) => SharerSet::of(node, grouping),
            Self::Many(set) => set,
        }
    }
}

/// Who may have leases on bytes, as far as their home knows: never fewer than have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Holding {
    /// Who may have any lease.
    pub holders: Nodes,
    /// Who of them may have an exclusive one, or still have locks under an exclusive one.
    pub writers: Nodes,
    /// How nodes fall to the bits of sets.
    pub(super) grouping: Grouping,
}

impl Holding {
    /// With all that another has.
    pub(super) fn with_all(self, other: Self) -> Self {
        Self {
            holders: self.holders.union(other.holders, self.grouping),
            writers: self.writers.union(other.writers, self.grouping),
            grouping: self.grouping,
        }
    }
}

impl RangeState for Holding {
    fn merged(self, other: Self, _gap: Gap) -> Option<Self> {
        if mutated!(MergedHoldersForgotten) {
            return Some(self);
        }
        Some(self.with_all(other))
    }
}
