//! Sets of nodes that may have a copy.

use crate::ids::NodeId;

/// How nodes fall to the 64 bits of a [`SharerSet`].
///
/// Up to 64 nodes, each has a bit of its own. Above, a bit stands for a group of
/// neighbours, and a set may name more nodes than were put into it, never fewer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Grouping {
    nodes: u16,
    group: u16,
}

impl Grouping {
    /// The grouping for nodes 0 to `nodes` − 1.
    #[must_use]
    pub fn new(nodes: u16) -> Self {
        Self {
            nodes,
            group: nodes.div_ceil(64).max(1),
        }
    }

    /// Whether a set names exactly the nodes that were put into it.
    #[must_use]
    pub fn exact(self) -> bool {
        self.group == 1
    }

    fn bit(self, node: NodeId) -> u64 {
        1 << ((node.0 / self.group) & 63)
    }
}

/// The nodes that may have a copy of a page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct SharerSet(u64);

impl SharerSet {
    /// No node.
    pub const EMPTY: Self = Self(0);

    /// The set of `node`, and of those that share its bit.
    #[must_use]
    pub fn of(node: NodeId, grouping: Grouping) -> Self {
        Self(grouping.bit(node))
    }

    /// Whether no node is named.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The set with `node` added.
    #[must_use]
    pub fn with(self, node: NodeId, grouping: Grouping) -> Self {
        Self(self.0 | grouping.bit(node))
    }

    /// The set with `node` removed, if that takes out no other.
    #[must_use]
    pub fn without(self, node: NodeId, grouping: Grouping) -> Self {
        if grouping.exact() {
            Self(self.0 & !grouping.bit(node))
        } else {
            self
        }
    }

    /// Those in either.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether `node` may be in it.
    #[must_use]
    pub fn contains(self, node: NodeId, grouping: Grouping) -> bool {
        self.0 & grouping.bit(node) != 0
    }

    /// All nodes it names.
    pub fn iter(self, grouping: Grouping) -> impl Iterator<Item = NodeId> {
        (0..grouping.nodes)
            .map(NodeId)
            .filter(move |&node| self.contains(node, grouping))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn up_to_64_nodes_are_exact() {
        let grouping = Grouping::new(64);
        let set = SharerSet::of(NodeId(63), grouping).with(NodeId(0), grouping);
        assert!(set.iter(grouping).eq([NodeId(0), NodeId(63)]));
        assert!(
            set.without(NodeId(0), grouping)
                .iter(grouping)
                .eq([NodeId(63)])
        );
    }

    #[test]
    fn a_thousand_nodes_are_named_by_group() {
        let grouping = Grouping::new(1000);
        for node in 0..1000 {
            let set = SharerSet::of(NodeId(node), grouping);
            let named = set.iter(grouping).count();
            assert!(set.contains(NodeId(node), grouping));
            assert!((1..=16).contains(&named), "node {node} names {named}");
            assert!(
                set.without(NodeId(node), grouping)
                    .contains(NodeId(node), grouping)
            );
        }
    }
}
