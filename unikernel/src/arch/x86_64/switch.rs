//! The context switch and a thread's first steps.
//!
//! A voluntary switch is a function call, so it saves what the System V ABI says
//! a call keeps: rbx, rbp, r12 to r15, the stack pointer, and the control words
//! of SSE and x87. Vector registers are the interrupt entry's business.

use core::arch::naked_asm;

/// Saves the running context, stores its stack pointer to `*save` and continues
/// the context whose stack pointer is `load`.
///
/// # Safety
/// `load` must come from an earlier `switch` (or [`prepare`]) of a context that
/// runs nowhere; in a critical section, with interrupts on.
#[unsafe(naked)]
pub unsafe extern "C" fn switch(save: *mut usize, load: usize) {
    naked_asm!(
        "push rbx",
        "push rbp",
        "push r12",
        "push r13",
        "push r14",
        "push r15",
        "sub rsp, 8",
        "stmxcsr [rsp]",
        "fnstcw [rsp + 4]",
        "mov [rdi], rsp",
        "mov rsp, rsi",
        "ldmxcsr [rsp]",
        "fldcw [rsp + 4]",
        "add rsp, 8",
        "pop r15",
        "pop r14",
        "pop r13",
        "pop r12",
        "pop rbp",
        "pop rbx",
        "ret",
    )
}

/// Lays out a new context on the stack that ends at `top` so that the first
/// switch to it calls `entry(arg)` and, if that returns, `exit`. Returns the
/// stack pointer for [`switch`].
///
/// # Safety
/// The 128 bytes below `top` must be writable and unused; `top` is 16-aligned.
pub unsafe fn prepare(
    top: u64,
    start: extern "C" fn(),
    entry: extern "C" fn(usize),
    arg: usize,
    exit: extern "C" fn() -> !,
) -> u64 {
    let words: [u64; 12] = [
        // MXCSR all exceptions masked, x87 control word likewise.
        0x1f80 | (0x037f << 32),
        exit as *const () as u64,  // r15
        arg as u64,                // r14
        entry as *const () as u64, // r13
        start as *const () as u64, // r12
        0,                         // rbp: the end of the frame chain
        0,                         // rbx
        first_steps as *const () as u64,
        0,
        0,
        0,
        0,
    ];
    let sp = top - core::mem::size_of_val(&words) as u64;
    // SAFETY: the caller vouches for the memory.
    unsafe { (sp as *mut [u64; 12]).write(words) };
    sp
}

/// Where a new context comes up: `start` ends the switch, then the thread runs.
#[unsafe(naked)]
unsafe extern "C" fn first_steps() {
    naked_asm!(
        "fninit",
        "xor ebp, ebp",
        "and rsp, -16",
        "call r12",
        "mov rdi, r14",
        "call r13",
        "call r15",
        "ud2",
    )
}
