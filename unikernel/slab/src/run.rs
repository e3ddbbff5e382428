//! Runs of pages: what is too large for a class.
//!
//! They are whole units, of which only the pages that are needed are committed. They
//! belong to nobody: any owner frees them straight to the free units.

use core::alloc::Layout;
use core::ptr::NonNull;
use core::sync::atomic::Ordering;

use crate::heap::{Core, Heap};
use crate::source::{Environment, Misuse, PAGE, PageSource};
use crate::unit::{PAGES, Tag, UNIT};

/// Pages beyond the end of a run that shrank are decommitted when they are so many.
const SPARE: usize = PAGES / 2;

impl<E: Environment> Heap<E> {
    /// A run for a layout that no class is large enough for.
    pub(crate) fn allocate_run(&self, layout: Layout, zeroed: bool) -> Option<NonNull<u8>> {
        let pages = pages_of(layout);
        let units = units_of(pages)?;
        let align = u32::try_from(layout.align().div_ceil(UNIT)).ok()?;
        let first = self.take_units(units, align)?;
        if zeroed && <E::Chunks as PageSource>::ZEROED {
            // The others will be zero.
            self.zero_committed(first, pages);
        }
        if !self.commit_run(first, 0, pages) {
            self.give_units(first, units);
            return None;
        }
        let unit = self.unit(first);
        unit.pages.store(pages as u32, Ordering::Relaxed);
        unit.set_tag(Tag::RUN);
        self.run_pages.fetch_add(pages, Ordering::Relaxed);
        let memory = self.address(first);
        if zeroed && !<E::Chunks as PageSource>::ZEROED {
            // SAFETY: it is committed, and the caller's.
            unsafe { memory.write_bytes(0, pages * PAGE) };
        }
        Some(memory)
    }

    /// Frees a run, if there is one of this size.
    pub(crate) fn free_run(&self, memory: NonNull<u8>, layout: Layout) {
        let pages = pages_of(layout);
        let checked =
            self.run_at(memory, pages)
                .and_then(|first| match self.unit(first).take_run() {
                    true => Ok(first),
                    false => Err(Misuse::Double),
                });
        match checked {
            Ok(first) => {
                self.run_pages.fetch_sub(pages, Ordering::Relaxed);
                self.give_units(first, pages.div_ceil(PAGES) as u32);
            }
            Err(misuse) => {
                let address = memory.addr().get();
                match self.environment.is_elsewhere(address) {
                    true => self.environment.free_elsewhere(address, layout),
                    false => self.refuse(misuse, address),
                }
            }
        }
    }

    /// Changes the size of a run where it is; whether that could be.
    pub(crate) fn resize_run(&self, memory: NonNull<u8>, old: Layout, new: Layout) -> bool {
        let (before, after) = (pages_of(old), pages_of(new));
        let (Ok(first), Some(units)) = (self.run_at(memory, before), units_of(after)) else {
            return false;
        };
        let had = before.div_ceil(PAGES) as u32;
        if units > had && !self.take_units_at(first + had, units - had) {
            return false;
        }
        if !self.commit_run(first, before, after) {
            if units > had {
                self.give_units(first + had, units - had);
            }
            return false;
        }
        self.unit(first)
            .pages
            .store(after as u32, Ordering::Relaxed);
        if after > before {
            self.run_pages.fetch_add(after - before, Ordering::Relaxed);
            return true;
        }
        self.run_pages.fetch_sub(before - after, Ordering::Relaxed);
        let last = first + units - 1;
        let committed = self.committed(last);
        let needed = after - (units as usize - 1) * PAGES;
        let spare = usize::from(committed.get()) - needed;
        let chunks = self.environment.chunks();
        if spare >= SPARE && chunks.may_decommit() {
            committed.set(needed as u8);
            let start = last as usize * UNIT + needed * PAGE;
            chunks.decommit(start..start + spare * PAGE);
            self.committed.subtract(spare);
        }
        if units < had {
            self.give_units(first + units, had - units);
        }
        true
    }

    /// The first unit of the run at an address, if it has so many pages.
    fn run_at(&self, memory: NonNull<u8>, pages: usize) -> Result<u32, Misuse> {
        let (unit, offset) = self.unit_at(memory.addr().get()).ok_or(Misuse::Wild)?;
        match unit.tag() {
            Tag::RUN if offset % UNIT != 0 => Err(Misuse::NotTheStart),
            Tag::RUN if unit.pages.load(Ordering::Relaxed) as usize == pages => {
                Ok((offset / UNIT) as u32)
            }
            Tag::NOTHING => Err(Misuse::Wild),
            _ => Err(Misuse::WrongSize),
        }
    }

    /// Commits the pages of a run from page `from` to page `to`, where they are not so.
    fn commit_run(&self, first: u32, from: usize, to: usize) -> bool {
        let mut page = from;
        while page < to {
            // The next that is not committed, and how many such follow each other.
            let unit = first + (page / PAGES) as u32;
            let there = usize::from(self.committed(unit).get());
            let start = page.max(page / PAGES * PAGES + there);
            let mut end = to.min((page / PAGES + 1) * PAGES);
            if start >= end {
                page = end;
                continue;
            }
            while end < to && self.committed(first + (end / PAGES) as u32).get() == 0 {
                end = to.min(end + PAGES);
            }
            let base = first as usize * UNIT;
            if !self.commit_chunks(base + start * PAGE..base + end * PAGE) {
                return false;
            }
            for unit in start / PAGES..end.div_ceil(PAGES) {
                let pages = PAGES.min(end - unit * PAGES);
                self.committed(first + unit as u32).set(pages as u8);
            }
            page = end;
        }
        true
    }

    /// Zeroes those of the first `pages` pages that were used before.
    fn zero_committed(&self, first: u32, pages: usize) {
        for unit in 0..pages.div_ceil(PAGES) {
            let used = usize::from(self.committed(first + unit as u32).get());
            let used = used.min(pages - unit * PAGES);
            // SAFETY: these pages are committed, and the caller's.
            unsafe {
                self.address(first + unit as u32)
                    .write_bytes(0, used * PAGE)
            };
        }
    }

    /// How many pages from the start of these units are committed without a gap; those
    /// behind one are decommitted, or, where that may not be, taken as if they were: they
    /// will be committed once more.
    pub(crate) fn contiguous(&self, first: u32, units: u32) -> usize {
        let may_decommit = self.environment.chunks().may_decommit();
        let mut pages = 0;
        for unit in 0..units {
            let committed = self.committed(first + unit);
            if pages == unit as usize * PAGES {
                pages += usize::from(committed.get());
            } else if committed.get() > 0 && may_decommit {
                self.decommit_units(first + unit, 1);
            } else {
                self.committed.subtract(usize::from(committed.replace(0)));
            }
        }
        pages
    }

    /// Where a unit starts.
    fn address(&self, unit: u32) -> NonNull<u8> {
        // SAFETY: the unit is within the range.
        unsafe { self.base.add(unit as usize * UNIT) }
    }

    /// Says that memory was freed that must not be, and counts it.
    #[cold]
    pub(crate) fn refuse(&self, misuse: Misuse, address: usize) {
        self.refused.fetch_add(1, Ordering::Relaxed);
        self.environment.misuse(misuse, address);
    }
}

fn pages_of(layout: Layout) -> usize {
    layout.size().div_ceil(PAGE).max(1)
}

fn units_of(pages: usize) -> Option<u32> {
    u32::try_from(pages.div_ceil(PAGES)).ok()
}
