//! The kernel's own heap: the global allocator of kernel code.
//!
//! It grows by runs of frames in the direct map. The slab allocator is to replace
//! it.

use core::alloc::{GlobalAlloc, Layout};
use core::ptr::null_mut;

use talc::base::Talc;
use talc::base::binning::{Binning, DefaultBinning};
use talc::source::Source;

use super::{frames, paging};
use crate::sync::Lock;

/// The least the heap grows by.
const GROWTH: usize = 64 << 10;

#[derive(Debug)]
struct DirectMapped;

// SAFETY: it takes frames, whose allocator does not allocate from any heap.
unsafe impl Source for DirectMapped {
    fn acquire<B: Binning>(talc: &mut Talc<Self, B>, layout: Layout) -> Result<(), ()> {
        // Room for the request, its alignment and the heap's own words.
        let wanted = layout
            .size()
            .checked_add(layout.align())
            .and_then(|size| size.checked_add(4096))
            .ok_or(())?;
        let bytes = wanted.max(GROWTH).checked_next_power_of_two().ok_or(())?;
        let physical = frames::allocate(bytes as u64).ok_or(())?;
        // SAFETY: the frames are ours now, mapped writable, and never given back.
        unsafe { talc.claim(paging::direct(physical) as *mut u8, bytes) }
            .map(drop)
            .ok_or(())
    }
}

struct KernelHeap(Lock<Talc<DirectMapped, DefaultBinning>>);

#[global_allocator]
static HEAP: KernelHeap = KernelHeap(Lock::new(Talc::new(DirectMapped)));

// SAFETY: the methods pass on to Talc under a lock and keep its contract.
unsafe impl GlobalAlloc for KernelHeap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller passes a layout of non-zero size.
        unsafe { self.0.lock().allocate(layout) }.map_or(null_mut(), |block| block.as_ptr())
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller passes a block of this heap with its layout.
        unsafe { self.0.lock().deallocate(block, layout) }
    }
}
