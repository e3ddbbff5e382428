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

use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use darner_lwkt::{Priority, Thread};
use spin::Once;

use super::machine::scheduler;
use super::run::{begin, block_current, wake_thread};
use super::thread::{Kept, ThreadRef, Tid};
use crate::arch::switch::prepare;
use crate::memory::stacks::KernelStack;

/// Numbers of interrupt threads begin here, so that they are not a program's.
pub const FIRST_TID: Tid = 1 << 31;
static NEXT_TID: AtomicU32 = AtomicU32::new(FIRST_TID);

/// A thread that calls a function whenever it is asked to, on one CPU.
pub struct InterruptThread {
    work: fn(),
    level: u8,
    thread: Once<ThreadRef>,
    /// Somebody has asked since the function was last called.
    asked: AtomicBool,
}

impl InterruptThread {
    /// A thread of `level` that calls `work`; it is not started yet. See
    /// [`Priority::interrupt`] about levels.
    pub const fn new(level: u8, work: fn()) -> Self {
        Self {
            work,
            level,
            thread: Once::new(),
            asked: AtomicBool::new(false),
        }
    }

    /// Starts the thread on CPU `cpu`, once. Whether there was memory for it. Thread
    /// context, or boot.
    pub fn start(&'static self, cpu: usize) -> bool {
        let Some(kernel_stack) = KernelStack::new() else {
            return false;
        };
        let this = core::ptr::from_ref(self).addr();
        // SAFETY: the stack is new, writable and larger than what is laid out.
        let stack_pointer = unsafe { prepare(kernel_stack.top(), begin, run, this, ended) };
        let tid = NEXT_TID.fetch_add(1, Ordering::Relaxed);
        let kept = Kept::new(tid, kernel_stack, None);
        let priority = Priority::interrupt(self.level);
        let thread = self
            .thread
            .call_once(|| Thread::new(priority, stack_pointer as usize, kept));
        // SAFETY: it is new.
        unsafe { scheduler().start(thread.clone(), Some(cpu)) };
        true
    }

    /// Has the thread call its function, once more if it is doing so now. Before
    /// [`Self::start`] nothing happens. Thread context, or what an interrupt has put off.
    pub fn ask(&self) {
        self.asked.store(true, Ordering::Release);
        if let Some(thread) = self.thread.get() {
            wake_thread(thread);
        }
    }
}

extern "C" fn run(this: usize) {
    let this = core::ptr::with_exposed_provenance::<InterruptThread>(this);
    // SAFETY: `start` was called on one that lives for ever.
    let this: &'static InterruptThread = unsafe { &*this };
    loop {
        while this.asked.swap(false, Ordering::Acquire) {
            (this.work)();
        }
        block_current(None);
    }
}

extern "C" fn ended() -> ! {
    unreachable!("interrupt threads do not end")
}
