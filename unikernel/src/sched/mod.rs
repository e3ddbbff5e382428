//! Threads: `darner_lwkt`'s scheduler on this machine.
//!
//! [`machine`] is what the scheduler asks of the hardware, [`thread`] what the kernel
//! keeps of a thread, [`run`] how threads begin, block and end, [`interrupt_thread`] those
//! that interrupts have run. [`wait`] and [`futex`]
//! are what the rest of the kernel waits with.

mod futex;
mod interrupt_thread;
mod machine;
mod run;
mod survey;
mod thread;
mod wait;

pub use self::futex::{
    FutexWait, futex_enlist_and_wait, futex_wait, futex_wait_until, futex_wake, futex_wake_where,
};
pub use self::interrupt_thread::{InterruptThread, interrupt_threads, is_interrupt_thread};
#[cfg(feature = "selftest")]
pub use self::machine::{ENVELOPES, messages, scheduler};
pub use self::machine::{
    Kernel, do_deferred, init, init_cpu, is_interrupt_thread_due, leave, preempt, raised, ready,
    retry_soon, run_interrupt_threads,
};
pub use self::run::{
    block_current, current, find, has_program_threads, join, node_of, reap, run_idle, set_node,
    set_priority, sleep_until, spawn, spawn_kernel, started, tid_for_report, wake_thread,
    yield_now,
};
pub use self::survey::{Doing, doing, owner_of, program_thread_count, thread_count, visit_threads};
pub use self::thread::{Belonging, SpawnError, ThreadRef, Tid};
pub use self::wait::WaitQueue;
