//! Waiting for a condition that other threads or interrupts make true.

use alloc::collections::VecDeque;
use alloc::sync::Arc;

use super::run::{block_current, current, wake_thread};
use super::thread::ThreadRef;
use crate::sync::Lock;

/// Threads that wait for a condition.
///
/// The waker changes what the condition reads, then calls [`WaitQueue::wake_all`];
/// the waiter enters the queue first and looks at the condition then, so that no
/// wake-up is lost.
pub struct WaitQueue {
    waiters: Lock<VecDeque<ThreadRef>>,
}

impl WaitQueue {
    /// An empty queue.
    pub const fn new() -> Self {
        Self {
            waiters: Lock::new(VecDeque::new()),
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
        if let Some(value) = condition() {
            return Some(value);
        }
        let me = current();
        loop {
            self.waiters.lock().push_back(me.clone());
            if let Some(value) = condition() {
                self.leave(&me);
                return Some(value);
            }
            let timed_out = block_current(deadline);
            self.leave(&me);
            if timed_out {
                return condition();
            }
        }
    }

    /// Takes every entry of `me` out of the queue.
    fn leave(&self, me: &ThreadRef) {
        self.waiters
            .lock()
            .retain(|thread| !Arc::ptr_eq(thread, me));
    }

    /// Lets one waiter look at its condition again. Thread or interrupt context.
    pub fn wake_one(&self) {
        let waiter = self.waiters.lock().pop_front();
        if let Some(waiter) = waiter {
            wake_thread(&waiter);
        }
    }

    /// Lets all waiters look at their conditions again. Thread or interrupt context.
    pub fn wake_all(&self) {
        loop {
            let waiter = self.waiters.lock().pop_front();
            match waiter {
                Some(waiter) => wake_thread(&waiter),
                None => return,
            }
        }
    }
}
