//! Threads, bring-up version: one lock over all run queues.
//!
//! Every CPU has queues by priority, and threads of one priority share it round
//! robin. A thread that becomes runnable goes to an idle CPU when there is one;
//! a CPU without work takes from the longest queue. The lock is held across the
//! context switch and freed by whoever runs next, so that nobody can run a thread
//! whose registers are not saved yet.

mod cpu;
mod futex;
mod run;
mod thread;
mod wait;

pub use self::futex::{FutexWait, futex_wait, futex_wake};
pub use self::run::{
    block_current, current, find, set_priority, sleep_until, spawn, wake_thread, yield_now,
};
pub use self::run::{
    init, on_reschedule, on_timer, preempt, reap, retry_soon, run_idle, tid_for_report,
};
pub use self::thread::Tid;
pub use self::wait::WaitQueue;
