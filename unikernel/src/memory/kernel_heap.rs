//! The kernel's own heap: the global allocator of kernel code.

use core::alloc::{GlobalAlloc, Layout};
use core::mem::ManuallyDrop;
use core::ptr::{NonNull, null_mut};
use core::sync::atomic::{AtomicPtr, Ordering};

use darner_slab::{Heap, Local, Misuse};
use spin::Once;

use super::heap::{Kind, Memory, Pages, with_part};
use crate::arch::percpu::{self, MAX_CPUS};
use crate::layout::{KERNEL_HEAP, KERNEL_HEAP_BOOK, KERNEL_HEAP_BOOK_END, KERNEL_HEAP_END};

/// The kind of this heap.
pub struct Kernel;

static HEAP: Once<Heap<Memory<Kernel>>> = Once::new();
/// The boot CPU's part, before it has a block.
static BOOT_PART: AtomicPtr<()> = AtomicPtr::new(null_mut());

impl Kind for Kernel {
    #[inline(always)]
    fn part() -> NonNull<()> {
        // SAFETY: `PerCpu::create` puts it there.
        unsafe { NonNull::new_unchecked(percpu::kernel_heap()) }
    }

    fn misuse(misuse: Misuse, address: usize) {
        debug_assert!(false, "the kernel frees {address:#x}: {misuse}");
        log::error!("the kernel frees {address:#x}: {misuse}; it is not freed");
    }
}

/// Makes the heap, and the boot CPU's part of it. Boot, once frames can be allocated and
/// mapped, before anything is allocated. Whether there was memory for it.
pub fn init() -> bool {
    let memory = Memory::new(
        Pages::new(KERNEL_HEAP, KERNEL_HEAP_END, 0),
        Pages::new(KERNEL_HEAP_BOOK, KERNEL_HEAP_BOOK_END, 0),
    );
    let Ok(heap) = Heap::new(memory, MAX_CPUS) else {
        return false;
    };
    let heap = HEAP.call_once(|| heap);
    let Some(part) = heap.claim(0) else {
        return false;
    };
    BOOT_PART.store(part.into_raw().as_ptr(), Ordering::Release);
    true
}

/// The part of CPU `cpu`, whose block is being made.
///
/// # Panics
/// When there is no memory for it, or it was asked for before.
pub fn part_of(cpu: usize) -> NonNull<()> {
    let part = match cpu {
        0 => NonNull::new(BOOT_PART.load(Ordering::Acquire)),
        _ => HEAP
            .get()
            .and_then(|heap| heap.claim(cpu))
            .map(Local::into_raw),
    };
    part.expect("memory for a CPU's part of the kernel's heap")
}

/// The heap, for its statistics.
pub fn get() -> Option<&'static Heap<Memory<Kernel>>> {
    HEAP.get()
}

/// Calls `call` with the calling CPU's part.
#[inline(always)]
fn here<R>(call: impl FnOnce(&mut Local<'static, Memory<Kernel>>) -> R) -> Option<R> {
    if percpu::online() == 0 {
        return at_boot(call);
    }
    Some(with_part(call))
}

/// While there is one CPU, without a block, which nothing interrupts.
#[cold]
fn at_boot<R>(call: impl FnOnce(&mut Local<'static, Memory<Kernel>>) -> R) -> Option<R> {
    let part = NonNull::new(BOOT_PART.load(Ordering::Relaxed))?;
    // SAFETY: the part was claimed for good, and this is all that runs.
    let mut local = ManuallyDrop::new(unsafe { Local::from_raw(part) });
    Some(call(&mut local))
}

fn pointer(memory: Option<Option<NonNull<u8>>>) -> *mut u8 {
    memory.flatten().map_or(null_mut(), NonNull::as_ptr)
}

/// The kernel's heap as Rust's allocator. Any context but exceptions.
struct KernelHeap;

#[global_allocator]
static ALLOCATOR: KernelHeap = KernelHeap;

// SAFETY: the heap hands out memory for layouts, each byte to one at a time.
unsafe impl GlobalAlloc for KernelHeap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        pointer(here(|part| part.allocate(layout)))
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        pointer(here(|part| part.allocate_zeroed(layout)))
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if let Some(block) = NonNull::new(block) {
            // SAFETY: the caller passes a block of this heap with its layout.
            here(|part| unsafe { part.deallocate(block, layout) });
        }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        let Some(block) = NonNull::new(block) else {
            return null_mut();
        };
        // SAFETY: as for `dealloc`; the new size is valid with the alignment.
        pointer(here(|part| unsafe {
            part.reallocate(block, layout, new_size)
        }))
    }
}
