//! Surroundings in which every access to memory that is not there is noticed.

use core::ops::Range;
use core::ptr::NonNull;
use std::alloc::{Layout, alloc, dealloc};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::{Environment, Heap, Misuse, Notify, PAGE, PageSource, UNIT, bookkeeping_bytes};

/// What pages that are not there are full of, as far as one can see.
const GONE: u8 = 0xDD;
/// What pages are full of that were somebody else's.
const USED: u8 = 0xEE;

/// Pages in the memory of the test; `ZEROED` if those that come are zero.
pub struct Pages<const ZEROED: bool> {
    base: NonNull<u8>,
    bytes: usize,
    there: Mutex<Vec<bool>>,
    /// No more pages than this can be there.
    pub most: AtomicUsize,
    /// Whether they may be given back now.
    pub may_decommit: AtomicBool,
}

// SAFETY: the memory is only touched through its users.
unsafe impl<const ZEROED: bool> Sync for Pages<ZEROED> {}
// SAFETY: it belongs to no thread.
unsafe impl<const ZEROED: bool> Send for Pages<ZEROED> {}

impl<const ZEROED: bool> Pages<ZEROED> {
    pub fn new(bytes: usize) -> Self {
        // SAFETY: the size is not zero.
        let base = unsafe { alloc(Self::layout(bytes)) };
        Self {
            base: NonNull::new(base).expect("memory for the test"),
            bytes,
            there: Mutex::new(vec![false; bytes / PAGE]),
            most: AtomicUsize::new(usize::MAX),
            may_decommit: AtomicBool::new(true),
        }
    }

    fn layout(bytes: usize) -> Layout {
        Layout::from_size_align(bytes, UNIT).unwrap()
    }

    /// How many pages are there.
    pub fn there(&self) -> usize {
        self.there
            .lock()
            .unwrap()
            .iter()
            .filter(|there| **there)
            .count()
    }

    /// Whether all of this is there.
    pub fn holds(&self, memory: NonNull<u8>, bytes: usize) -> bool {
        let start = memory.addr().get() - self.base.addr().get();
        let there = self.there.lock().unwrap();
        (start / PAGE..(start + bytes).div_ceil(PAGE)).all(|page| there[page])
    }
}

impl<const ZEROED: bool> Drop for Pages<ZEROED> {
    fn drop(&mut self) {
        // SAFETY: it came from there.
        unsafe { dealloc(self.base.as_ptr(), Self::layout(self.bytes)) };
    }
}

// SAFETY: the memory belongs to the test's heap, and is aligned.
unsafe impl<const ZEROED: bool> PageSource for Pages<ZEROED> {
    const ZEROED: bool = ZEROED;

    fn base(&self) -> NonNull<u8> {
        self.base
    }

    fn length(&self) -> usize {
        self.bytes
    }

    fn commit(&self, range: Range<usize>) -> bool {
        assert!(range.start.is_multiple_of(PAGE) && range.end.is_multiple_of(PAGE));
        let mut there = self.there.lock().unwrap();
        let mut count = there.iter().filter(|there| **there).count();
        for page in range.start / PAGE..range.end / PAGE {
            if !there[page] {
                if count == self.most.load(Ordering::Relaxed) {
                    return false;
                }
                count += 1;
                there[page] = true;
                // SAFETY: within the memory, and nobody's.
                unsafe {
                    let page = self.base.add(page * PAGE);
                    page.write_bytes(if ZEROED { 0 } else { USED }, PAGE);
                }
            }
        }
        true
    }

    fn may_decommit(&self) -> bool {
        self.may_decommit.load(Ordering::Relaxed)
    }

    fn decommit(&self, range: Range<usize>) {
        assert!(self.may_decommit(), "given back where that may not be");
        let mut there = self.there.lock().unwrap();
        for page in range.start / PAGE..range.end / PAGE {
            if there[page] {
                there[page] = false;
                // SAFETY: within the memory, and nobody's.
                unsafe { self.base.add(page * PAGE).write_bytes(GONE, PAGE) };
            }
        }
    }
}

/// Where tests have their heaps.
pub struct Surroundings<const ZEROED: bool = true> {
    pub chunks: Pages<ZEROED>,
    book: Pages<ZEROED>,
    /// Which owners were notified.
    pub notified: Mutex<Vec<usize>>,
    /// What was freed that must not be.
    pub misused: Mutex<Vec<(Misuse, usize)>>,
}

impl<const ZEROED: bool> Notify for Surroundings<ZEROED> {
    fn owner(&self, owner: usize) {
        self.notified.lock().unwrap().push(owner);
    }

    fn misuse(&self, misuse: Misuse, address: usize) {
        self.misused.lock().unwrap().push((misuse, address));
    }
}

impl<const ZEROED: bool> Environment for Surroundings<ZEROED> {
    type Chunks = Pages<ZEROED>;
    type Bookkeeping = Pages<ZEROED>;

    fn chunks(&self) -> &Pages<ZEROED> {
        &self.chunks
    }

    fn bookkeeping(&self) -> &Pages<ZEROED> {
        &self.book
    }
}

/// A heap of so many units.
pub fn heap(units: usize, owners: usize) -> Heap<Surroundings> {
    heap_of(units, owners)
}

/// The same, of pages that are zero when they come, or not.
pub fn heap_of<const ZEROED: bool>(units: usize, owners: usize) -> Heap<Surroundings<ZEROED>> {
    let bytes = units * UNIT;
    let surroundings = Surroundings {
        chunks: Pages::new(bytes),
        book: Pages::new(bookkeeping_bytes::<Surroundings<ZEROED>>(bytes, owners)),
        notified: Mutex::default(),
        misused: Mutex::default(),
    };
    Heap::new(surroundings, owners).unwrap()
}
