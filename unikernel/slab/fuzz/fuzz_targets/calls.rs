//! Any sequence of calls by two owners, right and wrong ones: what is allocated is
//! there, aligned, keeps its content and overlaps nothing; wrong frees change nothing.

#![no_main]

use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::ops::Range;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicUsize, Ordering};

use arbitrary::Arbitrary;
use darner_slab::{Environment, Heap, Misuse, Notify, PageSource, UNIT, bookkeeping_bytes};
use libfuzzer_sys::fuzz_target;

const UNITS: usize = 24;

#[derive(Arbitrary, Debug)]
enum Call {
    Allocate {
        size: u16,
        shift: u8,
        align: u8,
        zeroed: bool,
    },
    Free {
        which: u8,
    },
    Reallocate {
        which: u8,
        size: u16,
        shift: u8,
    },
    FreeWithin {
        which: u8,
        by: u16,
    },
    Collect,
    Reclaim,
}

struct Pages(NonNull<u8>, usize);

impl Pages {
    fn new(bytes: usize) -> Self {
        // SAFETY: the size is not zero.
        let base = unsafe { alloc_zeroed(Self::layout(bytes)) };
        Self(NonNull::new(base).expect("memory"), bytes)
    }

    fn layout(bytes: usize) -> Layout {
        Layout::from_size_align(bytes, UNIT).expect("a valid layout")
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        // SAFETY: it came from there.
        unsafe { dealloc(self.0.as_ptr(), Self::layout(self.1)) };
    }
}

// SAFETY: the memory is this heap's alone, and always there.
unsafe impl PageSource for Pages {
    const ZEROED: bool = true;

    fn base(&self) -> NonNull<u8> {
        self.0
    }

    fn length(&self) -> usize {
        self.1
    }

    fn commit(&self, _range: Range<usize>) -> bool {
        true
    }

    fn decommit(&self, range: Range<usize>) {
        // SAFETY: nobody uses these pages.
        unsafe { self.0.add(range.start).write_bytes(0, range.len()) };
    }
}

struct Surroundings {
    chunks: Pages,
    book: Pages,
    misused: AtomicUsize,
}

impl Notify for Surroundings {
    fn owner(&self, _owner: usize) {}

    fn misuse(&self, _misuse: Misuse, _address: usize) {
        self.misused.fetch_add(1, Ordering::Relaxed);
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

fn is_full_of(memory: NonNull<u8>, bytes: usize, content: u8) -> bool {
    // SAFETY: it is allocated.
    let bytes = unsafe { std::slice::from_raw_parts(memory.as_ptr(), bytes) };
    bytes.iter().all(|&byte| byte == content)
}

fuzz_target!(|calls: Vec<(bool, Call)>| {
    let bytes = UNITS * UNIT;
    let surroundings = Surroundings {
        chunks: Pages::new(bytes),
        book: Pages::new(bookkeeping_bytes::<Surroundings>(bytes, 2)),
        misused: AtomicUsize::new(0),
    };
    let heap = Heap::new(surroundings, 2).expect("a heap");
    let mut locals = [0, 1].map(|owner| heap.claim(owner).expect("an owner"));
    let mut there: Vec<(NonNull<u8>, Layout, u8)> = Vec::new();
    let mut next = 0_u8;
    let mut refused = 0;
    for (other, call) in calls {
        let local = &mut locals[usize::from(other)];
        next = next % 250 + 1;
        let add = |there: &mut Vec<_>, memory: NonNull<u8>, layout: Layout| {
            assert_eq!(memory.addr().get() % layout.align(), 0);
            // SAFETY: it is allocated.
            unsafe { memory.write_bytes(next, layout.size()) };
            there.push((memory, layout, next));
        };
        match call {
            Call::Allocate {
                size,
                shift,
                align,
                zeroed,
            } => {
                let size = usize::from(size) << (shift % 4);
                let layout = Layout::from_size_align(size, 1 << (align % 14)).expect("valid");
                let memory = match zeroed {
                    true => local.allocate_zeroed(layout),
                    false => local.allocate(layout),
                };
                if let Some(memory) = memory {
                    assert!(!zeroed || is_full_of(memory, size, 0));
                    add(&mut there, memory, layout);
                }
            }
            Call::Free { which } if !there.is_empty() => {
                let which = usize::from(which) % there.len();
                let (memory, layout, content) = there.swap_remove(which);
                assert!(is_full_of(memory, layout.size(), content));
                // SAFETY: it was allocated like that.
                unsafe { local.deallocate(memory, layout) };
            }
            Call::Reallocate { which, size, shift } if !there.is_empty() => {
                let which = usize::from(which) % there.len();
                let (memory, layout, content) = there.swap_remove(which);
                let size = (usize::from(size) << (shift % 4)).max(1);
                assert!(is_full_of(memory, layout.size(), content));
                // SAFETY: it was allocated like that.
                match unsafe { local.reallocate(memory, layout, size) } {
                    Some(moved) => {
                        assert!(is_full_of(moved, size.min(layout.size()), content));
                        let new = Layout::from_size_align(size, layout.align()).expect("valid");
                        add(&mut there, moved, new);
                    }
                    None => there.push((memory, layout, content)),
                }
            }
            Call::FreeWithin { which, by } if !there.is_empty() => {
                let (memory, layout, _) = there[usize::from(which) % there.len()];
                let by = usize::from(by) % layout.size().max(1);
                if by > 0 {
                    let inside = memory.map_addr(|address| address.saturating_add(by));
                    // SAFETY: it is refused, which is what is tried.
                    unsafe { local.deallocate(inside, layout) };
                    local.reclaim();
                    refused += 1;
                }
            }
            Call::Collect => local.collect(),
            Call::Reclaim => {
                local.reclaim();
            }
            _ => {}
        }
        assert_eq!(heap.statistics().refused, refused);
    }
    for (memory, layout, content) in there {
        assert!(is_full_of(memory, layout.size(), content));
        // SAFETY: it was allocated like that.
        unsafe { locals[0].deallocate(memory, layout) };
    }
    for _ in 0..2 {
        for local in &mut locals {
            local.reclaim();
        }
    }
    let end = heap.statistics();
    assert_eq!((end.in_use(), end.committed, end.refused), (0, 0, refused));
});
