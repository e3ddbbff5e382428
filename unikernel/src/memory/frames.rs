//! Physical memory: a buddy allocator over all free frames.
//!
//! Its links live in the free frames themselves, reached through the direct map,
//! so it needs no memory of its own. It therefore gets memory only as it is needed:
//! a link in every free block would have the host back all of them, 2 MiB each.

use core::alloc::Layout;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicU64, Ordering};

use buddy_system_allocator::Heap;

use super::paging;
use crate::layout::{DIRECT_MAP, LARGE_PAGE, PAGE};
use crate::sync::Lock;

/// How many ranges of RAM can wait. A memory map with more is not known.
const MOST_RANGES: usize = 64;

struct Frames {
    buddy: Heap<48>,
    /// Free ranges that nobody has touched yet, as direct-map addresses.
    untouched: [(u64, u64); MOST_RANGES],
    ranges: usize,
}

static FRAMES: Lock<Frames> = Lock::new(Frames {
    buddy: Heap::empty(),
    untouched: [(0, 0); MOST_RANGES],
    ranges: 0,
});
static TOTAL: AtomicU64 = AtomicU64::new(0);
static FREE: AtomicU64 = AtomicU64::new(0);

impl Frames {
    /// Takes note of a free range, or gives it to the buddy at once where there are
    /// too many.
    ///
    /// # Safety
    /// As for [`add`].
    unsafe fn add(&mut self, start: u64, end: u64) {
        if let Some(slot) = self.untouched.get_mut(self.ranges) {
            *slot = (start, end);
            self.ranges += 1;
        } else {
            // SAFETY: as the caller says; the direct map makes the addresses valid.
            unsafe { self.buddy.add_to_heap(start as usize, end as usize) };
        }
    }

    /// Gives one more block to the buddy, the next in the order of the ranges.
    /// Whether there was one.
    fn feed(&mut self) -> bool {
        let Some(last) = self.ranges.checked_sub(1) else {
            return false;
        };
        let (start, end) = self.untouched[0];
        // The largest block that is aligned to its size: what the buddy would cut
        // the range into. It merges blocks only when they are freed, so smaller
        // ones could stay small.
        let largest = 1 << (end - start).ilog2();
        let block = (1u64 << start.trailing_zeros()).min(largest);
        // SAFETY: `add`'s caller gave the range, and its start is given on once.
        unsafe {
            self.buddy
                .add_to_heap(start as usize, (start + block) as usize)
        };
        self.untouched[0].0 += block;
        if start + block == end {
            self.untouched.copy_within(1.., 0);
            self.ranges = last;
        }
        true
    }

    fn allocate(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        loop {
            if let Ok(block) = self.buddy.alloc(layout) {
                return Some(block);
            }
            if !self.feed() {
                return None;
            }
        }
    }
}

/// Gives the physical range `start..end` to the allocator.
///
/// # Safety
/// The range is RAM that nothing uses, mapped in the direct map.
pub unsafe fn add(start: u64, end: u64) {
    let start = crate::layout::align_up(start, PAGE);
    let end = crate::layout::align_down(end, PAGE);
    if start >= end {
        return;
    }
    // SAFETY: as the caller says.
    unsafe {
        FRAMES
            .lock()
            .add(paging::direct(start), paging::direct(end))
    };
    TOTAL.fetch_add(end - start, Ordering::Relaxed);
    FREE.fetch_add(end - start, Ordering::Relaxed);
}

/// Bytes of RAM the allocator was given.
pub fn total() -> u64 {
    TOTAL.load(Ordering::Relaxed)
}

/// Bytes of RAM that are free.
pub fn free() -> u64 {
    FREE.load(Ordering::Relaxed)
}

/// A physical range of `bytes`, a power of two of at least a page, aligned to its
/// size; content undefined. Thread or interrupt context.
pub fn allocate(bytes: u64) -> Option<u64> {
    debug_assert!(
        bytes.is_power_of_two() && bytes >= PAGE,
        "the buddy hands out powers of two"
    );
    let layout = Layout::from_size_align(bytes as usize, bytes as usize).ok()?;
    let block = FRAMES.lock().allocate(layout)?;
    FREE.fetch_sub(bytes, Ordering::Relaxed);
    Some(block.as_ptr() as u64 - DIRECT_MAP)
}

/// Gives a range from [`allocate`] back.
pub fn free_range(physical: u64, bytes: u64) {
    let Some(block) = NonNull::new(paging::direct(physical) as *mut u8) else {
        return;
    };
    let Ok(layout) = Layout::from_size_align(bytes as usize, bytes as usize) else {
        return;
    };
    // SAFETY: the range came from `allocate` with the same size.
    unsafe { FRAMES.lock().buddy.dealloc(block, layout) };
    FREE.fetch_add(bytes, Ordering::Relaxed);
}

/// One 4 KiB frame.
pub fn allocate_page() -> Option<u64> {
    allocate(PAGE)
}

/// Gives a 4 KiB frame back.
pub fn free_page(physical: u64) {
    free_range(physical, PAGE);
}

/// One 2 MiB frame.
pub fn allocate_large() -> Option<u64> {
    allocate(LARGE_PAGE)
}
