//! The program as a whole: how it starts, how it ends, what it may ask about.

use alloc::string::String;
use core::alloc::Layout;
use core::arch::naked_asm;
use core::ffi::c_char;
use core::sync::atomic::{AtomicU32, Ordering};

use hermit_abi::pid_t;
use spin::Once;

use super::entry::on_kernel_stack;
use crate::arch::cpu::tsc;
use crate::arch::percpu;
use crate::cluster;
use crate::control::STD_TSC;
use crate::layout::PAGE;
use crate::memory::{frames, program_heap};
use crate::panic;
use crate::params;
use crate::sched::{self, Tid};

/// The image's TLS segment: what every thread gets a copy of.
#[derive(Clone, Copy, Debug)]
pub struct TlsTemplate {
    /// Address of the initial values.
    pub start: u64,
    /// How many bytes have initial values.
    pub file_bytes: usize,
    /// How many bytes there are; the rest is zero.
    pub bytes: usize,
    /// Their alignment.
    pub align: usize,
}

static TLS: Once<Option<TlsTemplate>> = Once::new();

/// Says where the TLS segment is. Called once, at boot.
pub fn set_tls(template: Option<TlsTemplate>) {
    TLS.call_once(|| template);
}

/// The TLS segment, if the program has one. Any context.
pub fn tls() -> Option<TlsTemplate> {
    TLS.get().copied().flatten()
}

/// The priority of a std thread (`hermit_abi::NORMAL_PRIO`).
pub const NORMAL_PRIORITY: u8 = 2;
/// What the main thread's stack may have: a sixteenth of the memory within these.
const LEAST_MAIN_STACK: u64 = 512 << 10;
const MOST_MAIN_STACK: u64 = 8 << 20;

unsafe extern "C" {
    /// std's entry; `argv` and `env` end with a null pointer.
    fn runtime_entry(argc: i32, argv: *const *const c_char, env: *const *const c_char) -> !;
}

/// The number of the thread that enters std.
static MAIN_THREAD: AtomicU32 = AtomicU32::new(0);

/// The number of the program's first thread, once there is one. Any context.
pub fn main_thread() -> Option<Tid> {
    Some(MAIN_THREAD.load(Ordering::Relaxed)).filter(|&tid| tid != 0)
}

/// Makes the thread that enters std. Called once, at boot; on a node of a cluster in thread
/// context.
pub fn start_program() {
    if cluster::is_active() {
        cluster::wait_formed();
        if cluster::is_guest() {
            // The first node has it; here only threads come up that it starts.
            return;
        }
    }
    let stack = (frames::total() / 16).clamp(LEAST_MAIN_STACK, MOST_MAIN_STACK);
    let started = sched::spawn(enter_std, 0, NORMAL_PRIORITY, stack, Some(0));
    match started {
        Ok(tid) => MAIN_THREAD.store(tid, Ordering::Relaxed),
        Err(_) => panic::refuse(format_args!(
            "{} KiB of memory are free, too little for the main thread's stack of {} KiB; give the VM more memory",
            frames::free() / 1024,
            stack / 1024
        )),
    }
}

/// The program's stack is where this runs, so what needs the kernel's code is done on the other.
extern "C" fn enter_std(_: usize) {
    let params = params::get().expect("parsed at boot");
    let Vectors { argv, env } = vectors();
    // SAFETY: both vectors end with a null pointer and live for ever.
    unsafe { runtime_entry(params.args.len() as i32, argv, env) }
}

/// What std is given, in two registers (System V ABI, section 3.2.3).
#[repr(C)]
struct Vectors {
    argv: *const *const c_char,
    env: *const *const c_char,
}

#[unsafe(naked)]
extern "C" fn vectors() -> Vectors {
    on_kernel_stack!(make_vectors)
}

extern "C" fn make_vectors() -> Vectors {
    let params = params::get().expect("parsed at boot");
    let (Some(argv), Some(env)) = (string_vector(&params.args), string_vector(&params.env)) else {
        panic::refuse(format_args!(
            "there is no memory for the program's arguments and environment; give the VM more memory"
        ));
    };
    STD_TSC.store(tsc(), Ordering::Relaxed);
    Vectors { argv, env }
}

/// Copies strings to the program's heap, as an array of pointers that ends with
/// null, followed by the characters.
fn string_vector(strings: &[String]) -> Option<*const *const c_char> {
    let pointers = (strings.len() + 1) * size_of::<*const c_char>();
    let characters: usize = strings.iter().map(|string| string.len() + 1).sum();
    let layout =
        Layout::from_size_align(pointers + characters, align_of::<*const c_char>()).ok()?;
    let block = program_heap::allocate(layout);
    if block.is_null() {
        return None;
    }
    let table = block.cast::<*const c_char>();
    // SAFETY: the block has room for all pointers, and behind them for every
    // string with its final zero; it is new, so nothing overlaps.
    unsafe {
        let mut next = block.add(pointers);
        for (index, string) in strings.iter().enumerate() {
            table.add(index).write(next.cast());
            core::ptr::copy_nonoverlapping(string.as_ptr(), next, string.len());
            next.add(string.len()).write(0);
            next = next.add(string.len() + 1);
        }
        table.add(strings.len()).write(core::ptr::null());
    }
    Some(table)
}

/// Ends the program, and with it the node, with the low 8 bits of `status`. What it has sent
/// over the network gets a little time to arrive.
pub extern "C" fn sys_exit(status: i32) -> ! {
    cluster::statistics::report();
    #[cfg(feature = "net")]
    crate::net::finish();
    panic::claim_last_words();
    panic::end(status)
}

/// Ends the program because it cannot go on; std's panics end here.
pub extern "C" fn sys_abort() -> ! {
    cluster::statistics::report();
    panic::program_abort()
}

/// The number of the calling thread. Two instructions, without the frame that
/// every other function of the kernel has.
#[unsafe(naked)]
#[unsafe(no_mangle)]
pub extern "C" fn sys_getpid() -> pid_t {
    naked_asm!("mov eax, gs:[{tid}]", "ret", tid = const percpu::TID)
}

/// Bytes of a page.
pub extern "C" fn sys_getpagesize() -> i32 {
    PAGE as i32
}

/// How many CPUs run the program's threads.
pub extern "C" fn sys_available_parallelism() -> usize {
    if cluster::is_active() {
        cluster::cpus()
    } else {
        percpu::online()
    }
}

/// The former name of [`sys_available_parallelism`].
pub extern "C" fn sys_get_processor_count() -> usize {
    sys_available_parallelism()
}

/// The error number of the calling thread's last failed call.
pub extern "C" fn sys_get_errno() -> i32 {
    sched::current().kept.last_error()
}

/// As [`sys_get_errno`].
pub extern "C" fn sys_errno() -> i32 {
    sched::current().kept.last_error()
}
