//! The two calls that programs make most often: memory, and back with it.
//!
//! A block that is at hand in the CPU's magazine is taken, or put there, by a *restartable
//! sequence* (Bershad, Redell and Ellis, "Fast mutual exclusion for uniprocessors", 1992):
//! instructions that look, and then change the magazine by their last, which stores its
//! length. Who is interrupted before that begins anew ([`restart`]), on whatever CPU that
//! then is. So there is no critical section to enter and to leave. What a magazine cannot
//! do is done in one, by [`darner_slab`].
//!
//! Nothing but the program calls them, so nothing is interrupted within them that a
//! handler would go on with.

use core::arch::naked_asm;

#[cfg(not(debug_assertions))]
use darner_slab::magazine::CAPACITY;
use darner_slab::magazine::{LENGTH, MASKS, SLOTS};

use super::entry::{sys_alloc, sys_dealloc};
use crate::arch::percpu::MAGAZINES;

/// `size` bytes of the program's heap, aligned to `align`; null: there are none,
/// or `align` is not a power of two.
///
/// The block is the newest of the magazine for the [mask](darner_slab::class::mask).
#[unsafe(naked)]
#[unsafe(no_mangle)]
pub extern "C" fn sys_malloc(size: usize, align: usize) -> *mut u8 {
    naked_asm!(
        // One for `restart` to compare with.
        ".global darner_malloc_first",
        "darner_malloc_first:",
        "lea rax, [rdi - 1]",
        "lea rcx, [rsi - 1]",
        // A power of two has no bit in common with the number before it.
        "test rsi, rcx",
        "jnz {slowly}",
        "or rax, rcx",
        "cmp rax, {masks}",
        "jae {slowly}",
        "and eax, -8",
        "mov rdx, gs:[rax + {magazines}]",
        "mov ecx, [rdx + {length}]",
        "dec ecx",
        "js {slowly}",
        "mov rax, [rdx + 8 * rcx + {slots}]",
        ".global darner_malloc_last",
        "darner_malloc_last:",
        "mov [rdx + {length}], ecx",
        "ret",
        masks = const MASKS,
        magazines = const MAGAZINES,
        length = const LENGTH,
        slots = const SLOTS,
        slowly = sym sys_alloc,
    )
}

/// Gives a block back; null is nothing.
///
/// # Safety
/// The block came from this heap with `size` and `align` and is not used any more.
#[cfg(not(debug_assertions))]
#[unsafe(naked)]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sys_free(ptr: *mut u8, size: usize, align: usize) {
    naked_asm!(
        ".global darner_free_first",
        "darner_free_first:",
        "test rdi, rdi",
        "jz {slowly}",
        "lea rax, [rsi - 1]",
        "lea rcx, [rdx - 1]",
        "or rax, rcx",
        "cmp rax, {masks}",
        "jae {slowly}",
        "and eax, -8",
        "mov rcx, gs:[rax + {magazines}]",
        "mov eax, [rcx + {length}]",
        "cmp eax, [rcx + {capacity}]",
        "je {slowly}",
        // Above what is there, where nobody looks.
        "mov [rcx + 8 * rax + {slots}], rdi",
        ".global darner_free_last",
        "darner_free_last:",
        "inc dword ptr [rcx + {length}]",
        "ret",
        masks = const MASKS,
        magazines = const MAGAZINES,
        length = const LENGTH,
        capacity = const CAPACITY,
        slots = const SLOTS,
        slowly = sym sys_dealloc,
    )
}

/// Gives a block back; null is nothing. With debug assertions wrong frees are found at once,
/// which takes a look at more than the magazine.
///
/// # Safety
/// The block came from this heap with `size` and `align` and is not used any more.
#[cfg(debug_assertions)]
#[unsafe(naked)]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sys_free(ptr: *mut u8, size: usize, align: usize) {
    naked_asm!("jmp {slowly}", slowly = sym sys_dealloc)
}

unsafe extern "C" {
    static darner_malloc_first: u8;
    static darner_malloc_last: u8;
    #[cfg(not(debug_assertions))]
    static darner_free_first: u8;
    #[cfg(not(debug_assertions))]
    static darner_free_last: u8;
}

/// First and last address of each sequence; the last is that of the instruction that
/// changes something.
#[inline]
pub fn sequences() -> impl Iterator<Item = (u64, u64)> {
    [
        (
            &raw const darner_malloc_first,
            &raw const darner_malloc_last,
        ),
        #[cfg(not(debug_assertions))]
        (&raw const darner_free_first, &raw const darner_free_last),
    ]
    .into_iter()
    .map(|(first, last)| (first as u64, last as u64))
}

/// Where code that was interrupted at `address` goes on: there, or, within a sequence
/// that has not changed anything yet, at its beginning. Its arguments are in their registers
/// all the while. Interrupt handlers.
#[inline]
pub fn restart(address: u64) -> u64 {
    sequences()
        .find(|&(first, last)| (first..=last).contains(&address))
        .map_or(address, |(first, _)| first)
}
