//! Physical memory: a buddy allocator over all free frames.
//!
//! Its links live in the free frames themselves, reached through the direct map,
//! so it needs no memory of its own.

use core::alloc::Layout;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicU64, Ordering};

use buddy_system_allocator::Heap;

use super::paging;
use crate::layout::{DIRECT_MAP, LARGE_PAGE, PAGE};
use crate::sync::Lock;

static FRAMES: Lock<Heap<48>> = Lock::new(Heap::empty());
static TOTAL: AtomicU64 = AtomicU64::new(0);
static FREE: AtomicU64 = AtomicU64::new(0);

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
    // SAFETY: as the caller says; the direct map makes the addresses valid.
    unsafe {
        FRAMES
            .lock()
            .add_to_heap(paging::direct(start) as usize, paging::direct(end) as usize);
    }
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
    let block = FRAMES.lock().alloc(layout).ok()?;
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
    unsafe { FRAMES.lock().dealloc(block, layout) };
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
