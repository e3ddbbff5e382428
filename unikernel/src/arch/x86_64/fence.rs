//! The fence between this processor and devices that run beside it.
//!
//! A device of software runs on another thread of the host and shares memory with the guest,
//! so a driver needs the fence that processors need among themselves. Processors have
//! it. QEMU's emulator has it only where it emulates several processors at the same time: else
//! it makes of MFENCE nothing and of LOCK an ordinary instruction (up to version 8.0 of both,
//! later of the second), and a notification is lost every million times or so. What it does
//! not take for less is an access to a device, for which it takes a lock of the host.

use core::sync::atomic::{AtomicBool, Ordering, fence};

use raw_cpuid::{CpuId, Hypervisor};
use x86_64::instructions::port::Port;

/// Where a PC takes the codes of its self test: reading has no effect, whether there is
/// something or not.
const SELF_TEST: u16 = 0x80;

static EMULATED: AtomicBool = AtomicBool::new(false);

/// Finds out what is needed here. Boot, before devices are used.
pub fn init() {
    let hypervisor = CpuId::new().get_hypervisor_info();
    let is_emulated = hypervisor.is_some_and(|info| info.identify() == Hypervisor::QEMU);
    EMULATED.store(is_emulated, Ordering::Relaxed);
}

/// Has what was written before this be seen by devices before anything after it is read.
/// Any context.
#[inline]
pub fn full() {
    fence(Ordering::SeqCst);
    if EMULATED.load(Ordering::Relaxed) {
        // SAFETY: see the port.
        unsafe { Port::<u8>::new(SELF_TEST).read() };
    }
}
