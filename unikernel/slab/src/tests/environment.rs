//! Surroundings in which every access to memory that is not there is noticed.

use core::ops::Range;
use core::ptr::NonNull;
use std::alloc::{Layout, alloc, dealloc};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::{Environment, Heap, Misuse, Notify, PAGE, PageSource, UNIT, bookkeeping_bytes};

/// What pages that are not there are full of, as far as one can see.
const GONE: u8 = 0xDD;

/// Pages in the memory of the test.
pub struct Pages {
    base: NonNull<u8>,
    bytes: usize,
    there: Mutex<Vec<bool>>,
    /// No more pages than this can be there.
    pub most: AtomicUsize,
}

// SAFETY: the memory is only touched through its users.
unsafe impl Sync for Pages {}
// SAFETY: it belongs to no thread.
unsafe impl Send for Pages {}

impl Pages {
    pub fn new(bytes: usize) -> Self {
        // SAFETY: the size is not zero.
        let base = unsafe { alloc(Self::layout(bytes)) };
        Self {
            base: NonNull::new(base).expect("memory for the test"),
            bytes,
            there: Mutex::new(vec![false; bytes / PAGE]),
            most: AtomicUsize::new(usize::MAX),
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

impl Drop for Pages {
    fn drop(&mut self) {
        // SAFETY: it came from there.
        unsafe { dealloc(self.base.as_ptr(), Self::layout(self.bytes)) };
    }
}

// SAFETY: the memory belongs to the test's heap, and is aligned.
unsafe impl PageSource for Pages {
    const ZEROED: bool = true;

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
                unsafe { self.base.add(page * PAGE).write_bytes(0, PAGE) };
            }
        }
        true
    }

    fn decommit(&self, range: Range<usize>) {
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
pub struct Surroundings {
    pub chunks: Pages,
    book: Pages,
    /// Which owners were notified.
    pub notified: Mutex<Vec<usize>>,
    /// What was freed that must not be.
    pub misused: Mutex<Vec<(Misuse, usize)>>,
}

impl Notify for Surroundings {
    fn owner(&self, owner: usize) {
        self.notified.lock().unwrap().push(owner);
    }

    fn misuse(&self, misuse: Misuse, address: usize) {
        self.misused.lock().unwrap().push((misuse, address));
    }
}

impl Environment for Surroundings {
    type Chunks = Pages;
    type Bookkeeping = Pages;

    fn chunks(&self) -> &Pages {
        &self.chunks
    }

    fn bookkeeping(&self) -> &Pages {
        &self.book
    }
}

/// A heap of so many units.
pub fn heap(units: usize, owners: usize) -> Heap<Surroundings> {
    let bytes = units * UNIT;
    let surroundings = Surroundings {
        chunks: Pages::new(bytes),
        book: Pages::new(bookkeeping_bytes::<Surroundings>(bytes, owners)),
        notified: Mutex::default(),
        misused: Mutex::default(),
    };
    Heap::new(surroundings, owners).unwrap()
}
