//! Where the program's threads wait for a socket.

use core::sync::atomic::{AtomicUsize, Ordering, fence};

use darner_lwkt::Critical;
use darner_netstack::Wait;

use crate::abi::event;
use crate::sched::{Kernel, WaitQueue};

/// Threads that wait in `poll`, for whatever.
static POLLING: AtomicUsize = AtomicUsize::new(0);

/// Does `work`, which waits for any number of sockets by what [`event::readiness_changed`]
/// wakes. Thread context.
pub fn while_polling<T>(work: impl FnOnce() -> T) -> T {
    POLLING.fetch_add(1, Ordering::SeqCst);
    let result = work();
    POLLING.fetch_sub(1, Ordering::SeqCst);
    result
}

/// Threads that wait for something about one socket.
pub struct WaitPoint {
    queue: WaitQueue,
    /// How many threads wait, or look before they wait.
    waiting: AtomicUsize,
}

impl Default for WaitPoint {
    fn default() -> Self {
        Self {
            queue: WaitQueue::new(),
            waiting: AtomicUsize::new(0),
        }
    }
}

impl WaitPoint {
    /// Blocks until `condition` gives a value, or until `deadline` (monotonic ns; then
    /// `None`). Thread context, no lock held.
    pub fn wait_until<T>(
        &self,
        deadline: Option<u64>,
        mut condition: impl FnMut() -> Option<T>,
    ) -> Option<T> {
        if let Some(value) = condition() {
            return Some(value);
        }
        // Counted before it looks once more: who changes something after that look sees
        // the count.
        self.waiting.fetch_add(1, Ordering::SeqCst);
        let value = self.queue.wait_until(deadline, condition);
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        value
    }
}

impl Wait for WaitPoint {
    fn wake(&self) {
        // What has been changed is seen by who is not counted yet.
        fence(Ordering::SeqCst);
        if self.waiting.load(Ordering::Relaxed) > 0 {
            self.queue.wake_all();
        }
        if POLLING.load(Ordering::Relaxed) > 0 {
            event::readiness_changed();
        }
    }

    fn undisturbed<R>(work: impl FnOnce() -> R) -> R {
        // The protocol thread preempts nothing in a critical section.
        let _section = Critical::<Kernel>::enter();
        work()
    }
}
