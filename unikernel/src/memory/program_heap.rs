//! The program's heap: this node's slice of the cluster heap.
//!
//! One range of addresses, mapped from its start as it grows. The slab allocator
//! is to replace the allocator; the range stays.

use core::alloc::Layout;
use core::ptr::{NonNull, null_mut};
use core::sync::atomic::{AtomicU64, Ordering};

use talc::base::Talc;
use talc::base::binning::{Binning, DefaultBinning};
use talc::source::Source;

use super::{frames, paging};
use crate::layout::{HEAP_BASE, HEAP_END, LARGE_PAGE, PAGE, align_up};
use crate::sync::Lock;

/// The least the heap grows by while it is small.
const SMALL_GROWTH: u64 = 64 << 10;
/// What stays free for the kernel (page tables, stacks) when the program takes
/// all memory there is.
const KERNEL_RESERVE: u64 = 1 << 20;

static MAPPED_END: AtomicU64 = AtomicU64::new(HEAP_BASE);

#[derive(Debug)]
struct Slice {
    heap_end: Option<NonNull<u8>>,
}

// SAFETY: the pointer is only used under the heap's lock.
unsafe impl Send for Slice {}

// SAFETY: it maps frames; neither frames nor page tables use this heap.
unsafe impl Source for Slice {
    fn acquire<B: Binning>(talc: &mut Talc<Self, B>, layout: Layout) -> Result<(), ()> {
        let wanted = layout
            .size()
            .checked_add(layout.align())
            .and_then(|size| size.checked_add(4096))
            .ok_or(())?;
        let start = MAPPED_END.load(Ordering::Relaxed);
        // Growing by an eighth keeps the number of growths logarithmic.
        let bytes = align_up((wanted as u64).max(SMALL_GROWTH), PAGE);
        let generous = align_up(bytes.max((start - HEAP_BASE) / 8), SMALL_GROWTH);
        let grown = grow(start, generous)
            .or_else(|| grow(start, bytes))
            .ok_or(())?;
        // SAFETY: the new pages are mapped, writable, unused, and follow the heap.
        unsafe {
            match talc.source.heap_end {
                None => {
                    talc.source.heap_end = talc.claim(start as *mut u8, (grown - start) as usize)
                }
                Some(end) => talc.source.heap_end = Some(talc.extend(end, grown as *mut u8)),
            }
        }
        Ok(())
    }
}

/// Maps `bytes` more from `start`; all or nothing. Returns the new end.
fn grow(start: u64, bytes: u64) -> Option<u64> {
    let end = start.checked_add(bytes).filter(|&end| end <= HEAP_END)?;
    if frames::free() < bytes + KERNEL_RESERVE {
        return None;
    }
    let mut at = start;
    while at < end {
        let large = at.is_multiple_of(LARGE_PAGE) && end - at >= LARGE_PAGE;
        let mapped = if large {
            map_large(at).or_else(|| map_small(at))
        } else {
            map_small(at)
        };
        match mapped {
            Some(step) => at += step,
            None => {
                paging::unmap_fresh(start, at);
                return None;
            }
        }
    }
    MAPPED_END.store(end, Ordering::Relaxed);
    Some(end)
}

fn map_large(at: u64) -> Option<u64> {
    let frame = frames::allocate_large()?;
    if paging::map_large(at, frame, paging::Rights::Data).is_err() {
        frames::free_range(frame, LARGE_PAGE);
        return None;
    }
    Some(LARGE_PAGE)
}

fn map_small(at: u64) -> Option<u64> {
    let frame = frames::allocate_page()?;
    if paging::map_page(at, frame, paging::Rights::Data).is_err() {
        frames::free_page(frame);
        return None;
    }
    Some(PAGE)
}

static HEAP: Lock<Talc<Slice, DefaultBinning>> = Lock::new(Talc::new(Slice { heap_end: None }));

/// Memory for the program, or null when there is none. Thread context.
pub fn allocate(layout: Layout) -> *mut u8 {
    if layout.size() == 0 {
        return null_mut();
    }
    // SAFETY: the size is not zero.
    unsafe { HEAP.lock().allocate(layout) }.map_or(null_mut(), |block| block.as_ptr())
}

/// Gives memory back.
///
/// # Safety
/// `block` came from [`allocate`] with the same layout and is not used any more.
pub unsafe fn deallocate(block: *mut u8, layout: Layout) {
    if block.is_null() || layout.size() == 0 {
        return;
    }
    // SAFETY: as the caller says.
    unsafe { HEAP.lock().deallocate(block, layout) }
}

/// Changes the size of a block; null, and the block as it was, when there is no
/// memory.
///
/// # Safety
/// As for [`deallocate`]; `new_size` is not zero.
pub unsafe fn reallocate(block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
    // SAFETY: as the caller says.
    if unsafe { HEAP.lock().try_realloc_in_place(block, layout, new_size) } {
        return block;
    }
    let Ok(new_layout) = Layout::from_size_align(new_size, layout.align()) else {
        return null_mut();
    };
    let new = allocate(new_layout);
    if !new.is_null() {
        // SAFETY: both blocks are as long as the shorter size, and distinct.
        unsafe {
            core::ptr::copy_nonoverlapping(block, new, layout.size().min(new_size));
            deallocate(block, layout);
        }
    }
    new
}
