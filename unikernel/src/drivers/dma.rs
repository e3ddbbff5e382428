//! Memory that devices read and write.
//!
//! Frames of the direct map, which belong to who made the block until it is dropped. What
//! devices do to memory goes through the caches on this machine, and they use the same
//! physical addresses as the processor, so there is nothing to flush and nothing to map.
//! What a block needs instead is that it outlives the device's use of it: a driver resets
//! the device before it drops what it has told it of.

use core::mem::ManuallyDrop;
use core::ptr::NonNull;

use crate::layout::{DIRECT_MAP, PAGE};
use crate::memory::{frames, paging};

/// Physically contiguous memory.
pub struct Dma {
    physical: u64,
    bytes: u64,
}

impl Dma {
    /// A block of `bytes`, rounded up to a power of two of at least a page; content
    /// undefined. `None`: there is no memory. Thread context, or boot.
    pub fn new(bytes: u64) -> Option<Self> {
        let bytes = rounded(bytes);
        let physical = frames::allocate(bytes)?;
        Some(Self { physical, bytes })
    }

    /// As [`Dma::new`], all bytes 0.
    pub fn zeroed(bytes: u64) -> Option<Self> {
        let block = Self::new(bytes)?;
        // SAFETY: the block is new, so nobody else's, and has so many bytes.
        unsafe { block.start().write_bytes(0, block.bytes as usize) };
        Some(block)
    }

    /// Gives the block up for its physical address, which [`Dma::from_physical`] takes.
    pub fn into_physical(self) -> u64 {
        ManuallyDrop::new(self).physical
    }

    /// The block that was given up.
    ///
    /// # Safety
    /// [`Dma::into_physical`] has given the address, once, for a block that was made of so many
    /// bytes.
    pub unsafe fn from_physical(physical: u64, bytes: u64) -> Self {
        Self {
            physical,
            bytes: rounded(bytes),
        }
    }

    /// How many bytes it has.
    pub fn bytes(&self) -> usize {
        self.bytes as usize
    }

    /// Where the processor finds it: writable, aligned to a page.
    pub fn start(&self) -> NonNull<u8> {
        NonNull::new(paging::direct(self.physical) as *mut u8)
            .expect("the direct map is not at address 0")
    }
}

/// The bytes of a block that is to have so many at least.
fn rounded(bytes: u64) -> u64 {
    bytes.max(PAGE).next_power_of_two()
}

/// Where a device finds what is at `start` in a block.
pub fn physical(start: NonNull<u8>) -> u64 {
    let address = start.addr().get() as u64;
    debug_assert!(address >= DIRECT_MAP, "devices reach the direct map only");
    address - DIRECT_MAP
}

impl Drop for Dma {
    fn drop(&mut self) {
        frames::free_range(self.physical, self.bytes);
    }
}
