//! How a node ends: by exit, by refusal at boot, by a panic or by a fault.

use core::fmt::{self, Write};
use core::panic::PanicInfo;
use core::sync::atomic::{AtomicBool, Ordering};

use x86_64::instructions::{hlt, interrupts, port::Port};

use crate::arch::{backtrace, percpu, smp};
use crate::console::LastWords;
use crate::control::DebugPort;
use crate::{control, params, sched};

/// Exit status of a panic, of the kernel or of the program.
pub const PANIC_STATUS: i32 = 101;
/// Exit status of a node that could not start.
const REFUSED_STATUS: i32 = 1;

static LAST_WORDS: AtomicBool = AtomicBool::new(false);

/// Makes the calling CPU the only one that runs. A second CPU that comes here
/// stops.
pub fn claim_last_words() {
    interrupts::disable();
    if LAST_WORDS.swap(true, Ordering::AcqRel) {
        loop {
            hlt();
        }
    }
    smp::halt_others();
}

/// Whether some CPU has claimed the last words.
pub fn has_last_words() -> bool {
    LAST_WORDS.load(Ordering::Acquire)
}

/// Writes the frames from `frame` outwards (after `first`), for a person and as
/// control records, as link-time addresses.
pub fn backtrace(first: Option<u64>, frame: u64) {
    let _ = writeln!(
        LastWords,
        "backtrace (addresses of the program's ELF file, innermost first):"
    );
    backtrace::walk(first, frame, |address| {
        let _ = writeln!(LastWords, "  {address:#x}");
        control::record(format_args!("bt {address:x}"));
    });
}

/// Ends the node with the program's exit status.
pub fn end(status: i32) -> ! {
    control::report_boot();
    control::record(format_args!("exit {}", status as u8));
    power_off(status)
}

/// Ends the node because it cannot do what it was started for.
pub fn refuse(reason: fmt::Arguments<'_>) -> ! {
    claim_last_words();
    let _ = writeln!(LastWords, "darner cannot start: {reason}");
    control::record(format_args!("kernel-error {reason}"));
    end(REFUSED_STATUS)
}

/// Ends a boot that has neither console nor command line yet: COM1, byte by byte,
/// and the usual debug ports.
pub fn early(reason: &str) -> ! {
    const COM1: u16 = 0x3f8;
    DebugPort(COM1).write(b"darner cannot start: ");
    DebugPort(COM1).write(reason.as_bytes());
    DebugPort(COM1).write(b"\n");
    loop {
        hlt();
    }
}

fn power_off(status: i32) -> ! {
    interrupts::disable();
    if let Some(port) = params::get().and_then(|params| params.exit) {
        // The device ends the VM with (value << 1) | 1; 8 bits of that arrive.
        let value = u32::from(status as u8).min(127);
        // SAFETY: the command line names the debug-exit device's port.
        unsafe { Port::new(port).write(value) };
    }
    loop {
        hlt();
    }
}

#[panic_handler]
fn on_panic(info: &PanicInfo<'_>) -> ! {
    interrupts::disable();
    if has_last_words() && percpu::online() <= 1 {
        // A panic within the report of another: say no more.
        end(PANIC_STATUS);
    }
    claim_last_words();
    let _ = writeln!(
        LastWords,
        "kernel panic on cpu {}, thread {}: {info}",
        percpu::cpu_index(),
        sched::tid_for_report()
    );
    control::record(format_args!("panic kernel"));
    backtrace(None, backtrace::frame_pointer());
    end(PANIC_STATUS)
}

/// The program has aborted (a panic of the program ends here): report and end.
pub fn program_abort() -> ! {
    claim_last_words();
    control::record(format_args!("panic program"));
    backtrace(None, backtrace::frame_pointer());
    end(PANIC_STATUS)
}
