//! The heap: what all owners share.

mod pages;

use core::cell::Cell;
use core::fmt;
use core::ops::Range as Offsets;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};

use self::pages::Peak;
pub(crate) use self::pages::clear;
use crate::lock::Lock;
use crate::part::Part;
use crate::range::Range;
use crate::remote::Inbox;
use crate::source::{Environment, PAGE, PageSource};
use crate::unit::{UNIT, Unit, Units};

/// Units that the bookkeeping is committed for at a time.
const BOOKED: usize = 64;
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
    /// Committed pages of free units, as of the last time that their lock was held.
    pub(crate) idle_pages: AtomicUsize,
    /// Units that were ever used, as of then.
    pub(crate) reached: AtomicU32,
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
    /// What it was made with.
    pub fn environment(&self) -> &E {
        &self.environment
    }

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
            idle_pages: AtomicUsize::new(0),
            reached: AtomicU32::new(0),
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
