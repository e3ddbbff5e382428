//! Sets of pages, as ranges: neighbours are one entry.

use crate::ids::PageIndex;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

/// A set of pages.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct PageSet(
    /// Where each range begins, and the page behind its last one. There is a gap between any two.
    BTreeMap<PageIndex, PageIndex>,
);

impl PageSet {
    /// Adds pages.
    pub(crate) fn insert(&mut self, first: PageIndex, pages: u64) {
        if pages == 0 {
            return;
        }
        let (mut start, mut end) = (first, first.plus(pages));
        if let Some((&before, &before_ends)) = self.0.range(..=first).next_back() {
            if before_ends >= end {
                return;
            }
            if before_ends >= first {
                start = before;
            }
        }
        let touched: Vec<(PageIndex, PageIndex)> = self
            .0
            .range(start..=end)
            .map(|(&start, &end)| (start, end))
            .collect();
        for (touched, ends) in touched {
            self.0.remove(&touched);
            end = end.max(ends);
        }
        self.0.insert(start, end);
    }

    /// Takes pages out.
    pub(crate) fn remove(&mut self, first: PageIndex, pages: u64) {
        let end = first.plus(pages);
        let cut: Vec<(PageIndex, u64)> = self.within(first, pages).collect();
        for (start, count) in cut {
            let Some((&range, &ends)) = self.0.range(..=start).next_back() else {
                continue;
            };
            self.0.remove(&range);
            if range < first {
                self.0.insert(range, first);
            }
            if start.plus(count) == end && ends > end {
                self.0.insert(end, ends);
            }
        }
    }

    /// Whether a page is in it.
    pub(crate) fn contains(&self, page: PageIndex) -> bool {
        self.within(page, 1).next().is_some()
    }

    /// The ranges (first page, number of pages) of its pages that are among these.
    pub(crate) fn within(
        &self,
        first: PageIndex,
        pages: u64,
    ) -> impl Iterator<Item = (PageIndex, u64)> {
        let end = first.plus(pages);
        let before = self.0.range(..first).next_back();
        let ranges = before.into_iter().chain(self.0.range(first..end));
        ranges.filter_map(move |(&start, &ends)| {
            let (start, ends) = (start.max(first), ends.min(end));
            (start < ends).then(|| (start, ends.0 - start.0))
        })
    }

    /// All ranges: first page, number of pages.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (PageIndex, u64)> {
        self.0.iter().map(|(&start, end)| (start, end.0 - start.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeSet;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_has_what_was_put_in_and_not_taken_out(
            changes in prop::collection::vec((any::<bool>(), 0..40_u64, 0..9_u64), 1..40),
            (first, pages) in (0..40_u64, 0..20_u64),
        ) {
            let (mut set, mut truth) = (PageSet::default(), BTreeSet::new());
            for (inserts, first, pages) in changes {
                if inserts {
                    set.insert(PageIndex(first), pages);
                    truth.extend(first..first + pages);
                } else {
                    set.remove(PageIndex(first), pages);
                    truth.retain(|page| !(first..first + pages).contains(page));
                }
                let ranges: Vec<(PageIndex, u64)> = set.iter().collect();
                let has_gaps = |pair: &[(PageIndex, u64)]| pair[0].0.plus(pair[0].1) < pair[1].0;
                prop_assert!(ranges.windows(2).all(has_gaps), "{ranges:?}");
                let has: BTreeSet<u64> = ranges
                    .iter()
                    .flat_map(|&(start, count)| start.0..start.0 + count)
                    .collect();
                prop_assert_eq!(has, truth.clone());
            }
            let among: BTreeSet<u64> = set
                .within(PageIndex(first), pages)
                .flat_map(|(start, count)| start.0..start.0 + count)
                .collect();
            let expected = truth.range(first..first + pages).copied().collect();
            prop_assert_eq!(among, expected);
        }
    }
}
