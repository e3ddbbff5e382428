//! What crate `virtio-drivers` asks of the machine: memory for its rings, and where things are.

use core::marker::PhantomData;
use core::ptr::NonNull;

use virtio_drivers::{BufferDirection, Hal, PAGE_SIZE, PhysAddr};

use crate::drivers::dma::{self, Dma};
use crate::memory::paging;

/// This machine. Devices see the memory that the processor sees, at its physical addresses,
/// and through its caches; see [`dma`].
///
/// It is the same for all, but the library's code is made anew for each `User`, and so made for
/// one.
pub struct Machine<User>(PhantomData<User>);

// SAFETY: blocks of `Dma` are nobody else's, aligned to pages and mapped for ever; registers
// are mapped in a window of their own.
unsafe impl<User> Hal for Machine<User> {
    /// Thread context, or boot. Address 0, which is no memory of the allocator's: there is none.
    fn dma_alloc(pages: usize, _: BufferDirection) -> (PhysAddr, NonNull<u8>) {
        match Dma::zeroed((pages * PAGE_SIZE) as u64) {
            Some(block) => {
                let start = block.start();
                (block.into_physical(), start)
            }
            None => (0, NonNull::dangling()),
        }
    }

    unsafe fn dma_dealloc(physical: PhysAddr, _: NonNull<u8>, pages: usize) -> i32 {
        // SAFETY: as the caller says, this is what `dma_alloc` has given.
        drop(unsafe { Dma::from_physical(physical, (pages * PAGE_SIZE) as u64) });
        0
    }

    /// Boot.
    unsafe fn mmio_phys_to_virt(physical: PhysAddr, bytes: usize) -> NonNull<u8> {
        let start = paging::map_device(physical, bytes as u64);
        NonNull::new(start as *mut u8).expect("registers are not mapped at address 0")
    }

    unsafe fn share(buffer: NonNull<[u8]>, _: BufferDirection) -> PhysAddr {
        dma::physical(buffer.cast())
    }

    unsafe fn unshare(_: PhysAddr, _: NonNull<[u8]>, _: BufferDirection) {}
}
