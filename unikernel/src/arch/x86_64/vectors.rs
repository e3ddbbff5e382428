//! The vector registers: who has them, and how they change hands.
//!
//! They are the program's. The kernel's own code has none, so they stay as they are while it runs, until
//! another thread of the program does. Code of the kernel that was compiled to use them gets them by [`lend`].

use core::arch::naked_asm;
use core::ffi::c_void;

use super::cpu;

/// Saves the vector state below, 64-aligned; its size is known at boot.
macro_rules! push_vector_state {
    () => {
        "call {vector_bytes}
         sub rsp, rax
         and rsp, -64
         mov rdi, rsp
         call {save_vector}"
    };
}
pub(super) use push_vector_state;

/// Bytes of the vector state. Any context.
pub(super) extern "C" fn vector_bytes() -> usize {
    cpu::vector_state_bytes()
}

/// Saves this CPU's vector state.
///
/// # Safety
/// `area` is 64-aligned and has [`cpu::vector_state_bytes`] bytes.
pub(super) unsafe extern "C" fn save_vector(area: *mut u8) {
    // SAFETY: the caller vouches for the area; the header must be zero for
    // XRSTOR, and XSAVE only sets bits of its first word.
    unsafe {
        if cpu::has_xsave() {
            core::ptr::write_bytes(area.add(512), 0, 64);
            core::arch::asm!("xsave64 [{}]", in(reg) area, in("eax") !0u32, in("edx") !0u32, options(nostack));
        } else {
            core::arch::asm!("fxsave64 [{}]", in(reg) area, options(nostack));
        }
    }
}

/// Loads what was saved.
///
/// # Safety
/// `area` was filled by [`save_vector`].
pub(super) unsafe extern "C" fn load_vector(area: *const u8) {
    // SAFETY: as the caller says.
    unsafe {
        if cpu::has_xsave() {
            core::arch::asm!("xrstor64 [{}]", in(reg) area, in("eax") !0u32, in("edx") !0u32, options(nostack));
        } else {
            core::arch::asm!("fxrstor64 [{}]", in(reg) area, options(nostack));
        }
    }
}

/// Calls `work(argument)` with vector registers, which are afterwards as they were before. In any thread, also in
/// an interrupt thread that has interrupted the program: those that interrupt this one either use no
/// vector registers, or come by them in the same way.
///
/// # Safety
/// As for calling `work`, which must not block.
#[unsafe(naked)]
pub unsafe extern "C" fn lend(work: unsafe extern "C" fn(*mut c_void), argument: *mut c_void) {
    naked_asm!(
        "push rbp",
        "mov rbp, rsp",
        "push rbx",
        "push r12",
        "push r13",
        "push r14",
        "mov rbx, rdi",
        "mov r12, rsi",
        push_vector_state!(),
        "mov r13, rsp",
        "mov rdi, r12",
        "call rbx",
        "mov rdi, r13",
        "call {load_vector}",
        "lea rsp, [rbp - 32]",
        "pop r14",
        "pop r13",
        "pop r12",
        "pop rbx",
        "pop rbp",
        "ret",
        vector_bytes = sym vector_bytes,
        save_vector = sym save_vector,
        load_vector = sym load_vector,
    )
}
