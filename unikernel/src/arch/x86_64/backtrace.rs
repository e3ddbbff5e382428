//! Return addresses along the frame-pointer chain.

use crate::boot;
use crate::layout::{KERNEL_STACKS, KERNEL_STACKS_END};
use crate::memory::paging;

/// The caller's frame pointer.
#[inline(always)]
pub fn frame_pointer() -> u64 {
    let frame: u64;
    // SAFETY: reading a register.
    unsafe {
        core::arch::asm!("mov {}, rbp", out(reg) frame, options(nomem, nostack, preserves_flags))
    };
    frame
}

/// Calls `each` with the link-time address of `first` (when it is code) and of
/// every return address from `frame` outwards. Reads only memory that is mapped,
/// so that a damaged chain ends instead of faulting.
pub fn walk(first: Option<u64>, frame: u64, mut each: impl FnMut(u64)) {
    if let Some(address) = first.and_then(boot::link_address) {
        each(address);
    }
    let mut frame = frame;
    for _ in 0..64 {
        if frame == 0
            || !frame.is_multiple_of(8)
            || !paging::is_mapped(frame)
            || !paging::is_mapped(frame + 8)
        {
            return;
        }
        // SAFETY: both words are mapped and aligned; a wrong value only gives a
        // wrong line in the backtrace.
        let (next, address) = unsafe {
            (
                (frame as *const u64).read(),
                (frame as *const u64).add(1).read(),
            )
        };
        match boot::link_address(address) {
            Some(address) => each(address),
            None => return,
        }
        // Stacks grow down: an outer frame is above. But the program's frames are outside of
        // those on the kernel stack.
        let leaves_kernel = is_kernel_stack(frame) && !is_kernel_stack(next);
        if next <= frame && !leaves_kernel {
            return;
        }
        frame = next;
    }
}

fn is_kernel_stack(address: u64) -> bool {
    (KERNEL_STACKS..KERNEL_STACKS_END).contains(&address)
}
