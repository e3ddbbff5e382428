//! How a node ends: by exit, by refusal at boot, by a panic or by a fault.

use core::fmt::{self, Write};
use core::panic::PanicInfo;
use core::sync::atomic::{AtomicBool, Ordering};

use spin::Once;
use x86_64::instructions::{hlt, interrupts, port::Port};

use crate::arch::{backtrace, percpu, smp};
use crate::console::LastWords;
use crate::control::DebugPort;
use crate::{cluster, console, control, params, sched, stats, trace};

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
    trace::dump();
    console::flush();
    stats::report();
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

/// The status of a program that ends because a part of it was lost (EX_TEMPFAIL of sysexits.h: it may
/// well work the next time).
pub const LOST_STATUS: i32 = 75;

/// Ends the node, and says so, because a part of the program is not to be had any more. Any
/// context.
pub fn lost(what: fmt::Arguments<'_>) -> ! {
    claim_last_words();
    say_lost(what);
    end(LOST_STATUS)
}

/// As [`lost`], of what a thread of the program needs: all nodes end. Thread context, no lock held.
pub fn lost_everywhere(what: fmt::Arguments<'_>) -> ! {
    end_everywhere(LOST_STATUS, || say_lost(what))
}

/// Says why the program ends, and ends it on all nodes. Thread context, no lock held.
fn end_everywhere(status: i32, say: impl FnOnce()) -> ! {
    if cluster::is_guest() {
        // When the others have heard of it, there may be no time to say anything.
        say();
        cluster::announce_end(status);
        claim_last_words();
    } else {
        claim_last_words();
        say();
    }
    end(status)
}

fn say_lost(what: fmt::Arguments<'_>) {
    let _ = writeln!(LastWords, "lost: {what}");
    control::record(format_args!("fault {what}"));
}

/// The command line, for a boot that ends before it is parsed.
static EARLY_LINE: Once<&'static str> = Once::new();

/// Keeps the command line for [`early`]. Boot.
pub fn set_early_line(line: &'static str) {
    EARLY_LINE.call_once(|| line);
}

/// Ends a boot that has neither memory nor console yet: says why on COM1 and as a
/// control record.
pub fn early(reason: &str) -> ! {
    early_about(reason, "")
}

/// [`early`], with a name at the end of the reason.
pub fn early_about(reason: &str, name: &str) -> ! {
    const COM1: u16 = 0x3f8;
    let say = |port: u16, first: &str| {
        for part in [first, reason, name, "\n"] {
            DebugPort(port).write(part.as_bytes());
        }
    };
    say(COM1, "darner cannot start: ");
    if let Some(port) = early_port("control=") {
        say(port, "kernel-error ");
        DebugPort(port).write(b"exit 1\n");
    }
    if let Some(port) = early_port("exit=") {
        // SAFETY: the command line names the debug-exit device's port.
        unsafe { Port::new(port).write(REFUSED_STATUS as u32) };
    }
    loop {
        hlt();
    }
}

/// The port that a command line option of that name gives.
fn early_port(option: &str) -> Option<u16> {
    let words = EARLY_LINE
        .get()?
        .split_ascii_whitespace()
        .take_while(|&word| word != "--");
    let value = words.filter_map(|word| word.strip_prefix(option)).next()?;
    params::parse_port(value)
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
    end_everywhere(PANIC_STATUS, || {
        control::record(format_args!("panic program"));
        backtrace(None, backtrace::frame_pointer());
    })
}
