//! Units and pages that come and go.

use core::ops::Range as Offsets;
use core::sync::atomic::{AtomicUsize, Ordering};

use super::{Core, Heap};
use crate::range::Range;
use crate::source::{Environment, PAGE, PageSource};
use crate::unit::{PAGES, Tag, UNIT};

/// Free pages that stay committed though they were not used for a while.
const IDLE_LEAST: usize = 512;
/// More free pages stay committed only where they are no more than one part in
/// [`IDLE_PART`] of all that are.
const IDLE_MOST: usize = 4096;
const IDLE_PART: usize = 4;
/// Runs that are decommitted before the lock is taken again.
const BATCH: usize = 32;

/// A number of pages and the most that it has been.
#[derive(Debug, Default)]
pub(crate) struct Peak {
    now: AtomicUsize,
    most: AtomicUsize,
}

impl Peak {
    pub fn add(&self, count: usize) {
        let now = self.now.fetch_add(count, Ordering::Relaxed) + count;
        if now > self.most.load(Ordering::Relaxed) {
            self.most.fetch_max(now, Ordering::Relaxed);
        }
    }

    pub fn subtract(&self, count: usize) {
        self.now.fetch_sub(count, Ordering::Relaxed);
    }

    pub fn now(&self) -> usize {
        self.now.load(Ordering::Relaxed)
    }

    pub fn most(&self) -> usize {
        self.most.load(Ordering::Relaxed)
    }
}

impl<E: Environment> Heap<E> {
    /// Calls `call` with the free units, under their lock. What there is of them then is for
    /// everyone to read.
    fn with_range<R>(&self, call: impl FnOnce(&mut Range) -> R) -> R {
        let mut range = self.range.lock();
        let result = call(&mut range);
        self.idle_pages.store(range.idle_pages, Ordering::Relaxed);
        self.reached.store(range.used, Ordering::Relaxed);
        result
    }

    /// Takes `count` units, the address of the first a multiple of `align` units.
    pub(crate) fn take_units(&self, count: u32, align: u32) -> Option<u32> {
        self.with_range(|range| range.take(self, count, align))
    }

    /// Takes the `count` units from `first` on, if they are free.
    pub(crate) fn take_units_at(&self, first: u32, count: u32) -> bool {
        self.with_range(|range| range.take_at(self, first, count))
    }

    /// Gives units back. Decommits free ones if enough of their pages are committed.
    pub(crate) fn give_units(&self, first: u32, count: u32) {
        let most = IDLE_MOST.max(self.committed.now() / IDLE_PART);
        let kept = self.with_range(|range| {
            range.give(self, first, count);
            let kept = range.kept(IDLE_LEAST, most);
            (range.idle_pages > kept).then_some(kept)
        });
        if let Some(kept) = kept {
            self.decommit_idle(kept);
        }
    }

    /// Decommits free units until no more than `most` of their pages are committed. How
    /// many pages were given back.
    pub(crate) fn decommit_idle(&self, most: usize) -> usize {
        if !self.environment.chunks().may_decommit() {
            return 0;
        }
        let mut runs = [(0, 0); BATCH];
        let mut given = 0;
        loop {
            let found = self.with_range(|range| match range.idle_pages > most {
                true => range.take_idle(self, &mut runs, most),
                false => 0,
            });
            if found == 0 {
                return given;
            }
            for &(first, count) in &runs[..found] {
                given += self.decommit_units(first, count);
                self.with_range(|range| range.give(self, first, count));
            }
        }
    }

    /// Gives back the pages of units that the caller has.
    pub(crate) fn decommit_units(&self, first: u32, count: u32) -> usize {
        let mut given = 0;
        let mut unit = first;
        let end = first + count;
        while unit < end {
            // As many as follow each other in one call.
            let start = unit;
            let mut pages = 0;
            while unit < end {
                let committed = usize::from(self.committed(unit).replace(0));
                pages += committed;
                unit += 1;
                if committed < PAGES {
                    break;
                }
            }
            if pages > 0 {
                let start = start as usize * UNIT;
                let range = start..unit as usize * UNIT;
                self.environment.chunks().decommit(range);
                given += pages;
            }
        }
        self.committed.subtract(given);
        given
    }

    /// Commits pages, which are not so, of units that the caller has.
    pub(crate) fn commit_chunks(&self, range: Offsets<usize>) -> bool {
        let pages = range.len() / PAGE;
        let chunks = self.environment.chunks();
        if !chunks.commit(range.clone()) {
            chunks.decommit(range);
            return false;
        }
        self.committed.add(pages);
        true
    }
}

/// Not in use: what a run's or zone's units are afterwards.
pub(crate) fn clear<E: Environment>(heap: &Heap<E>, first: u32, count: u32) {
    for unit in first..first + count {
        heap.unit(unit).set_tag(Tag::NOTHING);
    }
}
