//! The cheapest call of the system: what is the number of the caller?

use crate::counter;

const CALLS: u32 = 1_000_000;

/// Ticks of one call, with the loop around it.
pub fn run() -> f64 {
    counter::per_round(CALLS, getpid)
}

#[cfg(target_os = "hermit")]
#[inline]
fn getpid() {
    // SAFETY: the call takes nothing and changes nothing.
    unsafe { hermit_abi::getpid() };
}

/// Elsewhere, what std calls: on Linux, a real system call.
#[cfg(not(target_os = "hermit"))]
fn getpid() {
    std::hint::black_box(std::process::id());
}
