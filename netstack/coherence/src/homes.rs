//! Which node is a page's home.

use crate::ids::{NodeId, PageIndex};
use crate::pages::PageSet;
use alloc::collections::{BTreeMap, BTreeSet};
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
    /// The pages whose home a node is.
    pub(crate) fn of(&self, node: NodeId) -> PageSet {
        let ends = self.0.iter().map(|&(start, _)| start).skip(1);
        let ends = ends.chain([PageIndex(u64::MAX)]);
        let mut pages = PageSet::default();
        for (&(start, home), end) in self.0.iter().zip(ends) {
            if home == node {
                pages.insert(start, end.0 - start.0);
            }
        }
        pages
    }

    /// The ranges of these pages, none of which is in two slices.
    pub(crate) fn split(&self, pages: &PageSet) -> Vec<(PageIndex, u64)> {
        let ends = self.0.iter().map(|&(start, _)| start).skip(1);
        let ends = ends.chain([PageIndex(u64::MAX)]);
        let slices = self.0.iter().zip(ends);
        slices
            .flat_map(|(&(start, _), end)| pages.within(start, end.0 - start.0))
            .collect()
    }

    /// Whether a node is the home of one of them.
    pub(crate) fn has(&self, node: NodeId) -> bool {
        self.0.iter().any(|&(_, home)| home == node)
    }

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
/// Of pages homed elsewhere it may be out of date: a node that is asked in error names another.
/// Which pages are homed at its own node it knows exactly, for the bytes of those are the home's.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct HomeMap {
    me: NodeId,
    slices: Slices,
    /// Pages of this node's slices that have left, and pages of others' that have come.
    exceptions: BTreeSet<PageIndex>,
    moved: BTreeMap<PageIndex, NodeId>,
    capacity: usize,
}

impl HomeMap {
    /// Remembers where `capacity` pages have moved to, and at least one: the one that is asked for.
    pub(crate) fn new(me: NodeId, slices: Slices, capacity: usize) -> Self {
        Self {
            me,
            slices,
            exceptions: BTreeSet::new(),
            moved: BTreeMap::new(),
            capacity: capacity.max(1),
        }
    }

    /// Whether the page's home is at this node.
    pub(crate) fn is_here(&self, page: PageIndex) -> bool {
        (self.slices.home(page) == self.me) != self.exceptions.contains(&page)
    }

    /// Whom to ask about a page.
    pub(crate) fn home(&self, page: PageIndex) -> NodeId {
        if self.is_here(page) {
            return self.me;
        }
        self.moved
            .get(&page)
            .copied()
            .unwrap_or_else(|| self.slices.home(page))
    }

    /// Notes where a page has moved to, and forgets some other page if the table is full.
    pub(crate) fn learn(&mut self, page: PageIndex, home: NodeId) {
        self.moved.remove(&page);
        if self.slices.home(page) == home {
            return;
        }
        if self.moved.len() >= self.capacity {
            self.moved.pop_first();
        }
        self.moved.insert(page, home);
    }

    /// The page's home is at this node now.
    pub(crate) fn came(&mut self, page: PageIndex) {
        if !self.is_here(page) {
            self.toggle(page);
        }
        self.moved.remove(&page);
    }

    /// The page's home is not at this node any more, but there.
    pub(crate) fn left(&mut self, page: PageIndex, to: NodeId) {
        if self.is_here(page) {
            self.toggle(page);
        }
        self.learn(page, to);
    }

    fn toggle(&mut self, page: PageIndex) {
        if !self.exceptions.remove(&page) {
            self.exceptions.insert(page);
        }
    }

    pub(crate) fn reset(&mut self, slices: Slices) {
        self.slices = slices;
        self.exceptions.clear();
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
        let mut map = HomeMap::new(NodeId(1), slices, 1);
        map.learn(PageIndex(3), NodeId(2));
        map.learn(PageIndex(4), NodeId(2));
        assert_eq!(map.home(PageIndex(3)), NodeId(0));
        assert_eq!(map.home(PageIndex(4)), NodeId(2));
    }

    #[test]
    fn a_map_without_room_still_knows_the_page_that_is_asked_for() {
        let slices = Slices::new(vec![(PageIndex(0), NodeId(0))]).unwrap();
        let mut map = HomeMap::new(NodeId(1), slices, 0);
        map.learn(PageIndex(3), NodeId(2));
        assert_eq!(map.home(PageIndex(3)), NodeId(2));
    }

    #[test]
    fn which_pages_are_homed_here_is_never_forgotten() {
        let slices =
            Slices::new(vec![(PageIndex(0), NodeId(0)), (PageIndex(8), NodeId(1))]).unwrap();
        let mut map = HomeMap::new(NodeId(1), slices, 1);
        map.came(PageIndex(1));
        map.left(PageIndex(9), NodeId(0));
        map.left(PageIndex(8), NodeId(0));
        map.learn(PageIndex(1), NodeId(2));
        assert!(map.is_here(PageIndex(1)) && map.is_here(PageIndex(10)));
        assert!(!map.is_here(PageIndex(8)) && !map.is_here(PageIndex(9)));
        assert_eq!(map.home(PageIndex(1)), NodeId(1));
        map.left(PageIndex(1), NodeId(2));
        map.came(PageIndex(9));
        assert!(!map.is_here(PageIndex(1)) && map.is_here(PageIndex(9)));
    }
}
