//! The program's heap: this node's slice of the cluster heap.

use core::alloc::Layout;
use core::ptr::{NonNull, null_mut};

use darner_slab::{Heap, Misuse, magazine};
use spin::Once;

use super::heap::{Kind, Memory, Pages, with_part};
use crate::arch::percpu::{self, MAX_CPUS};
use crate::layout::{HEAP_BASE, HEAP_BOOK, HEAP_BOOK_END, HEAP_END};
use crate::panic;

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
}

/// Makes the heap. Boot, before the first CPU's block is made. Whether there was memory for
/// it.
pub fn init() -> bool {
    let memory = Memory::new(
        Pages::new(HEAP_BASE, HEAP_END, KERNEL_RESERVE),
        Pages::new(HEAP_BOOK, HEAP_BOOK_END, KERNEL_RESERVE),
    );
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

/// The same, filled with zeros.
pub fn allocate_zeroed(layout: Layout) -> *mut u8 {
    with_part::<Program, _>(|part| part.allocate_zeroed(layout)).map_or(null_mut(), NonNull::as_ptr)
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
/// memory.
///
/// # Safety
/// As for [`deallocate`]; `new_size` is not zero, and valid with the alignment.
pub unsafe fn reallocate(block: NonNull<u8>, layout: Layout, new_size: usize) -> *mut u8 {
    // SAFETY: as the caller says.
    with_part::<Program, _>(|part| unsafe { part.reallocate(block, layout, new_size) })
        .map_or(null_mut(), NonNull::as_ptr)
}
