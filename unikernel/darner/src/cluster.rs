//! The memory that the nodes share: what becomes of it, and asking for it ahead.

use std::fmt;
use std::ops::Index;

use darner_abi::{ClusterTable, NodeStatistics};

use crate::kernel;
use crate::node::{Node, nodes};

/// Asks for memory that is about to be read, so that it is on its way when it is touched. Does not wait for it.
///
/// It is a hint: of what is more than 4 MiB, only the beginning is asked for, and other nodes may take
/// it away again before it is touched. Where there is no cluster it does nothing.
///
/// ```
/// let numbers: darner::PageVec<u64> = (0..100_000).collect();
/// darner::prefetch(&numbers);
/// // … something else …
/// assert_eq!(numbers.iter().sum::<u64>(), 4_999_950_000);
/// ```
pub fn prefetch<T>(what: &[T]) {
    kernel::prefetch(what, false);
}

/// As [`prefetch`], for memory that is about to be written: other nodes lose their copies.
pub fn prefetch_mut<T>(what: &mut [T]) {
    kernel::prefetch(what, true);
}

/// What the nodes have counted of the memory that they share; shown as a table.
///
/// The numbers of a node are of one moment, more or less; those of different nodes of different ones.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    nodes: Vec<NodeStatistics>,
}

/// Asks all nodes what they have counted. That takes some messages (calls, not messages about pages).
/// Where there is no cluster, all is 0.
pub fn statistics() -> Statistics {
    Statistics {
        nodes: (0..nodes().next_back().map_or(0, |last| last.number() + 1))
            .map(|number| statistics_of(Node::of(number as u16)))
            .collect(),
    }
}

/// As [`statistics`], of one node.
pub fn statistics_of(node: Node) -> NodeStatistics {
    kernel::count(node.raw())
}

impl Statistics {
    /// What each node has counted, by their numbers. Of one that is gone it is nothing.
    pub fn nodes(&self) -> &[NodeStatistics] {
        &self.nodes
    }

    /// All nodes' numbers together.
    pub fn all(&self) -> NodeStatistics {
        let mut all = NodeStatistics::default();
        self.nodes.iter().for_each(|node| all.add(node));
        all
    }

    /// What was counted since `before`; what is of a moment is of this one.
    pub fn since(&self, before: &Self) -> Self {
        let nothing = NodeStatistics::default();
        let nodes = self.nodes.iter().enumerate();
        let since = nodes.map(|(at, node)| node.since(before.nodes.get(at).unwrap_or(&nothing)));
        Self {
            nodes: since.collect(),
        }
    }
}

impl Index<Node> for Statistics {
    type Output = NodeStatistics;

    fn index(&self, node: Node) -> &NodeStatistics {
        &self.nodes[node.number()]
    }
}

impl fmt::Display for Statistics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        ClusterTable::new(&self.nodes).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::{prefetch, prefetch_mut, statistics};
    use crate::node::{here, nodes};

    #[test]
    fn what_is_asked_for_ahead_stays_as_it_is() {
        let mut bytes = vec![7_u8; 100_000];
        prefetch(&bytes);
        prefetch_mut(&mut bytes[1..50_001]);
        prefetch::<u64>(&[]);
        assert!(bytes.iter().all(|&byte| byte == 7));
    }

    #[test]
    fn there_are_numbers_for_each_node() {
        let before = statistics();
        let since = statistics().since(&before);
        assert_eq!(since.nodes().len(), nodes().len());
        assert_eq!(since[here()].faults(), 0);
        assert!(since.to_string().contains("n0"));
        assert_eq!(since.all(), since.nodes()[0]);
    }
}
