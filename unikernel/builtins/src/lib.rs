//! The C functions that a `std` program for Hermit's target leaves undefined.
//!
//! The compiler turns copies, fills and comparisons into calls of `memcpy` and
//! its kin, and elsewhere a C library has them. A Darner program links none, so
//! `libhermit.a` carries this crate next to the kernel. It is built for the
//! program's own target, where copies may use vector registers; the kernel's own
//! code calls nothing in here.
//!
//! Integer helpers (`__udivti3`, ...) and the C functions behind `f64::sin` and
//! the like are not here: on this target `std` brings its own.
//!
//! `mem` holds the algorithms, testable on any machine; `export` gives them
//! their C names.

#![cfg_attr(not(test), no_std)]
// A loop that copies bytes must stay a loop: were it recognised as a copy and
// replaced by a call of `memcpy`, `memcpy` would call itself for ever.
#![no_builtins]

// A test program has these names from the host's C library.
#[cfg(not(test))]
mod export;
mod mem;

/// Nothing in this crate panics; a `no_std` library must name a handler all the
/// same. Should it ever run, an invalid instruction ends the program with the
/// kernel's fault report.
#[cfg(not(test))]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    // SAFETY: `ud2` raises an exception and does not return; it needs nothing.
    unsafe { core::arch::asm!("ud2", options(noreturn, nomem, nostack)) }
}
