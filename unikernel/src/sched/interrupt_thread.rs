//! Threads that do what interrupts ask for.
//!
//! A handler that has little to do does it itself. What may take long, or has to wait for
//! a lock, it leaves to a thread of its own, which preempts what the CPU runs, the
//! kernel's code included, outside of critical sections. What it has preempted goes on
//! when it has nothing left to do. So such a thread must not spin for what the code that
//! it has preempted may hold: no spin locks but those that are held in critical sections
//! or with interrupts off.
//!
//! It runs the kernel's code only, on its kernel stack; it has no part in the program's
//! memory.

use alloc::boxed::Box;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use darner_lwkt::{Priority, Thread};
use spin::Once;

use super::machine::scheduler;
use super::run::{begin, block_current, tid_for_report, wake_thread};
use super::thread::{Kept, ThreadRef, Tid};
use crate::arch::switch::prepare;
use crate::memory::stacks::KernelStack;
use crate::sync::Lock;
use crate::time::monotonic_ns;

/// Numbers of interrupt threads begin here, so that they are not a program's.
pub const FIRST_TID: Tid = 1 << 31;
static NEXT_TID: AtomicU32 = AtomicU32::new(FIRST_TID);

/// The last that was started, from which all others are found.
static STARTED: Lock<Option<&'static InterruptThread>> = Lock::new(None);

/// A thread that does its work whenever it is asked to, or when the time has come that the
/// work itself has named; on one CPU.
pub struct InterruptThread {
    level: u8,
    name: Option<&'static str>,
    thread: Once<ThreadRef>,
    /// The one that was started before.
    before: Once<Option<&'static InterruptThread>>,
    /// Somebody has asked since the work was last begun.
    asked: AtomicBool,
}

/// What such a thread has to do. Gives when it wants to be called again at the latest
/// (monotonic ns), though nobody asks.
type Work = dyn FnMut() -> Option<u64> + Send;

/// What the new thread is given.
struct Start {
    of: &'static InterruptThread,
    work: Box<Work>,
}

impl InterruptThread {
    /// A thread of `level`; it is not started yet. See [`Priority::interrupt`] about levels.
    pub const fn new(level: u8) -> Self {
        Self {
            level,
            name: None,
            thread: Once::new(),
            before: Once::new(),
            asked: AtomicBool::new(false),
        }
    }

    /// Gives it a name for reports.
    pub const fn named(mut self, name: &'static str) -> Self {
        self.name = Some(name);
        self
    }

    /// Starts the thread on CPU `cpu`, once; `work` is first called when somebody asks.
    /// Whether there was memory for it. Thread context, or boot.
    pub fn start(
        &'static self,
        cpu: usize,
        work: impl FnMut() -> Option<u64> + Send + 'static,
    ) -> bool {
        match KernelStack::new() {
            Some(stack) => self.start_on(stack, cpu, work),
            None => false,
        }
    }

    /// As [`Self::start`], on a stack of the caller's choice.
    pub fn start_on(
        &'static self,
        kernel_stack: KernelStack,
        cpu: usize,
        work: impl FnMut() -> Option<u64> + Send + 'static,
    ) -> bool {
        let work = Box::new(work);
        let start = Box::into_raw(Box::new(Start { of: self, work })).expose_provenance();
        // SAFETY: the stack is new, writable and larger than what is laid out.
        let stack_pointer = unsafe { prepare(kernel_stack.top(), begin, run, start, ended, None) };
        let tid = NEXT_TID.fetch_add(1, Ordering::Relaxed);
        let kept = Kept::new(tid, kernel_stack, None);
        let priority = Priority::interrupt(self.level);
        let thread = self
            .thread
            .call_once(|| Thread::new(priority, stack_pointer as usize, kept));
        let before = STARTED.lock().replace(self);
        self.before.call_once(|| before);
        // SAFETY: it is new.
        unsafe { scheduler().start(thread.clone(), Some(cpu)) };
        true
    }

    /// Has the thread do its work, once more if it is doing so now. Before
    /// [`Self::start`] nothing happens. Thread context, or what an interrupt has put off.
    pub fn ask(&self) {
        self.asked.store(true, Ordering::Release);
        if let Some(thread) = self.thread.get() {
            wake_thread(thread);
        }
    }
}

/// All that were started, with their names if they have any. Thread context.
pub fn interrupt_threads() -> impl Iterator<Item = (Option<&'static str>, &'static ThreadRef)> {
    let last = *STARTED.lock();
    core::iter::successors(last, |one| *one.before.wait())
        .filter_map(|one| Some((one.name, one.thread.get()?)))
}

/// Whether an interrupt thread runs here. Any context.
pub fn is_interrupt_thread() -> bool {
    tid_for_report() >= FIRST_TID
}

extern "C" fn run(start: usize) {
    let start = core::ptr::with_exposed_provenance_mut::<Start>(start);
    // SAFETY: `start` has left it to this thread alone.
    let Start { of, mut work } = *unsafe { Box::from_raw(start) };
    let mut deadline = None;
    loop {
        let is_time = deadline.is_some_and(|at| monotonic_ns() >= at);
        if of.asked.swap(false, Ordering::Acquire) || is_time {
            deadline = work();
        } else {
            block_current(deadline);
        }
    }
}

extern "C" fn ended() -> ! {
    unreachable!("interrupt threads do not end")
}
