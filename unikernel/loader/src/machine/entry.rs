//! The first instructions: from PVH's 32-bit protected mode to 64-bit mode with
//! the first 4 GiB mapped one to one, then to [`boot`](super::boot::boot).

use core::arch::global_asm;

const STACK_BYTES: usize = 64 << 10;

#[repr(C, align(16))]
struct Stack([u8; STACK_BYTES]);

/// The loader's stack, and the one that the program is entered with.
static mut STACK: Stack = Stack([0; STACK_BYTES]);

global_asm!(
    include_str!("entry.s"),
    stack = sym STACK,
    stack_bytes = const STACK_BYTES,
    boot = sym super::boot::boot,
);

global_asm!(include_str!("no_long_mode.s"));
