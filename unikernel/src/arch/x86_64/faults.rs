//! Exceptions: they name what the program (or the kernel) did and end the node.

use core::fmt::Write;
use core::sync::atomic::Ordering;

use x86_64::instructions::interrupts;
use x86_64::registers::control::Cr2;

use super::idt::TrapFrame;
use super::percpu;
use crate::cluster::{self, NoAccess, retirement};
use crate::memory::{paging, stacks};
use crate::trace::{self, Kind};
use crate::{boot, console, layout, panic, sched};

/// Exit status of a program that an exception ended, as a shell shows SIGSEGV.
pub const EXIT_STATUS: i32 = 139;

const PAGE_FAULT: u64 = 14;
const GENERAL_PROTECTION: u64 = 13;
/// Page-fault error code bits (Intel SDM vol. 3, 4.7).
const PRESENT: u64 = 1;
const WRITE: u64 = 2;
const FETCH: u64 = 16;

/// Reports an exception and ends the node. Runs on the fault stack of its CPU,
/// with interrupts off.
pub extern "C" fn exception(frame: &TrapFrame) -> ! {
    panic::claim_last_words();
    if percpu::online() > 0 {
        trace::event(Kind::Fault, frame.vector);
    }
    let mut text = ArrayText::new();
    describe(frame, &mut text);
    let who = if boot::is_kernel_text(frame.rip) {
        "the kernel"
    } else {
        "the program"
    };
    let _ = write!(text, ", in {who} at ");
    match boot::link_address(frame.rip) {
        Some(address) => {
            let _ = write!(text, "image+{address:#x}");
        }
        None => {
            let _ = write!(text, "{:#x}", frame.rip);
        }
    }
    let _ = write!(
        text,
        " (thread {}, cpu {})",
        sched::tid_for_report(),
        percpu::cpu_index()
    );
    let _ = writeln!(console::LastWords, "fault: {}", text.as_str());
    if log::log_enabled!(log::Level::Debug) {
        let _ = writeln!(console::LastWords, "{frame:x?}");
    }
    crate::control::record(format_args!("fault {}", text.as_str()));
    // A call to an address that is not code leaves the caller's address on the
    // stack, with no frame of its own.
    let rip_is_code = boot::link_address(frame.rip).is_some();
    if !rip_is_code && frame.rsp.is_multiple_of(8) && paging::is_mapped(frame.rsp) {
        // SAFETY: the word is mapped and aligned.
        let caller = unsafe { (frame.rsp as *const u64).read() };
        panic::backtrace(Some(caller), frame.rbp);
    } else {
        panic::backtrace(Some(frame.rip), frame.rbp);
    }
    panic::end(EXIT_STATUS)
}

/// Whether an access that faulted can wait for its page: the page is cluster memory, and the
/// thread is where it may block. Interrupts are off.
pub fn may_wait(frame: &TrapFrame, address: u64) -> bool {
    const INTERRUPTS: u64 = 1 << 9;
    let cpu = percpu::this_cpu();
    cluster::covers(address)
        && frame.rflags & INTERRUPTS != 0
        && !cpu.is_critical()
        // The idle context has no stack to wait on.
        && cpu.kernel_stack.load(Ordering::Relaxed) != 0
}

/// Waits until the page may be accessed as it was tried. On the thread's kernel stack, in
/// thread context. What cannot be had ends the program.
pub extern "C" fn wait_for_page(address: u64, frame: &mut TrapFrame) {
    let write = frame.error & WRITE != 0;
    let fetch = frame.error & FETCH != 0;
    let result = match fetch {
        true => Err(NoAccess::Wild),
        false => cluster::fault(address, write, frame),
    };
    match result {
        Ok(()) => {}
        Err(NoAccess::Lost) => cluster::lost::report(address),
        Err(NoAccess::Wild) => {
            interrupts::disable();
            // SAFETY: the register only says where the last page fault was. Others have come since
            // this one, and the report is about this one.
            unsafe { core::arch::asm!("mov cr2, {}", in(reg) address, options(nostack, nomem)) };
            exception(frame);
        }
    }
}

/// A debug exception: an instruction that was watched is done, or else ends the node. On the fault
/// stack, with interrupts off.
pub extern "C" fn debug(frame: &mut TrapFrame) {
    let thread = sched::current();
    if !retirement::retired(frame, &thread.kept.given) {
        exception(frame);
    }
}

fn describe(frame: &TrapFrame, text: &mut ArrayText) {
    let _ = match frame.vector {
        PAGE_FAULT => describe_page_fault(frame.error, Cr2::read_raw(), frame.rsp, text),
        GENERAL_PROTECTION => write!(
            text,
            "general protection fault (error code {:#x}): an access to a non-canonical address, or a privileged operation",
            frame.error
        ),
        vector => write!(text, "{} (error code {:#x})", name(vector), frame.error),
    };
}

fn describe_page_fault(
    error: u64,
    address: u64,
    rsp: u64,
    text: &mut ArrayText,
) -> core::fmt::Result {
    let access = if error & FETCH != 0 {
        "execute"
    } else if error & WRITE != 0 {
        "write"
    } else {
        "read"
    };
    if let Some(hit) = stacks::guard_at(address).or_else(|| {
        stacks::guard_at(rsp)
            .filter(|_| error & PRESENT == 0 && address.abs_diff(rsp) < layout::PAGE)
    }) {
        return write!(
            text,
            "stack overflow: {access} at {address:#x} in the guard below the {} stack of {} KiB",
            hit.kind,
            hit.bytes / 1024
        );
    }
    if error & PRESENT == 0 {
        if address < 0x1_0000 {
            return write!(text, "null pointer dereference: {access} at {address:#x}");
        }
        return write!(text, "{access} at {address:#x}, which is not mapped");
    }
    match access {
        "execute" => write!(text, "execute at {address:#x}, which is data and not code"),
        "write" if boot::is_text(address) => {
            write!(text, "write at {address:#x}, which is code and read-only")
        }
        "write" => write!(text, "write at {address:#x}, which is read-only"),
        _ => write!(
            text,
            "{access} at {address:#x} is forbidden (error code {error:#x})"
        ),
    }
}

fn name(vector: u64) -> &'static str {
    match vector {
        0 => "division by zero or overflow",
        1 => "debug exception",
        2 => "non-maskable interrupt",
        3 => "breakpoint",
        4 => "overflow",
        5 => "bound range exceeded",
        6 => "invalid instruction",
        7 => "vector unit not available",
        8 => "double fault",
        10 => "invalid task state",
        11 => "segment not present",
        12 => "stack fault: an access through the stack pointer to a non-canonical address",
        16 => "x87 floating-point exception",
        17 => "misaligned access",
        18 => "machine check",
        19 => "SIMD floating-point exception",
        _ => "unknown exception",
    }
}

/// Text in a fixed buffer: the heap may be what broke.
struct ArrayText {
    bytes: [u8; 256],
    len: usize,
}

impl ArrayText {
    const fn new() -> Self {
        Self {
            bytes: [0; 256],
            len: 0,
        }
    }

    fn as_str(&self) -> &str {
        core::str::from_utf8(&self.bytes[..self.len]).unwrap_or("(unreadable)")
    }
}

impl Write for ArrayText {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        for byte in text.bytes() {
            if self.len == self.bytes.len() {
                break;
            }
            self.bytes[self.len] = byte;
            self.len += 1;
        }
        Ok(())
    }
}
