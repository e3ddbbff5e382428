//! Control records: what the kernel tells the tool that started the VM.
//!
//! One ASCII line a record on a debug console of its own, so that nothing of it
//! mixes with the program's output. Without that device, nothing is written.

use core::fmt::{self, Write};
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::arch::cpu::tsc;
use crate::{params, time};

/// Time-stamp counter at the loader's first instruction (0: not told).
pub static LOADER_TSC: AtomicU64 = AtomicU64::new(0);
/// Time-stamp counter at the kernel's first instruction.
pub static KERNEL_TSC: AtomicU64 = AtomicU64::new(0);
/// Time-stamp counter at the jump into std.
pub static STD_TSC: AtomicU64 = AtomicU64::new(0);

static BOOT_REPORTED: AtomicBool = AtomicBool::new(false);

/// A byte sink on an `isa-debugcon` port.
pub struct DebugPort(pub u16);

impl Write for DebugPort {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.write(text.as_bytes());
        Ok(())
    }
}

impl DebugPort {
    /// Writes `bytes`; the device takes them at once.
    pub fn write(&mut self, bytes: &[u8]) {
        // One instruction for all: a hypervisor is entered once then, and not for each byte.
        // SAFETY: the command line names the port of a debug console, which has no other effect than to
        // pass the bytes on; they are only read.
        unsafe {
            core::arch::asm!(
                "rep outsb",
                in("dx") self.0,
                inout("rsi") bytes.as_ptr() => _,
                inout("rcx") bytes.len() => _,
                options(readonly, nostack, preserves_flags),
            );
        }
    }
}

/// Writes one record. Any context; records of CPUs that write at the same time
/// could mix, so only the CPU that ends the VM writes more than the boot record.
pub fn record(args: fmt::Arguments<'_>) {
    if let Some(port) = params::get().and_then(|params| params.control) {
        // A debug console never fails.
        let _ = writeln!(DebugPort(port), "{args}");
    }
}

/// Reports the boot times, the first time it is called: at the program's first
/// output, or at its end when there was none.
#[inline]
pub fn report_boot() {
    if BOOT_REPORTED.load(Ordering::Relaxed) || BOOT_REPORTED.swap(true, Ordering::Relaxed) {
        return;
    }
    record(format_args!(
        "boot tsc_khz={} loader={} kernel={} std={} main={}",
        time::tsc_khz(),
        LOADER_TSC.load(Ordering::Relaxed),
        KERNEL_TSC.load(Ordering::Relaxed),
        STD_TSC.load(Ordering::Relaxed),
        tsc(),
    ));
}
