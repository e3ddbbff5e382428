//! The program's heap: this node's slice of the cluster heap.

use core::alloc::Layout;
use core::ptr::{NonNull, null_mut};

use darner_slab::{Environment, Heap, Misuse, Place, magazine};
use spin::Once;

use super::heap::{Kind, Memory, Pages, with_part};
use crate::arch::percpu::{self, MAX_CPUS};
use crate::layout::{self, HEAP_BOOK, HEAP_BOOK_END};
use crate::{cluster, panic};

/// What stays free for the kernel (page tables, stacks, its heap) when the program takes
/// all memory there is.
const KERNEL_RESERVE: u64 = 1 << 20;

/// The kind of this heap.
pub struct Program;

static HEAP: Once<Heap<Memory<Program>>> = Once::new();

impl Kind for Program {
    #[inline(always)]
    fn part() -> NonNull<()> {
        // SAFETY: `PerCpu::create` puts it there.
        unsafe { NonNull::new_unchecked(percpu::program_heap()) }
    }

    fn misuse(misuse: Misuse, address: usize) {
        log::error!("the program frees {address:#x}: {misuse}");
        if cfg!(debug_assertions) {
            panic::program_abort();
        }
    }

    fn is_elsewhere(address: usize) -> bool {
        cluster::calls::is_elsewhere(address)
    }

    fn free_elsewhere(address: usize, layout: Layout) {
        cluster::calls::free(address, layout);
    }
}

/// Makes the heap. Boot, before the first CPU's block is made. Whether there was memory for
/// it.
pub fn init() -> bool {
    let slice = layout::slice(cluster::me());
    let chunks = match cluster::is_active() {
        true => Pages::of_cluster(slice.heap, slice.regions),
        false => Pages::new(slice.heap, slice.regions, KERNEL_RESERVE),
    };
    let memory = Memory::new(chunks, Pages::new(HEAP_BOOK, HEAP_BOOK_END, KERNEL_RESERVE));
    match Heap::new(memory, MAX_CPUS) {
        Ok(heap) => {
            HEAP.call_once(|| heap);
            true
        }
        Err(_) => false,
    }
}

/// The part of CPU `cpu`, whose block is being made, and where its magazines are.
///
/// # Panics
/// When there is no memory for it, or it was asked for before.
pub fn part_of(cpu: usize) -> (NonNull<()>, [NonNull<()>; magazine::ENTRIES]) {
    let local = HEAP
        .get()
        .and_then(|heap| heap.claim(cpu))
        .expect("memory for a CPU's part of the program's heap");
    let magazines = local.magazines();
    (local.into_raw(), magazines)
}

/// The heap, for its statistics.
pub fn get() -> Option<&'static Heap<Memory<Program>>> {
    HEAP.get()
}

/// Memory for the program, or null when there is none. Thread context.
#[inline(always)]
pub fn allocate(layout: Layout) -> *mut u8 {
    with_part::<Program, _>(|part| part.allocate(layout)).map_or(null_mut(), NonNull::as_ptr)
}

/// The same, filled with zeros. The section has ended by then: to write there may have to
/// wait.
pub fn allocate_zeroed(layout: Layout) -> *mut u8 {
    let block = allocate(layout);
    if !block.is_null() {
        // SAFETY: the block is new, and that long.
        unsafe { block.write_bytes(0, layout.size()) };
    }
    block
}

/// Gives memory back; null is nothing. Thread context, interrupts on.
///
/// # Safety
/// `block` came from [`allocate`] with the same layout and is not used any more.
#[inline(always)]
pub unsafe fn deallocate(block: *mut u8, layout: Layout) {
    if let Some(block) = NonNull::new(block) {
        // SAFETY: as the caller says.
        with_part::<Program, _>(|part| unsafe { part.deallocate(block, layout) });
    }
}

/// Changes the size of a block; null, and the block as it was, when there is no
/// memory. What has to be copied is copied outside of the section, as in [`allocate_zeroed`].
///
/// # Safety
/// As for [`deallocate`]; `new_size` is not zero, and valid with the alignment.
pub unsafe fn reallocate(block: NonNull<u8>, layout: Layout, new_size: usize) -> *mut u8 {
    // SAFETY: as the caller says.
    let new = unsafe { Layout::from_size_align_unchecked(new_size, layout.align()) };
    if with_part::<Program, _>(|part| part.resize(block, layout, new)) {
        return block.as_ptr();
    }
    let moved = allocate(new);
    if !moved.is_null() {
        // SAFETY: both are as long as the shorter one, and distinct; the caller does not use
        // the old one any more.
        unsafe {
            moved.copy_from_nonoverlapping(block.as_ptr(), layout.size().min(new_size));
            deallocate(block.as_ptr(), layout);
        }
    }
    moved
}

/// Whether `address`, of this node's slice, may be memory of the heap. Any context.
pub fn may_be_committed(address: u64) -> bool {
    HEAP.get()
        .is_some_and(|heap| heap.environment().chunks().may_be_committed(address))
}

/// What is at `address`, of this node's slice, if the heap uses it at this moment. Any context.
pub fn place_at(address: u64) -> Option<Place> {
    HEAP.get()?.place_at(address as usize)
}
