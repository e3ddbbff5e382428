//! Free units: which of the range belong to no zone and no run of pages.
//!
//! Free units that follow each other are one *run*, known by its first and last unit. Runs
//! are in lists by their length; units that were never used are behind a mark that only
//! rises. All this is under one lock, which is held for a few dozen instructions, once
//! for every zone or run of pages.

use crate::heap::Core;
use crate::remote::NONE;
use crate::unit::Unit;

/// Runs shorter than this have a list for each length.
const EXACT: u32 = 32;
/// Units are given back so often in an epoch.
const EPOCH: u32 = 1024;
/// Lists: for each exact length, then for each doubling.
const LISTS: usize = 60;

/// The free units.
#[derive(Debug)]
pub struct Range {
    /// The first run of each list.
    lists: [u32; LISTS],
    /// Which lists are not empty.
    filled: u64,
    /// Units from here on were never used.
    pub used: u32,
    /// Pages of free units that are committed.
    pub idle_pages: usize,
    /// The least that these were since the epoch began: what was not needed in it.
    least_idle: usize,
    /// How often units were given back in this epoch.
    gives: u32,
}

impl Range {
    /// Nothing was ever used.
    pub const fn new() -> Self {
        Self {
            lists: [NONE; LISTS],
            filled: 0,
            used: 0,
            idle_pages: 0,
            least_idle: 0,
            gives: 0,
        }
    }

    /// Takes `count` units that follow each other, the address of the first a
    /// multiple of `align` units. None if there are none, or no memory for their bookkeeping.
    pub fn take<C: Core>(&mut self, core: &C, count: u32, align: u32) -> Option<u32> {
        let wanted = count.checked_add(align - 1)?;
        let found = match self.find(core, wanted) {
            Some(first) => first,
            None => self.extend(core, wanted)?,
        };
        let length = core.unit(found).run.get();
        self.remove(core, found);
        let before = (core.base_unit() + found as usize) % align as usize;
        let first = match before {
            0 => found,
            _ => found + align - before as u32,
        };
        if first > found {
            self.insert(core, found, first - found);
        }
        let behind = found + length - (first + count);
        if behind > 0 {
            self.insert(core, first + count, behind);
        }
        self.take_pages(core, first, count);
        Some(first)
    }

    /// Takes the `count` units from `first` on, if they are free: those behind a
    /// run of pages that grows.
    pub fn take_at<C: Core>(&mut self, core: &C, first: u32, count: u32) -> bool {
        if first >= self.used {
            // What follows was never used; `extend` starts there.
            if first > self.used || self.extend(core, count).is_none() {
                return false;
            }
        }
        let length = core.unit(first).run.get();
        // The last unit of a run of several knows its length as well; but what is before
        // `first` is not free.
        if length < count {
            return false;
        }
        self.remove(core, first);
        if length > count {
            self.insert(core, first + count, length - count);
        }
        self.take_pages(core, first, count);
        true
    }

    fn take_pages<C: Core>(&mut self, core: &C, first: u32, count: u32) {
        self.idle_pages -= pages(core, first, count);
        self.least_idle = self.least_idle.min(self.idle_pages);
    }

    /// How many of the committed pages of free units are to stay so, now that units were given
    /// back: no more than `most`, and at the end of an epoch none of those that were free all
    /// the time, but for `least`. So pages that come and go stay, and pages that a program has
    /// no more use for do not.
    pub fn kept(&mut self, least: usize, most: usize) -> usize {
        let mut kept = most;
        self.gives += 1;
        if self.gives == EPOCH {
            let unused = self.least_idle.saturating_sub(least);
            kept = kept.min(self.idle_pages - unused.min(self.idle_pages));
            self.gives = 0;
            self.least_idle = self.idle_pages.min(kept);
        }
        kept
    }

    /// Takes back `count` units from `first` on.
    pub fn give<C: Core>(&mut self, core: &C, first: u32, count: u32) {
        self.idle_pages += pages(core, first, count);
        let (mut first, mut count) = (first, count);
        let before = first
            .checked_sub(1)
            .map_or(0, |unit| core.unit(unit).run.get());
        if before > 0 {
            self.remove(core, first - before);
            first -= before;
            count += before;
        }
        let behind = first + count;
        if behind < self.used {
            let length = core.unit(behind).run.get();
            if length > 0 {
                self.remove(core, behind);
                count += length;
            }
        }
        self.insert(core, first, count);
    }

    /// Takes runs with committed pages out of the lists, until there are no more than `most`
    /// such pages or as many runs as fit, for the caller to decommit and to give back. How many.
    pub fn take_idle<C: Core>(&mut self, core: &C, into: &mut [(u32, u32)], most: usize) -> usize {
        let mut found = 0;
        // Long runs first: what comes and goes is short, and a call for many pages is cheap.
        for list in (0..LISTS).rev() {
            let mut first = self.lists[list];
            while first != NONE && found < into.len() && self.idle_pages > most {
                let unit = core.unit(first);
                let (next, length) = (unit.next.get(), unit.run.get());
                let committed = pages(core, first, length);
                if committed > 0 {
                    self.remove(core, first);
                    self.idle_pages -= committed;
                    into[found] = (first, length);
                    found += 1;
                }
                first = next;
            }
        }
        found
    }

    /// The first unit of a run of at least `count` units.
    fn find<C: Core>(&self, core: &C, count: u32) -> Option<u32> {
        let list = list_of(count);
        if count >= EXACT {
            // Runs of this list can be shorter.
            let mut first = self.lists[list];
            while first != NONE {
                let unit = core.unit(first);
                if unit.run.get() >= count {
                    return Some(first);
                }
                first = unit.next.get();
            }
        }
        let skipped = if count >= EXACT { list + 1 } else { list };
        let filled = self.filled & (u64::MAX << skipped);
        (filled != 0).then(|| self.lists[filled.trailing_zeros() as usize])
    }

    /// Puts never-used units, and the free ones before them, into a run of `count`.
    fn extend<C: Core>(&mut self, core: &C, count: u32) -> Option<u32> {
        let end = self.used;
        let before = end
            .checked_sub(1)
            .map_or(0, |unit| core.unit(unit).run.get());
        let fresh = count.checked_sub(before)?;
        let used = end
            .checked_add(fresh)
            .filter(|&used| used <= core.unit_count())?;
        if !core.commit_units(used) {
            return None;
        }
        if before > 0 {
            self.remove(core, end - before);
        }
        self.used = used;
        self.insert(core, end - before, count);
        Some(end - before)
    }

    fn insert<C: Core>(&mut self, core: &C, first: u32, count: u32) {
        let list = list_of(count);
        let unit = core.unit(first);
        unit.run.set(count);
        core.unit(first + count - 1).run.set(count);
        let next = self.lists[list];
        unit.next.set(next);
        unit.previous.set(NONE);
        if next != NONE {
            core.unit(next).previous.set(first);
        }
        self.lists[list] = first;
        self.filled |= 1 << list;
    }

    fn remove<C: Core>(&mut self, core: &C, first: u32) {
        let unit: &Unit = core.unit(first);
        let count = unit.run.replace(0);
        core.unit(first + count - 1).run.set(0);
        let (next, previous) = (unit.next.get(), unit.previous.get());
        if next != NONE {
            core.unit(next).previous.set(previous);
        }
        if previous != NONE {
            core.unit(previous).next.set(next);
            return;
        }
        let list = list_of(count);
        self.lists[list] = next;
        if next == NONE {
            self.filled &= !(1 << list);
        }
    }
}

const fn list_of(count: u32) -> usize {
    if count < EXACT {
        count as usize
    } else {
        (EXACT + count.ilog2() - EXACT.ilog2()) as usize
    }
}

/// Committed pages of these units.
fn pages<C: Core>(core: &C, first: u32, count: u32) -> usize {
    (first..first + count)
        .map(|unit| usize::from(core.committed(unit).get()))
        .sum()
}
