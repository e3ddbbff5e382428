//! Sets of nodes that may have a copy.

use crate::ids::NodeId;

/// How nodes fall to the 64 bits of a [`SharerSet`].
///
/// Up to 64 nodes, each has a bit of its own. Above, a set names up to three nodes one by one. One of
/// more has a bit for each group of neighbours, so it may name more nodes than were put into it, never fewer
/// (limited pointers, then a coarse vector: Gupta, Weber and Mowry, 1990).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Grouping {
    nodes: u16,
    group: u16,
}

/// The bit of a set that has bits for groups, in clusters of more than 64 nodes.
const COARSE: u64 = 1 << 63;
/// How many nodes are named one by one at most, in such clusters; each in 16 bits, as its number plus 1, in order.
const MOST_NAMED: usize = 3;

impl Grouping {
    /// The grouping for nodes 0 to `nodes` − 1.
    #[must_use]
    pub fn new(nodes: u16) -> Self {
        let group = if nodes <= 64 { 1 } else { nodes.div_ceil(63) };
        Self { nodes, group }
    }

    /// Whether every set names exactly the nodes that were put into it.
    #[must_use]
    pub fn exact(self) -> bool {
        self.group == 1
    }

    fn bit(self, node: NodeId) -> u64 {
        let coarse = if self.exact() { 0 } else { COARSE };
        coarse | 1 << ((node.0 / self.group) & 63)
    }
}

/// The nodes that may have a copy of a page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct SharerSet(u64);

impl SharerSet {
    /// No node.
    pub const EMPTY: Self = Self(0);

    /// The set of `node`.
    #[must_use]
    pub fn of(node: NodeId, grouping: Grouping) -> Self {
        Self::EMPTY.with(node, grouping)
    }

    /// Whether no node is named.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The set with `node` added.
    #[must_use]
    pub fn with(self, node: NodeId, grouping: Grouping) -> Self {
        if self.has_bits(grouping) {
            return Self(self.0 | grouping.bit(node));
        }
        if self.contains(node, grouping) {
            return self;
        }
        let all = || self.named().chain([node]);
        if all().count() > MOST_NAMED {
            return Self(all().fold(0, |bits, node| bits | grouping.bit(node)));
        }
        let before = self.named().filter(|&other| other < node);
        let after = self.named().filter(|&other| other > node);
        Self::naming(before.chain([node]).chain(after))
    }

    /// The set with `node` removed, if that takes out no other.
    #[must_use]
    pub fn without(self, node: NodeId, grouping: Grouping) -> Self {
        if grouping.exact() {
            Self(self.0 & !grouping.bit(node))
        } else if self.has_bits(grouping) {
            self
        } else {
            Self::naming(self.named().filter(|&other| other != node))
        }
    }

    /// Those in either.
    #[must_use]
    pub fn union(self, other: Self, grouping: Grouping) -> Self {
        match (self.has_bits(grouping), other.has_bits(grouping)) {
            (true, true) => Self(self.0 | other.0),
            (false, true) => other.union(self, grouping),
            (_, false) => other
                .named()
                .fold(self, |set, node| set.with(node, grouping)),
        }
    }

    /// Whether `node` may be in it.
    #[must_use]
    pub fn contains(self, node: NodeId, grouping: Grouping) -> bool {
        if self.has_bits(grouping) {
            let bit = grouping.bit(node);
            self.0 & bit == bit
        } else {
            self.named().any(|named| named == node)
        }
    }

    /// All nodes it names, in order.
    pub fn iter(self, grouping: Grouping) -> impl Iterator<Item = NodeId> {
        (0..grouping.nodes)
            .map(NodeId)
            .filter(move |&node| self.contains(node, grouping))
    }

    /// Whether it has bits for nodes or groups; else it names nodes one by one.
    fn has_bits(self, grouping: Grouping) -> bool {
        grouping.exact() || self.0 & COARSE != 0
    }

    /// The nodes that are named one by one.
    fn named(self) -> impl Iterator<Item = NodeId> {
        let field = move |place: usize| (self.0 >> (16 * place)) as u16;
        let nodes = (0..MOST_NAMED).map(field);
        nodes.filter_map(|number| number.checked_sub(1).map(NodeId))
    }

    /// Names these one by one; they must be in order, and not too many.
    fn naming(nodes: impl Iterator<Item = NodeId>) -> Self {
        let fields = nodes.zip(0_u32..);
        let set = fields.fold(0, |set, (node, place)| {
            set | u64::from(node.0 + 1) << (16 * place)
        });
        Self(set)
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
    fn of_a_thousand_nodes_three_are_named_exactly() {
        let grouping = Grouping::new(1000);
        let nodes = [NodeId(999), NodeId(0), NodeId(15)];
        let set = nodes
            .iter()
            .fold(SharerSet::EMPTY, |set, &node| set.with(node, grouping));
        let ordered = [NodeId(0), NodeId(15), NodeId(999)];
        assert!(set.iter(grouping).eq(ordered));
        let other = SharerSet::of(NodeId(15), grouping).with(NodeId(0), grouping);
        assert_eq!(other.with(NodeId(999), grouping), set);
        assert_eq!(set.union(other, grouping), set);
        assert_eq!(set.without(NodeId(999), grouping), other);
        assert_eq!(set.without(NodeId(1), grouping), set);
        let none = other
            .without(NodeId(0), grouping)
            .without(NodeId(15), grouping);
        assert!(none.is_empty());
    }

    #[test]
    fn of_a_thousand_nodes_more_are_named_by_group() {
        let grouping = Grouping::new(1000);
        for first in 0..997 {
            let nodes = [first, first + 1, first + 2, (first + 500) % 1000].map(NodeId);
            let with = |set: SharerSet, &node: &NodeId| set.with(node, grouping);
            let set = nodes.iter().fold(SharerSet::EMPTY, with);
            let named = set.iter(grouping).count();
            assert!((4..=48).contains(&named), "from {first}: {named}");
            let halves = [&nodes[..2], &nodes[2..]];
            let [one, other] = halves.map(|half| half.iter().fold(SharerSet::EMPTY, with));
            assert_eq!(one.union(other, grouping), set);
            for node in nodes {
                assert!(set.contains(node, grouping));
                assert_eq!(set.without(node, grouping), set);
                assert_eq!(set.union(SharerSet::of(node, grouping), grouping), set);
                assert_eq!(SharerSet::of(node, grouping).union(set, grouping), set);
            }
        }
    }
}
