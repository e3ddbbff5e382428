//! An owner's part of the heap, which it touches alone: magazines and lists of zones.

use core::cell::Cell;
use core::mem::offset_of;
use core::ptr::{NonNull, null};
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use crate::class::{self, CLASSES, ENTRIES, TABLE};
use crate::heap::Heap;
use crate::remote::NONE;
use crate::source::Environment;

/// The most chunks of a magazine.
pub const SLOTS: usize = 64;
/// Chunks that a magazine may hold before it has been empty or full for the first time.
const CAPACITY_FIRST: u32 = 8;

/// Chunks of a class that are at hand, last in, first out. They belong to any owner's zones.
///
/// The bookkeeping takes them as handed out.
#[repr(C, align(64))]
pub(crate) struct Magazine {
    /// How many there are. Its owner alone changes it, others may read it.
    pub(crate) length: AtomicU32,
    pub(crate) capacity: Cell<u32>,
    pub(crate) slots: [Cell<*mut u8>; SLOTS],
}

impl Magazine {
    /// How many chunks there are.
    #[inline(always)]
    pub fn length(&self) -> u32 {
        self.length.load(Ordering::Relaxed)
    }

    #[inline(always)]
    fn set_length(&self, length: u32) {
        self.length.store(length, Ordering::Relaxed);
    }

    /// Takes the chunk that came last.
    #[inline(always)]
    pub fn pop(&self) -> Option<NonNull<u8>> {
        let length = self.length().checked_sub(1)?;
        self.set_length(length);
        // SAFETY: the length is never more than there are slots, and those below it hold
        // chunks.
        Some(unsafe { NonNull::new_unchecked(self.slots.get_unchecked(length as usize).get()) })
    }

    /// Puts a chunk in; whether there was room.
    #[inline(always)]
    pub fn push(&self, chunk: NonNull<u8>) -> bool {
        let length = self.length();
        if length == self.capacity.get() {
            return false;
        }
        // SAFETY: the capacity is no more than there are slots, nor is the length.
        unsafe { self.slots.get_unchecked(length as usize) }.set(chunk.as_ptr());
        self.set_length(length + 1);
        true
    }

    /// The chunks, those that came first at the start.
    pub fn chunks(&self) -> &[Cell<*mut u8>] {
        &self.slots[..self.length() as usize]
    }

    /// Fills it, which is empty, with up to `count` chunks by `take`; what that wrote to the
    /// end of the slots it is given, and how many it says. Gives out the last of them.
    pub fn fill(
        &self,
        count: usize,
        take: impl FnOnce(&[Cell<*mut u8>]) -> usize,
    ) -> Option<NonNull<u8>> {
        let slots = &self.slots[..count];
        let got = take(slots);
        let first = count - got;
        if first > 0 {
            for slot in first..count {
                slots[slot - first].set(slots[slot].get());
            }
        }
        let last = got.checked_sub(1)?;
        self.set_length(last as u32);
        NonNull::new(slots[last].get())
    }

    /// Forgets the `count` that came first.
    pub fn forget(&self, count: usize) {
        let length = self.length() as usize;
        for slot in count..length {
            self.slots[slot - count].set(self.slots[slot].get());
        }
        self.set_length((length - count) as u32);
    }

    /// Doubles what it may hold, up to the bound of its class.
    pub fn grow(&self, class: usize) {
        let most = u32::from(TABLE[class].magazine);
        self.capacity.set(most.min(self.capacity.get() * 2));
    }
}

/// An owner's zones of a class. Those that are in neither place have left the lists.
pub(crate) struct List {
    /// The zone that chunks are taken from.
    pub current: Cell<u32>,
    /// The first of those that had free chunks when last seen.
    pub partial: Cell<u32>,
    /// The colour of the next zone.
    pub colour: Cell<u8>,
    /// How many zones there are.
    pub zones: AtomicU32,
    /// Chunks that are not home, as far as the owner knows.
    pub out: AtomicU32,
}

/// All that belongs to one owner. It lies in the bookkeeping's range.
#[repr(C, align(64))]
pub(crate) struct Part<E: Environment> {
    /// Where the magazine for each multiple of 8 is, in bytes from the part's start:
    /// no address is computed from a class then.
    offsets: [u16; ENTRIES],
    magazines: [Magazine; CLASSES],
    /// The heap, since the part was last claimed.
    heap: Cell<*const Heap<E>>,
    pub owner: u16,
    pub lists: [List; CLASSES],
    pub remote_frees: AtomicU64,
}

impl<E: Environment> Part<E> {
    /// Makes the part of `owner`.
    ///
    /// # Safety
    /// `part` is aligned memory for it, zeroed and unused.
    pub unsafe fn make(part: NonNull<Self>, owner: u16) {
        let part = part.as_ptr();
        // SAFETY: as the caller says; zeros are valid for all that is not written here.
        unsafe {
            (&raw mut (*part).heap).write(Cell::new(null()));
            (&raw mut (*part).owner).write(owner);
            for entry in 0..ENTRIES {
                let magazine = class::of_entry(entry) * size_of::<Magazine>();
                let offset = offset_of!(Self, magazines) + magazine;
                (&raw mut (*part).offsets[entry]).write(offset as u16);
            }
            for (class, fixed) in TABLE.iter().enumerate() {
                let first = CAPACITY_FIRST.min(u32::from(fixed.magazine));
                (&raw mut (*part).magazines[class].capacity).write(Cell::new(first));
                (&raw mut (*part).lists[class].current).write(Cell::new(NONE));
                (&raw mut (*part).lists[class].partial).write(Cell::new(NONE));
            }
        }
    }

    /// Says where the heap is. Whoever has claimed the part.
    pub fn enter(&self, heap: &Heap<E>) {
        self.heap.set(heap);
    }

    /// The heap.
    #[inline]
    pub fn heap(&self) -> &Heap<E> {
        // SAFETY: who claimed the part has borrowed the heap.
        unsafe { &*self.heap.get() }
    }

    /// The magazine for a mask, if there is a class for it.
    #[inline(always)]
    pub fn magazine_for(&self, mask: usize) -> Option<&Magazine> {
        let entry = class::entry(mask)?;
        // SAFETY: there are so many entries; each is the offset of a magazine.
        unsafe {
            let offset = usize::from(*self.offsets.get_unchecked(entry));
            Some(&*(&raw const *self).byte_add(offset).cast::<Magazine>())
        }
    }

    /// The magazine of a class.
    #[inline(always)]
    pub fn magazine(&self, class: usize) -> &Magazine {
        debug_assert!(class < CLASSES);
        // SAFETY: all numbers of classes come from `class`, which has no others.
        unsafe { self.magazines.get_unchecked(class) }
    }
}

// Offsets of magazines are 16 bits.
const _: () = assert!(CLASSES * size_of::<Magazine>() + size_of::<[u16; ENTRIES]>() < 1 << 16);

/// The length of a part's magazine, for reading.
///
/// # Safety
/// The part is there as long as the result is used.
pub(crate) unsafe fn length_of<'a, E: Environment>(
    part: *const Part<E>,
    class: usize,
) -> &'a AtomicU32 {
    // SAFETY: as the caller says; only the atomic is borrowed.
    unsafe { &(*part).magazines[class].length }
}
