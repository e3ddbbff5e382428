//! The context switch and a thread's first steps.
//!
//! A voluntary switch is part of a function, for the compiler: it keeps rbx, rbp, the
//! stack pointer and the control words of SSE and x87, and says that all other
//! registers change. So only what is alive there is saved. Vector registers are the
//! interrupt entry's business.

use core::arch::{asm, naked_asm};

/// Saves the running context, stores its stack pointer to `*save` and continues
/// the context whose stack pointer is `load`.
///
/// # Safety
/// `load` must come from an earlier `switch` (or [`prepare`]) of a context that
/// runs nowhere; in a critical section, with interrupts on.
#[inline(always)]
pub unsafe fn switch(save: *mut usize, load: usize) {
    // SAFETY: the other context comes back here with the stack as it was; all
    // registers but those that are kept are named as changed.
    unsafe {
        asm!(
            "push rbx",
            "push rbp",
            "lea rax, [rip + 2f]",
            "push rax",
            "sub rsp, 8",
            "stmxcsr [rsp]",
            "fnstcw [rsp + 4]",
            "mov [rdi], rsp",
            "mov rsp, rsi",
            "ldmxcsr [rsp]",
            "fldcw [rsp + 4]",
            "add rsp, 8",
            "ret",
            "2:",
            "pop rbp",
            "pop rbx",
            inout("rdi") save => _,
            inout("rsi") load => _,
            out("r12") _,
            out("r13") _,
            out("r14") _,
            out("r15") _,
            clobber_abi("sysv64"),
        )
    }
}

/// Lays out a new context on the kernel stack that ends at `top` so that the first
/// switch to it calls `start`, then `entry(arg)` and, if that returns, `exit`. `entry` runs on
/// the stack that ends at `program_stack` if there is one. Returns the stack pointer for
/// [`switch`].
///
/// # Safety
/// The 128 bytes below `top` must be writable and unused; both stacks' ends are 16-aligned.
pub unsafe fn prepare(
    top: u64,
    start: extern "C" fn(),
    entry: extern "C" fn(usize),
    arg: usize,
    exit: extern "C" fn() -> !,
    program_stack: Option<u64>,
) -> u64 {
    let words: [u64; 8] = [
        // MXCSR all exceptions masked, x87 control word likewise.
        0x1f80 | (0x037f << 32),
        first_steps as *const () as u64,
        start as *const () as u64,
        entry as *const () as u64,
        arg as u64,
        exit as *const () as u64,
        program_stack.unwrap_or(0),
        0,
    ];
    let sp = top - core::mem::size_of_val(&words) as u64;
    // SAFETY: the caller vouches for the memory.
    unsafe { (sp as *mut [u64; 8]).write(words) };
    sp
}

/// Where a new context comes up: `start` ends the switch, then the thread runs.
#[unsafe(naked)]
unsafe extern "C" fn first_steps() {
    naked_asm!(
        "pop r12",
        "pop r13",
        "pop r14",
        "pop r15",
        "pop rbx",
        "fninit",
        // The end of the frame chain.
        "xor ebp, ebp",
        "and rsp, -16",
        "call r12",
        "mov r12, rsp",
        "test rbx, rbx",
        "cmovnz rsp, rbx",
        "mov rdi, r14",
        "call r13",
        // What is on the kernel stack is from calls that are over.
        "mov rsp, r12",
        "call r15",
        "ud2",
    )
}
