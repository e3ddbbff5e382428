//! Which node is a page's home.

use crate::ids::{NodeId, PageIndex};
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

/// The homes of the slices of cluster memory, the same on all nodes.
///
/// A slice begins where it says, and ends where the next one begins.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Slices(Vec<(PageIndex, NodeId)>);

impl Slices {
    /// The slices that begin at these pages, the first of them at page 0.
    ///
    /// # Errors
    ///
    /// The slices themselves, if there are none, the first does not begin at page 0, or they are
    /// not in order.
    pub fn new(slices: Vec<(PageIndex, NodeId)>) -> Result<Self, Vec<(PageIndex, NodeId)>> {
        let from_zero = slices
            .first()
            .is_some_and(|&(start, _)| start == PageIndex(0));
        if from_zero && slices.is_sorted_by(|(a, _), (b, _)| a < b) {
            Ok(Self(slices))
        } else {
            Err(slices)
        }
    }

    /// The home of the slice that `page` is in.
    #[must_use]
    pub fn home(&self, page: PageIndex) -> NodeId {
        let after = self.0.partition_point(|&(start, _)| start <= page);
        self.0[after - 1].1
    }
}

impl Slices {
    /// The ranges (first page, number of pages) whose home `node` is now and was not `before`.
    pub(crate) fn gained(&self, node: NodeId, before: &Self) -> Vec<(PageIndex, u64)> {
        let mut starts: Vec<PageIndex> = self
            .0
            .iter()
            .chain(&before.0)
            .map(|&(start, _)| start)
            .collect();
        starts.sort_unstable();
        starts.dedup();
        let ends = starts.iter().copied().skip(1).chain([PageIndex(u64::MAX)]);
        let ranges = starts.iter().copied().zip(ends);
        ranges
            .filter(|&(start, _)| self.home(start) == node && before.home(start) != node)
            .map(|(start, end)| (start, end.0 - start.0))
            .collect()
    }
}

/// What an agent knows of where homes are: the slices, and pages that have moved.
///
/// It may be out of date: a node that is asked in error names another.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct HomeMap {
    slices: Slices,
    moved: BTreeMap<PageIndex, NodeId>,
    capacity: usize,
}

impl HomeMap {
    pub(crate) fn new(slices: Slices, capacity: usize) -> Self {
        Self {
            slices,
            moved: BTreeMap::new(),
            capacity,
        }
    }

    pub(crate) fn home(&self, page: PageIndex) -> NodeId {
        self.moved
            .get(&page)
            .copied()
            .unwrap_or_else(|| self.slices.home(page))
    }

    /// Notes where a page has moved to, and forgets some other page if the table is full.
    pub(crate) fn learn(&mut self, page: PageIndex, home: NodeId) {
        self.moved.remove(&page);
        if self.slices.home(page) == home || self.capacity == 0 {
            return;
        }
        if self.moved.len() >= self.capacity {
            self.moved.pop_first();
        }
        self.moved.insert(page, home);
    }

    pub(crate) fn reset(&mut self, slices: Slices) {
        self.slices = slices;
        self.moved.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    #[test]
    fn slices_begin_where_they_say() {
        let slices =
            Slices::new(vec![(PageIndex(0), NodeId(0)), (PageIndex(8), NodeId(1))]).unwrap();
        assert_eq!(slices.home(PageIndex(7)), NodeId(0));
        assert_eq!(slices.home(PageIndex(8)), NodeId(1));
        assert!(Slices::new(vec![(PageIndex(1), NodeId(0))]).is_err());
        assert!(Slices::new(vec![(PageIndex(0), NodeId(0)), (PageIndex(0), NodeId(1))]).is_err());
    }

    #[test]
    fn a_full_map_falls_back_to_the_slices() {
        let slices = Slices::new(vec![(PageIndex(0), NodeId(0))]).unwrap();
        let mut map = HomeMap::new(slices, 1);
        map.learn(PageIndex(3), NodeId(2));
        map.learn(PageIndex(4), NodeId(2));
        assert_eq!(map.home(PageIndex(3)), NodeId(0));
        assert_eq!(map.home(PageIndex(4)), NodeId(2));
    }
}
