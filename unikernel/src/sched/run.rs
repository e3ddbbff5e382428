//! Starting, blocking and ending threads.

use alloc::collections::BTreeMap;
use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use darner_lwkt::{Critical, Priority, Thread, Wakeup};
use x86_64::instructions::interrupts;

use super::futex::{futex_wait_until, futex_wake};
use super::machine::{Kernel, leave, scheduler};
use super::thread::{Kept, Owned, SpawnError, ThreadRef, Tid, Tls};
use crate::arch::percpu;
use crate::arch::switch::prepare;
use crate::cluster;
use crate::memory::heap;
use crate::memory::stacks::{Discarded, KernelStack, ProgramStack};
use crate::sync::RwLock;
use crate::time::monotonic_ns;

/// All threads that have not ended.
pub(super) static THREADS: RwLock<BTreeMap<Tid, ThreadRef>> = RwLock::new(BTreeMap::new());
/// Those of them that run the kernel's code only.
pub(super) static KERNEL_THREADS: AtomicUsize = AtomicUsize::new(0);
static LAST_TID: AtomicU32 = AtomicU32::new(0);

/// Threads' numbers have their node in the bits from this one on, but for the sign.
const NODE_BIT: u32 = 25;

/// The node that a thread was started on.
pub fn node_of(tid: Tid) -> u16 {
    (tid >> NODE_BIT) as u16
}

/// Says which node of a cluster this is. Boot, before there are threads.
pub fn set_node(node: u16) {
    LAST_TID.store(u32::from(node) << NODE_BIT, Ordering::Relaxed);
}

/// The first code of a new thread: ends the switch that brought it up.
pub(super) extern "C" fn begin() {
    // SAFETY: `prepare` has each thread call this once, first of all.
    unsafe { scheduler().begin() };
}

extern "C" fn end() -> ! {
    exit_current()
}

/// Starts a thread of the program, which calls `entry(arg)` and ends when that returns; on CPU
/// `cpu` if there is one of that number. Priorities above 31 are 31. Thread context (or
/// boot), no lock held.
pub fn spawn(
    entry: extern "C" fn(usize),
    arg: usize,
    priority: u8,
    stack_bytes: u64,
    cpu: Option<usize>,
) -> Result<Tid, SpawnError> {
    reap();
    let kernel_stack = KernelStack::new().ok_or(SpawnError::NoMemory)?;
    let stack = ProgramStack::new(stack_bytes).ok_or(SpawnError::NoMemory)?;
    let tls = match Tls::new() {
        Ok(tls) => tls,
        Err(error) => {
            stack.release(&mut Discarded::new());
            return Err(error);
        }
    };
    let owned = Some(Owned { stack, tls });
    start(Routine { entry, arg }, priority, kernel_stack, owned, cpu)
}

/// Starts a thread that runs the kernel's code only, and does not end. Else as [`spawn`].
pub fn spawn_kernel(
    entry: extern "C" fn(usize),
    arg: usize,
    priority: u8,
    stack_bytes: u64,
    cpu: Option<usize>,
) -> Result<Tid, SpawnError> {
    let kernel_stack = KernelStack::large(stack_bytes).ok_or(SpawnError::NoMemory)?;
    let tid = start(Routine { entry, arg }, priority, kernel_stack, None, cpu)?;
    KERNEL_THREADS.fetch_add(1, Ordering::Relaxed);
    Ok(tid)
}

/// What a thread does.
struct Routine {
    entry: extern "C" fn(usize),
    arg: usize,
}

fn start(
    routine: Routine,
    priority: u8,
    kernel_stack: KernelStack,
    owned: Option<Owned>,
    cpu: Option<usize>,
) -> Result<Tid, SpawnError> {
    let next = |last: u32| {
        last.checked_add(1).filter(|&tid| {
            let stays_here = !cluster::is_active() || node_of(tid) == node_of(last);
            stays_here && i32::try_from(tid).is_ok()
        })
    };
    let Ok(last) = LAST_TID.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next) else {
        if let Some(owned) = owned {
            owned.release(&mut Discarded::new());
        }
        return Err(SpawnError::NoMemory);
    };
    let tid = last + 1;
    let Routine { entry, arg } = routine;
    let program_stack = owned.as_ref().map(|owned| owned.stack.top());
    // SAFETY: the kernel stack is new, writable and larger than what is laid out; the ends of
    // stacks are aligned.
    let stack_pointer =
        unsafe { prepare(kernel_stack.top(), begin, entry, arg, end, program_stack) };
    let kept = Kept::new(tid, kernel_stack, owned);
    let thread = Thread::new(priority_from(priority), stack_pointer as usize, kept);
    THREADS.write().insert(tid, thread.clone());
    // SAFETY: it is new.
    unsafe { scheduler().start(thread, cpu) };
    Ok(tid)
}

fn priority_from(number: u8) -> Priority {
    Priority::new(number.min(Priority::HIGHEST.number()))
}

/// Ends the calling thread. Thread context, interrupts on, no lock held.
pub fn exit_current() -> ! {
    // A CPU that is never idle, and on which nobody starts threads, would otherwise
    // keep the memory of all that end there.
    reap();
    let me = current();
    if cluster::is_active() {
        cluster::census::ended(me.kept.tid);
    }
    // First it cannot be found, then those who looked for it are told.
    drop(THREADS.write().remove(&me.kept.tid));
    me.kept.ended.store(1, Ordering::SeqCst);
    futex_wake((&raw const me.kept.ended).addr(), usize::MAX);
    if cluster::is_active() {
        cluster::drain::thread_ended();
    }
    drop(me);
    // SAFETY: thread context, no lock held.
    let leave = unsafe { leave() };
    scheduler().exit(&leave)
}

/// Gives back the memory of threads that have ended on this CPU. Thread or idle
/// context, interrupts on, no lock held. Returns whether there was any.
pub fn reap() -> bool {
    let mut any = false;
    let mut discarded = Discarded::new();
    while let Some(thread) = scheduler().take_ended() {
        let owned = thread.kept.owned.lock().take();
        if let Some(owned) = owned {
            owned.release(&mut discarded);
        }
        any = true;
    }
    any
}

/// Calls `call` with the thread that runs here, and a section that has been entered.
/// Thread context.
#[inline(always)]
pub(super) fn with_current_in_section<R>(
    call: impl FnOnce(&ThreadRef, Critical<Kernel>) -> R,
) -> R {
    match scheduler().with_current_in_section(call) {
        Some(result) => result,
        None => no_thread(),
    }
}

#[cold]
fn no_thread() -> ! {
    panic!("the idle context calls what only threads may");
}

/// The thread that runs here. Thread context.
pub fn current() -> ThreadRef {
    scheduler().current().expect("a thread calls this")
}

/// How many threads have been started since boot, interrupt threads not counted. Any context.
pub fn started() -> u32 {
    LAST_TID.load(Ordering::Relaxed) - (u32::from(cluster::me()) << NODE_BIT)
}

/// Whether there are threads of the program that have not ended. Thread context, no lock held.
pub fn has_program_threads() -> bool {
    let threads = THREADS.read();
    threads.values().any(|thread| thread.kept.is_program())
}

/// The thread with that number, unless it has ended.
pub fn find(tid: Tid) -> Option<ThreadRef> {
    THREADS.read().get(&tid).cloned()
}

/// Waits until the thread has ended. Not its own; thread context, no lock held.
pub fn join(tid: Tid) {
    // One that is not found has ended: numbers are never used again.
    if let Some(thread) = find(tid) {
        while thread.kept.ended.load(Ordering::SeqCst) == 0 {
            futex_wait_until(&thread.kept.ended, 0, None);
        }
    }
}

/// Number of the thread that runs here, or 0, also before there are threads. Any
/// context.
pub fn tid_for_report() -> Tid {
    if percpu::online() == 0 {
        0
    } else {
        percpu::current_tid()
    }
}

/// Blocks until the thread is woken, or until `deadline` (monotonic ns). Returns
/// at once if it was woken since it last blocked. True: the deadline has passed.
/// Wake-ups may be meant for something else: callers look at their condition.
/// Thread context, no lock held.
pub fn block_current(deadline: Option<u64>) -> bool {
    // SAFETY: as the caller says.
    let leave = unsafe { leave() };
    scheduler().park(&leave, deadline) == Wakeup::TimedOut
}

/// Wakes a thread that is blocked; the next block of one that is not returns at
/// once. Thread or interrupt context.
pub fn wake_thread(thread: &ThreadRef) {
    scheduler().unpark(thread);
}

/// Blocks until `deadline` (monotonic ns), whatever wakes the thread before.
pub fn sleep_until(deadline: u64) {
    while monotonic_ns() < deadline {
        block_current(Some(deadline));
    }
}

/// Lets another thread of at least the same priority run, if one waits here.
#[inline]
pub fn yield_now() {
    // SAFETY: thread context, no lock held.
    let leave = unsafe { leave() };
    scheduler().yield_now(&leave);
}

/// Changes a thread's priority (0 to 31; larger is clamped). Whether the thread
/// exists. Thread context, no lock held.
pub fn set_priority(tid: Tid, priority: u8) -> bool {
    let Some(thread) = find(tid) else {
        return false;
    };
    // SAFETY: as the caller says.
    let leave = unsafe { leave() };
    scheduler().set_priority(&leave, thread, priority_from(priority));
    true
}

/// Runs threads, and halts while there are none. The CPU's first context; never
/// returns.
pub fn run_idle() -> ! {
    interrupts::enable();
    let activity = &percpu::this_cpu().activity;
    activity.goes_on();
    loop {
        let has_run = scheduler().idle();
        reap();
        heap::idle(has_run);
        #[cfg(feature = "net")]
        crate::net::idle();
        interrupts::disable();
        if scheduler().may_halt(heap::idle_again()) {
            activity.halts();
            // Interrupts come in only with the halt, so a wake-up is not missed.
            interrupts::enable_and_hlt();
            activity.goes_on();
        } else {
            interrupts::enable();
        }
    }
}
