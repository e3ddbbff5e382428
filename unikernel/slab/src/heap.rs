//! The heap: what all owners share.

use core::cell::Cell;
use core::fmt;
use core::ops::Range as Offsets;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};

use crate::lock::Lock;
use crate::part::Part;
use crate::range::Range;
use crate::remote::Inbox;
use crate::source::{Environment, PAGE, PageSource};
use crate::unit::{PAGES, Tag, UNIT, Unit, Units};

/// Units that the bookkeeping is committed for at a time.
const BOOKED: usize = 64;
/// Free pages that stay committed though they were not used for a while.
const IDLE_LEAST: usize = 512;
/// More free pages stay committed only where they are no more than one part in
/// [`IDLE_PART`] of all that are.
const IDLE_MOST: usize = 4096;
const IDLE_PART: usize = 4;
/// Runs that are decommitted before the lock is taken again.
const BATCH: usize = 32;

/// Why there is no heap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// The range of chunks is shorter than a unit or has too many, or its start is not a
    /// multiple of a unit.
    Range,
    /// There are no owners, or more than 65,535.
    Owners,
    /// The bookkeeping's range is too short: [`bookkeeping_bytes`] says what it needs.
    Bookkeeping,
    /// There is no memory for the first pages of the bookkeeping.
    Memory,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Range => "expected a range of 1 to 2^31 whole units of 64 KiB, aligned to one",
            Self::Owners => "expected 1 to 65535 owners",
            Self::Bookkeeping => "expected more addresses for the bookkeeping",
            Self::Memory => "found no memory for the bookkeeping",
        })
    }
}

impl core::error::Error for Error {}

/// What of an owner others use.
#[repr(C, align(128))]
pub(crate) struct Shared {
    pub inbox: Inbox,
    /// Whether somebody has the owner's part.
    claimed: AtomicBool,
    /// Whether the owner's part was ever claimed, and so is there.
    exists: AtomicBool,
}

/// What the lists of free units need of the heap.
pub(crate) trait Core {
    /// The bookkeeping of a unit that is or was in use.
    fn unit(&self, unit: u32) -> &Unit;
    /// How many pages of it are committed.
    fn committed(&self, unit: u32) -> &Cell<u8>;
    /// The number that the first unit would have if the units of all addresses had one.
    fn base_unit(&self) -> usize;
    /// How many units there are.
    fn unit_count(&self) -> u32;
    /// Has the bookkeeping of the first `count` units be there.
    fn commit_units(&self, count: u32) -> bool;
}

/// Memory for any number of owners.
///
/// It is shared by all; allocating and freeing goes by an owner's [`Local`](crate::Local).
pub struct Heap<E: Environment> {
    pub(crate) environment: E,
    pub(crate) base: NonNull<u8>,
    units: Units,
    unit_count: u32,
    shared: NonNull<Shared>,
    parts: NonNull<Part<E>>,
    owners: usize,
    layout: Layout,
    /// Units whose bookkeeping is there.
    booked: AtomicU32,
    range: Lock<Range>,
    pub(crate) committed: Peak,
    pub(crate) run_pages: AtomicUsize,
    pub(crate) notifications: AtomicU64,
    pub(crate) refused: AtomicU64,
}

// SAFETY: what the pointers lead to is atomic, or touched by one owner or under the
// range's lock, as the types there say.
unsafe impl<E: Environment + Sync> Sync for Heap<E> {}
// SAFETY: nothing in it belongs to a thread.
unsafe impl<E: Environment + Send> Send for Heap<E> {}

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

/// Where what is in the bookkeeping's range, in bytes from its start.
#[derive(Clone, Copy, Debug)]
struct Layout {
    parts: usize,
    part_bytes: usize,
    committed: usize,
    units: usize,
    end: usize,
}

impl Layout {
    const fn new<E: Environment>(bytes: usize, owners: usize) -> Self {
        let units = bytes / UNIT;
        let part_bytes = size_of::<Part<E>>().next_multiple_of(PAGE);
        let parts = (owners * size_of::<Shared>()).next_multiple_of(PAGE);
        let committed = parts + owners * part_bytes;
        let first_unit = committed + units.next_multiple_of(PAGE);
        Self {
            parts,
            part_bytes,
            committed,
            units: first_unit,
            end: first_unit + (units * size_of::<Unit>()).next_multiple_of(PAGE),
        }
    }
}

/// How many bytes of addresses the bookkeeping of a heap of so many bytes and owners
/// needs. Only what is used of them is committed.
pub const fn bookkeeping_bytes<E: Environment>(chunk_bytes: usize, owners: usize) -> usize {
    Layout::new::<E>(chunk_bytes, owners).end
}

impl<E: Environment> Heap<E> {
    /// A heap for `owners` owners, which are named by their numbers from 0. Commits a
    /// few pages of bookkeeping. It must not be made twice over the same ranges.
    ///
    /// # Errors
    /// When the ranges do not fit, or there is no memory.
    pub fn new(environment: E, owners: usize) -> Result<Self, Error> {
        let (chunks, book) = (environment.chunks(), environment.bookkeeping());
        let (base, first) = (chunks.base(), book.base());
        let units = chunks.length() / UNIT;
        if units == 0 || units > 1 << 31 || !base.addr().get().is_multiple_of(UNIT) {
            return Err(Error::Range);
        }
        if owners == 0 || owners > usize::from(u16::MAX) {
            return Err(Error::Owners);
        }
        let layout = Layout::new::<E>(chunks.length(), owners);
        if book.length() < layout.end || !first.addr().get().is_multiple_of(PAGE) {
            return Err(Error::Bookkeeping);
        }
        // SAFETY: all this is within the range, aligned to pages at least.
        let (shared, parts, committed, first_unit) = unsafe {
            (
                first.cast::<Shared>(),
                first.add(layout.parts).cast(),
                first.add(layout.committed).cast(),
                first.add(layout.units).cast(),
            )
        };
        let heap = Self {
            base,
            units: Units::new(first_unit, committed),
            unit_count: units as u32,
            shared,
            parts,
            owners,
            layout,
            booked: AtomicU32::new(0),
            range: Lock::new(Range::new()),
            committed: Peak::default(),
            run_pages: AtomicUsize::new(0),
            notifications: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            environment,
        };
        if !heap.commit_zeroed(0..layout.parts) {
            return Err(Error::Memory);
        }
        Ok(heap)
    }

    /// How many owners there are.
    pub fn owners(&self) -> usize {
        self.owners
    }

    /// Makes the caller the one who has the part of `owner`; the part is made if need be.
    /// None if somebody has it, or there is no memory for it.
    pub(crate) fn claim_part(&self, owner: usize) -> Option<NonNull<Part<E>>> {
        let shared = self.shared(owner);
        // Most of those that are claimed are seen to be so without a write.
        if shared.claimed.load(Ordering::Relaxed) || shared.claimed.swap(true, Ordering::Acquire) {
            return None;
        }
        let offset = self.layout.parts + owner * self.layout.part_bytes;
        // SAFETY: there is room for all owners' parts, this far from each other.
        let part = unsafe { self.parts.byte_add(owner * self.layout.part_bytes) };
        if !shared.exists.load(Ordering::Relaxed) {
            if !self.commit_zeroed(offset..offset + self.layout.part_bytes) {
                shared.claimed.store(false, Ordering::Release);
                return None;
            }
            // SAFETY: it is committed, and the caller's alone.
            unsafe { Part::make(part, owner as u16) };
            shared.exists.store(true, Ordering::Release);
        }
        Some(part)
    }

    /// Ends a claim.
    pub(crate) fn release_part(&self, owner: u16) {
        self.shared(usize::from(owner))
            .claimed
            .store(false, Ordering::Release);
    }

    /// The part of `owner`, for reading its atomics, if it was ever claimed.
    pub(crate) fn part(&self, owner: usize) -> Option<NonNull<Part<E>>> {
        let exists = self.shared(owner).exists.load(Ordering::Acquire);
        // SAFETY: as in `claim_part`.
        exists.then(|| unsafe { self.parts.byte_add(owner * self.layout.part_bytes) })
    }

    /// What of an owner others use.
    #[inline]
    pub(crate) fn shared(&self, owner: usize) -> &Shared {
        assert!(owner < self.owners, "there is no owner {owner}");
        // SAFETY: there is one for each owner; zeros are an empty inbox and no claim.
        unsafe { self.shared.add(owner).as_ref() }
    }

    /// The unit that an address is in, if it is one that is or was in use, and the
    /// address's distance from the start of the range.
    #[inline(always)]
    pub(crate) fn unit_at(&self, address: usize) -> Option<(&Unit, usize)> {
        let offset = address.wrapping_sub(self.base.addr().get());
        let unit = offset / UNIT;
        // SAFETY: the bookkeeping of so many units is committed.
        (unit < self.booked.load(Ordering::Relaxed) as usize)
            .then(|| (unsafe { self.units.get(unit as u32) }, offset))
    }

    /// Takes `count` units, the address of the first a multiple of `align` units.
    pub(crate) fn take_units(&self, count: u32, align: u32) -> Option<u32> {
        self.range.lock().take(self, count, align)
    }

    /// Takes the `count` units from `first` on, if they are free.
    pub(crate) fn take_units_at(&self, first: u32, count: u32) -> bool {
        self.range.lock().take_at(self, first, count)
    }

    /// Committed pages of free units, and how many units were ever used.
    pub(crate) fn idle(&self) -> (usize, u32) {
        let range = self.range.lock();
        (range.idle_pages, range.used)
    }

    /// Gives units back. Decommits free ones if enough of their pages are committed.
    pub(crate) fn give_units(&self, first: u32, count: u32) {
        let most = IDLE_MOST.max(self.committed.now() / IDLE_PART);
        let kept = {
            let mut range = self.range.lock();
            range.give(self, first, count);
            let kept = range.kept(IDLE_LEAST, most);
            (range.idle_pages > kept).then_some(kept)
        };
        if let Some(kept) = kept {
            self.decommit_idle(kept);
        }
    }

    /// Decommits free units until no more than `most` of their pages are committed. How
    /// many pages were given back.
    pub(crate) fn decommit_idle(&self, most: usize) -> usize {
        let mut runs = [(0, 0); BATCH];
        let mut given = 0;
        loop {
            let found = {
                let mut range = self.range.lock();
                match range.idle_pages > most {
                    true => range.take_idle(self, &mut runs, most),
                    false => 0,
                }
            };
            if found == 0 {
                return given;
            }
            for &(first, count) in &runs[..found] {
                given += self.decommit_units(first, count);
                self.range.lock().give(self, first, count);
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

    fn commit_zeroed(&self, range: Offsets<usize>) -> bool {
        let book = self.environment.bookkeeping();
        if !book.commit(range.clone()) {
            return false;
        }
        if !<E::Bookkeeping as PageSource>::ZEROED {
            // SAFETY: these pages were just committed, and nobody uses them yet.
            unsafe { book.base().add(range.start).write_bytes(0, range.len()) };
        }
        true
    }
}

impl<E: Environment> Core for Heap<E> {
    #[inline]
    fn unit(&self, unit: u32) -> &Unit {
        debug_assert!(unit < self.booked.load(Ordering::Relaxed));
        // SAFETY: whoever has a unit's number, has it of a unit that is or was in use.
        unsafe { self.units.get(unit) }
    }

    #[inline]
    fn committed(&self, unit: u32) -> &Cell<u8> {
        debug_assert!(unit < self.booked.load(Ordering::Relaxed));
        // SAFETY: as for `unit`; the caller has the unit, or the lock.
        unsafe { self.units.committed(unit) }
    }

    fn base_unit(&self) -> usize {
        self.base.addr().get() / UNIT
    }

    fn unit_count(&self) -> u32 {
        self.unit_count
    }

    fn commit_units(&self, count: u32) -> bool {
        let booked = self.booked.load(Ordering::Relaxed) as usize;
        if count as usize <= booked {
            return true;
        }
        let wanted = (count as usize)
            .next_multiple_of(BOOKED)
            .min(self.unit_count as usize);
        let pages = |start: usize, from: usize, to: usize| {
            start + from.next_multiple_of(PAGE)..start + to.next_multiple_of(PAGE)
        };
        let committed = pages(self.layout.committed, booked, wanted);
        let size = size_of::<Unit>();
        let units = pages(self.layout.units, booked * size, wanted * size);
        for range in [committed, units] {
            if !range.is_empty() && !self.commit_zeroed(range) {
                return false;
            }
        }
        self.booked.store(wanted as u32, Ordering::Relaxed);
        true
    }
}

/// Not in use: what a run's or zone's units are afterwards.
pub(crate) fn clear<E: Environment>(heap: &Heap<E>, first: u32, count: u32) {
    for unit in first..first + count {
        heap.unit(unit).set_tag(Tag::NOTHING);
    }
}
