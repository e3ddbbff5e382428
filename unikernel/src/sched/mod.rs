//! Threads, bring-up version: one lock over all run queues.
//!
//! Every CPU has queues by priority, and threads of one priority share it round
//! robin. A thread that becomes runnable goes to an idle CPU when there is one;
//! a CPU without work takes from the longest queue. The lock is held across the
//! context switch and freed by whoever runs next, so that nobody can run a thread
//! whose registers are not saved yet.

mod futex;
mod run;
mod thread;
mod wait;

pub use self::futex::{futex_wait, futex_wake};
pub use self::run::{
    exit_current, init, on_reschedule, on_timer, preempt, retry_soon, run_idle, spawn, tid_for_report, yield_now,
};
pub use self::run::{block_or_consume, current, find, set_priority, sleep_until, wake_thread};
pub use self::thread::{SpawnError, Thread, Tid};
pub use self::wait::WaitQueue;
