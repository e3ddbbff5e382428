//! Units, the pieces that the range of addresses is cut into, and what is known of each.
//!
//! This is out of line: an array indexed by the number of the unit, in memory of its own.

use core::cell::Cell;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use crate::remote::Tally;
use crate::source::PAGE;

/// Bytes of a unit.
pub const UNIT: usize = 64 << 10;
/// Pages of a unit.
pub const PAGES: usize = UNIT / PAGE;
/// The most chunks that a zone has.
pub const CHUNKS_MOST: usize = 2048;
/// Words of a bit for each chunk.
pub const WORDS: usize = CHUNKS_MOST / 64;

/// What a unit is part of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(transparent)]
pub struct Tag(u64);

impl Tag {
    /// Free, or within a run of pages but not its first unit.
    pub const NOTHING: Self = Self(0);
    /// First of a run of pages.
    pub const RUN: Self = Self(2);
    const ZONE: u64 = 1;
    const OWNER: u64 = 0xFFFF << 16;

    /// Unit `place` of a zone.
    #[inline]
    pub const fn zone(class: usize, owner: u16, place: usize) -> Self {
        Self(Self::ZONE | (class as u64) << 8 | (owner as u64) << 16 | (place as u64) << 32)
    }

    /// Whether it is a zone of the same class as the other, whoever its owner is.
    #[inline(always)]
    pub const fn is_same_class(self, other: Self) -> bool {
        (self.0 ^ other.0) as u32 as u64 & !Self::OWNER == 0
    }

    /// Whether it is a unit of a zone.
    pub const fn is_zone(self) -> bool {
        self.0 & Self::ZONE != 0
    }

    /// The class of the zone.
    #[inline]
    pub const fn class(self) -> usize {
        (self.0 >> 8 & 0xFF) as usize
    }

    /// The owner of the zone.
    #[inline]
    pub const fn owner(self) -> u16 {
        (self.0 >> 16) as u16
    }

    /// How many units of the zone are before this one.
    #[inline(always)]
    pub const fn place(self) -> usize {
        (self.0 >> 32) as usize
    }
}

/// What is known of a unit.
///
/// Any CPU may read the tag, and what comes with it while it knows of a chunk or run there
/// that is not free. `own` and `bits` belong to the zone's owner; `run` to who holds the
/// range's lock.
#[derive(Debug)]
#[repr(C, align(64))]
pub struct Unit {
    tag: AtomicU64,
    /// Of a zone: where its first chunk is, in bytes from the zone's start.
    pub start: AtomicU32,
    /// Of a run: its pages.
    pub pages: AtomicU32,
    /// Of a zone: what was freed elsewhere.
    pub tally: Tally,
    /// Of a zone in its owner's inbox: the next.
    pub link: AtomicU32,
    /// Of the first and the last unit of free ones: how many there are; else 0.
    pub run: Cell<u32>,
    /// Of the first of free units: its neighbours in the list of its size. Of a zone: its
    /// neighbours in the owner's list.
    pub next: Cell<u32>,
    /// See `next`.
    pub previous: Cell<u32>,
    /// Of a zone.
    pub own: Own,
    /// Of a zone: chunks that are free and were not always so.
    pub bits: [Cell<u64>; WORDS],
    /// Of a zone: chunks that were freed elsewhere.
    pub remote: [AtomicU64; WORDS],
}

/// What the owner of a zone knows.
#[derive(Debug)]
#[repr(C, align(64))]
pub struct Own {
    /// Chunks that are not home.
    pub out: Cell<u32>,
    /// Bits that are set.
    pub free: Cell<u32>,
    /// Words before this have none set.
    pub cursor: Cell<u32>,
    /// Chunks from this one on were never handed out since the zone was made.
    pub fresh: Cell<u32>,
    /// Bytes from the zone's start that are committed.
    pub committed: Cell<u32>,
    /// What is committed behind this byte of the zone has been so for it.
    pub clean: Cell<u32>,
    /// Whether it is in the owner's lists.
    pub listed: Cell<bool>,
}

// SAFETY: cells are touched by one CPU at a time, as the type's comment says.
unsafe impl Sync for Unit {}

impl Unit {
    /// What it is part of. Any CPU.
    #[inline(always)]
    pub fn tag(&self) -> Tag {
        Tag(self.tag.load(Ordering::Relaxed))
    }

    /// Takes a run, if it still is one. Any CPU.
    pub fn take_run(&self) -> bool {
        self.tag
            .compare_exchange(
                Tag::RUN.0,
                Tag::NOTHING.0,
                Ordering::AcqRel,
                Ordering::Relaxed,
            )
            .is_ok()
    }

    /// Says what it is part of. Whoever has it.
    pub fn set_tag(&self, tag: Tag) {
        self.tag.store(tag.0, Ordering::Relaxed);
    }
}

/// The bookkeeping of all units.
#[derive(Debug)]
pub struct Units {
    first: NonNull<Unit>,
    /// Of each unit, how many of its pages, from its start, are committed. Of a zone this is
    /// what was so when it was made.
    committed: NonNull<Cell<u8>>,
}

impl Units {
    /// The bookkeeping at these addresses.
    pub const fn new(first: NonNull<Unit>, committed: NonNull<Cell<u8>>) -> Self {
        Self { first, committed }
    }

    /// Of unit `unit`.
    ///
    /// # Safety
    /// Its bookkeeping was committed.
    #[inline(always)]
    pub unsafe fn get(&self, unit: u32) -> &Unit {
        // SAFETY: as the caller says; what is committed is initialised, to zeros at
        // least, which are valid, and stays.
        unsafe { self.first.add(unit as usize).as_ref() }
    }

    /// How many pages of a unit are committed.
    ///
    /// # Safety
    /// Its bookkeeping was committed; the caller has the unit, or the range's lock.
    #[inline]
    pub unsafe fn committed(&self, unit: u32) -> &Cell<u8> {
        // SAFETY: as for `get`.
        unsafe { self.committed.add(unit as usize).as_ref() }
    }
}
