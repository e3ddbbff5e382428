//! The address space of a node: one map, the same on every node.
//!
//! Four-level paging gives 512 top-level entries of 512 GiB. Entry 0 stays
//! empty (the slot for isolated processes; a null pointer therefore faults);
//! the program's image, heap and stacks live in the lower half; what is private
//! to the node lives in the upper half.

/// Where the image (program and kernel, one ELF) runs, whatever physical
/// address the loader put it at.
pub const IMAGE_BASE: u64 = 0x80_0000_0000;

/// The first cluster heap slice. Slice `n` starts `n * SLICE_SIZE` further. The slices are
/// the upper part of the lower half: their addresses have bit [`SLICES_BIT`].
pub const SLICES_BASE: u64 = 1 << SLICES_BIT;
/// The bit that an address in the slices has. No address that is the node's own has it:
/// one look at it tells memory of the program's from the kernel's.
pub const SLICES_BIT: u32 = 46;
/// One slice: the lower half is heap, the upper half is stacks and mappings.
pub const SLICE_SIZE: u64 = 0x100_0000_0000;
/// End (exclusive) of all 64 slices, and of the lower half.
pub const SLICES_END: u64 = SLICES_BASE + 64 * SLICE_SIZE;

/// The slice of a node.
#[derive(Clone, Copy, Debug)]
pub struct Slice {
    /// Where the program's heap begins.
    pub heap: u64,
    /// Where that ends, and program stacks and `mmap` regions begin.
    pub regions: u64,
    /// End (exclusive) of those, and of the slice.
    pub end: u64,
}

/// The slice of node `node`.
pub const fn slice(node: u16) -> Slice {
    let heap = SLICES_BASE + node as u64 * SLICE_SIZE;
    Slice {
        heap,
        regions: heap + SLICE_SIZE / 2,
        end: heap + SLICE_SIZE,
    }
}

/// The node in whose slice `address` is.
pub const fn slice_at(address: u64) -> Option<u16> {
    if SLICES_BASE <= address && address < SLICES_END {
        Some(((address - SLICES_BASE) / SLICE_SIZE) as u16)
    } else {
        None
    }
}

/// Physical memory, all of it, writable and never executable.
pub const DIRECT_MAP: u64 = 0xffff_8000_0000_0000;
/// Kernel stacks, each between two unmapped guard ranges.
pub const KERNEL_STACKS: u64 = 0xffff_b000_0000_0000;
/// End (exclusive) of the kernel stack range.
pub const KERNEL_STACKS_END: u64 = 0xffff_b080_0000_0000;
/// Device registers, mapped uncached.
pub const DEVICES: u64 = 0xffff_b100_0000_0000;
/// End (exclusive) of the device window.
pub const DEVICES_END: u64 = 0xffff_b180_0000_0000;

/// The kernel's heap.
pub const KERNEL_HEAP: u64 = 0xffff_b200_0000_0000;
/// End (exclusive) of the kernel's heap.
pub const KERNEL_HEAP_END: u64 = 0xffff_b240_0000_0000;
/// What the kernel knows of its heap.
pub const KERNEL_HEAP_BOOK: u64 = 0xffff_b280_0000_0000;
/// End (exclusive) of that.
pub const KERNEL_HEAP_BOOK_END: u64 = 0xffff_b2c0_0000_0000;
/// What the kernel knows of the program's heap.
pub const HEAP_BOOK: u64 = 0xffff_b300_0000_0000;
/// End (exclusive) of that.
pub const HEAP_BOOK_END: u64 = 0xffff_b340_0000_0000;

const _: () = {
    assert!(SLICES_END == 1 << (SLICES_BIT + 1));
    // What is the node's own ends where the bit comes up again in the upper half.
    assert!(DIRECT_MAP < KERNEL_STACKS && KERNEL_STACKS_END <= DEVICES);
    assert!(DEVICES_END <= KERNEL_HEAP && KERNEL_HEAP_END <= KERNEL_HEAP_BOOK);
    assert!(KERNEL_HEAP_BOOK_END <= HEAP_BOOK);
    assert!(HEAP_BOOK_END <= DIRECT_MAP + (1 << SLICES_BIT));
};

/// The smallest page.
pub const PAGE: u64 = 4096;
/// The large page.
pub const LARGE_PAGE: u64 = 2 << 20;

/// Rounds `value` up to a multiple of `to`, a power of two.
pub const fn align_up(value: u64, to: u64) -> u64 {
    (value + to - 1) & !(to - 1)
}

/// Rounds `value` down to a multiple of `to`, a power of two.
pub const fn align_down(value: u64, to: u64) -> u64 {
    value & !(to - 1)
}
