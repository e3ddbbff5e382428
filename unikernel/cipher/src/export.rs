//! The C functions that the kernel calls.

use core::ffi::c_void;

use crate::Task;

/// [`Task::seal`].
///
/// # Safety
/// `task` points to a [`Task`] that nobody else uses meanwhile.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn darner_cipher_seal(task: *mut c_void) {
    // SAFETY: as the caller says.
    unsafe { (*task.cast::<Task<'_>>()).seal() }
}

/// [`Task::open`].
///
/// # Safety
/// As for [`darner_cipher_seal`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn darner_cipher_open(task: *mut c_void) {
    // SAFETY: as the caller says.
    unsafe { (*task.cast::<Task<'_>>()).open() }
}

/// Nothing in this crate panics; a `no_std` library must name a handler all the same. Should it ever run, an
/// invalid instruction ends the node with the kernel's report.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    // SAFETY: `ud2` raises an exception and does not return; it needs nothing.
    unsafe { core::arch::asm!("ud2", options(noreturn, nomem, nostack)) }
}
