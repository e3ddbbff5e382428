//! The real machine, as `darner_lwkt` sees it.

use core::sync::atomic::{AtomicU64, Ordering};

use darner_lwkt::scheduler::Cpu;
use darner_lwkt::trace::Event;
use darner_lwkt::{Hardware, IpiQueues, Machine, MayBlock, Nanos, Park, Scheduler, Thread};
use spin::Once;
use x86_64::VirtAddr;
use x86_64::instructions::interrupts;
use x86_64::registers::model_specific::FsBase;
use x86_64::registers::segmentation::{FS, Segment64};

use super::futex::Futexes;
use super::thread::{Kept, ThreadRef};
use crate::arch::percpu::{self, Deferred, this_cpu};
use crate::arch::{apic, cpu, idt, switch, timer, tlb};
use crate::console;
use crate::drivers::interrupts as devices;
use crate::time::monotonic_ns;
use crate::trace::{self, Kind};

/// Messages that each CPU can have under way.
pub const ENVELOPES: usize = 256;
/// When to try again to switch away from a thread that was found in the kernel.
const RETRY: Nanos = 20_000;

/// The CPUs of this node.
pub struct Kernel;

struct System {
    scheduler: Scheduler<Kernel>,
    messages: IpiQueues<Kernel>,
    futexes: Futexes,
}

static SYSTEM: Once<System> = Once::new();
static CPUS: Once<usize> = Once::new();

/// Makes the scheduler and the message queues of `cpus` CPUs, all of which will run.
/// Called once, at boot, on a CPU that has its block, before any other function of
/// the scheduler.
pub fn init(cpus: usize) {
    CPUS.call_once(|| cpus);
    SYSTEM.call_once(|| System {
        scheduler: Scheduler::new(),
        messages: IpiQueues::new(ENVELOPES),
        futexes: Futexes::new(),
    });
    init_cpu();
}

/// Has the calling CPU know its part of the scheduler. Called once on each, after
/// [`init`].
pub fn init_cpu() {
    percpu::set_scheduler(scheduler().of_cpu(Kernel::cpu()));
}

#[inline(always)]
fn system() -> &'static System {
    debug_assert!(
        SYSTEM.is_completed(),
        "boot makes the scheduler before anything uses it"
    );
    // SAFETY: boot calls `init` before it starts other CPUs, turns interrupts on or
    // makes a thread; nothing else comes here.
    unsafe { SYSTEM.get_unchecked() }
}

/// Who waits for words of the program's memory.
#[inline(always)]
pub(super) fn futexes() -> &'static Futexes {
    &system().futexes
}

/// A counter in a cache line of its own.
#[repr(align(64))]
struct Counter(AtomicU64);

/// How often the message interrupt has been raised on each CPU. To raise it takes hundreds of
/// times as long as to count that.
static RAISED: [Counter; percpu::MAX_CPUS] =
    [const { Counter(AtomicU64::new(0)) }; percpu::MAX_CPUS];

/// How often the message interrupt has been raised on CPU `target` since boot. Any context.
pub fn raised(target: usize) -> u64 {
    RAISED[target].0.load(Ordering::Relaxed)
}

/// How many threads wait for CPU `cpu`, one of those that run. Any context.
pub fn ready(cpu: usize) -> usize {
    scheduler().waiting(cpu)
}

/// The message queues of this node's CPUs.
#[cfg(feature = "selftest")]
pub fn messages() -> &'static IpiQueues<Kernel> {
    Kernel::messages()
}

/// The scheduler of this node's CPUs.
#[inline(always)]
pub fn scheduler() -> &'static Scheduler<Kernel> {
    &system().scheduler
}

// SAFETY: a CPU's number is that of its block, which GS leads to. In a critical
// section interrupt handlers only note what they want, and nothing switches away
// but the section's own code.
unsafe impl Machine for Kernel {
    #[inline(always)]
    fn cpu() -> usize {
        percpu::this_index()
    }

    fn cpus() -> usize {
        *CPUS.get().expect("boot says how many there are")
    }

    #[inline(always)]
    fn enter_critical() {
        percpu::enter_critical();
    }

    #[inline(always)]
    fn exit_critical() {
        percpu::exit_critical(end_of_section);
    }

    #[inline(always)]
    fn is_critical() -> bool {
        this_cpu().is_critical()
    }

    fn interrupt(target: usize) {
        RAISED[target].0.fetch_add(1, Ordering::Relaxed);
        apic::send(target, idt::MESSAGE);
    }

    fn pause() {
        if !interrupts::are_enabled() {
            tlb::answer_if_asked();
        }
        core::hint::spin_loop();
    }

    fn now() -> Nanos {
        monotonic_ns()
    }

    #[inline(always)]
    fn trace(event: Event) {
        trace::lwkt_event(event);
    }
}

// SAFETY: `switch` saves what a call keeps, and the scheduler is the one there is.
unsafe impl Hardware for Kernel {
    type Kept = Kept;

    #[inline(always)]
    fn scheduler() -> &'static Scheduler<Self> {
        scheduler()
    }

    #[inline(always)]
    fn this_cpu() -> *const Cpu<Self> {
        percpu::scheduler()
    }

    #[inline(always)]
    fn messages() -> &'static IpiQueues<Self> {
        &system().messages
    }

    #[inline(always)]
    fn prepare(thread: Option<&Thread<Self>>) {
        let block = this_cpu();
        block.take_deferred(Deferred::Switch);
        let tid = thread.map_or(0, |thread| thread.kept.tid);
        trace::event(Kind::Switch, u64::from(tid));
        match thread {
            Some(thread) => {
                block.set_running(thread.kept.tid, thread.kept.kernel_stack.top());
                load_thread_pointer(thread.kept.thread_pointer);
            }
            None => block.set_running(0, 0),
        }
    }

    #[inline(always)]
    unsafe fn switch(save: *mut usize, load: usize) {
        debug_assert!(
            interrupts::are_enabled(),
            "contexts are switched with interrupts on"
        );
        // SAFETY: passed on to the caller.
        unsafe { switch::switch(save, load) };
    }

    fn set_timer(at: Option<Nanos>) {
        timer::set(at);
    }

    fn request_switch() {
        this_cpu().defer(Deferred::Switch);
    }
}

impl Park for Kernel {
    type Thread = Parked;

    fn current() -> Parked {
        Parked(super::current())
    }

    fn park(leave: &MayBlock<Self>, deadline: Option<Nanos>) {
        scheduler().park(leave, deadline);
    }

    fn unpark(thread: &Parked) {
        scheduler().unpark(&thread.0);
    }
}

/// A thread that can be unparked.
#[derive(Clone)]
pub struct Parked(ThreadRef);

impl PartialEq for Parked {
    fn eq(&self, other: &Self) -> bool {
        alloc::sync::Arc::ptr_eq(&self.0, &other.0)
    }
}

#[inline(always)]
fn load_thread_pointer(base: VirtAddr) {
    if cpu::has_fsgsbase() {
        // SAFETY: CR4.FSGSBASE is set; the base is the thread's own block.
        unsafe { FS::write_base(base) };
    } else {
        FsBase::write(base);
    }
}

/// Leave to wait, for the kernel's calls.
///
/// # Safety
/// As for [`MayBlock::assume`].
#[inline(always)]
pub unsafe fn leave() -> MayBlock<Kernel> {
    // SAFETY: passed on to the caller.
    unsafe { MayBlock::assume() }
}

/// Does what was put off in the critical section that has just ended.
#[cold]
fn end_of_section() {
    let cpu = this_cpu();
    // With interrupts off the caller holds a lock that handlers take, too. What is
    // left is done at the end of the next section.
    if !interrupts::are_enabled() {
        return;
    }
    do_deferred();
    if cpu.is_deferred(Deferred::Switch) {
        preempt();
    }
}

/// Does what interrupts have put off. Interrupt handlers, and ends of critical
/// sections; in none itself.
pub fn do_deferred() {
    loop {
        // In a section of its own, so that the ends of those within do not come here.
        percpu::enter_critical();
        let cpu = this_cpu();
        if cpu.take_deferred(Deferred::Messages) {
            Kernel::messages().poll();
            scheduler().poll();
        }
        if cpu.take_deferred(Deferred::Timer) {
            // The tick brings passive messages, too.
            Kernel::messages().poll();
            scheduler().on_timer();
        }
        if cpu.take_deferred(Deferred::Serial) {
            console::on_interrupt();
        }
        if cpu.take_deferred(Deferred::Devices) {
            devices::serve();
        }
        // What has come meanwhile was put off by this section. A switch is up to the
        // caller.
        let mut again = false;
        percpu::exit_critical(|| again = cpu.is_any_deferred_but(Deferred::Switch));
        if !again {
            return;
        }
    }
}

/// Called by the interrupt entry, on the thread's kernel stack, when the program was
/// interrupted and another thread should run.
pub extern "C" fn preempt() {
    this_cpu().take_deferred(Deferred::Switch);
    scheduler().preempt();
}

/// Whether an interrupt thread is to preempt the thread that runs here. Interrupt
/// handlers.
pub fn is_interrupt_thread_due() -> bool {
    scheduler().is_interrupt_thread_due()
}

/// Called by the interrupt entry, on the interrupted thread's kernel stack, when
/// interrupt threads are due. Interrupts are off, and so they are when it comes back: what else
/// is to be done is then asked where the thread was interrupted, not here.
pub extern "C" fn run_interrupt_threads() {
    percpu::enter_critical();
    interrupts::enable();
    this_cpu().take_deferred(Deferred::Switch);
    // SAFETY: the section that has just been entered, the first, is left below.
    unsafe { scheduler().run_interrupt_threads() };
    interrupts::disable();
    percpu::exit_critical(|| {});
}

/// An interrupt found the kernel running when it wanted a switch: try again soon, the
/// kernel's calls are short. Interrupt context.
pub fn retry_soon() {
    scheduler().retry_soon(RETRY);
}
