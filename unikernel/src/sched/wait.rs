//! Waiting for a condition that other threads or interrupts make true.

use core::sync::atomic::{AtomicU32, Ordering};

use super::futex::{FutexWait, futex_wait_until, futex_wake};

/// Threads that wait for a condition.
///
/// The waker changes what the condition reads, then calls [`WaitQueue::wake_all`]. It is
/// a word for a futex, which counts wake-ups: the waiter reads it before it looks at the
/// condition, and waits only while it is the same, so that no wake-up is lost. Waiting
/// takes no memory.
pub struct WaitQueue {
    wakeups: AtomicU32,
}

impl WaitQueue {
    /// An empty queue.
    pub const fn new() -> Self {
        Self {
            wakeups: AtomicU32::new(0),
        }
    }

    /// Blocks until `condition` gives a value, or until `deadline` (monotonic ns;
    /// then `None`). The condition may run many times. Thread context, no lock
    /// held.
    pub fn wait_until<T>(
        &self,
        deadline: Option<u64>,
        mut condition: impl FnMut() -> Option<T>,
    ) -> Option<T> {
        loop {
            let seen = self.wakeups.load(Ordering::SeqCst);
            if let Some(value) = condition() {
                return Some(value);
            }
            if futex_wait_until(&self.wakeups, seen, deadline) == FutexWait::TimedOut {
                return condition();
            }
        }
    }

    /// Lets the one who has waited longest look at its condition again. Thread context,
    /// or an interrupt handler that a critical section puts off.
    pub fn wake_one(&self) {
        self.wake(1);
    }

    /// Lets all waiters look at their conditions again. Thread context, or an interrupt
    /// handler that a critical section puts off.
    pub fn wake_all(&self) {
        self.wake(usize::MAX);
    }

    fn wake(&self, count: usize) {
        self.wakeups.fetch_add(1, Ordering::SeqCst);
        futex_wake((&raw const self.wakeups).addr(), count);
    }
}
