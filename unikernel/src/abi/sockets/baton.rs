//! Things that one thread has at a time.

use crate::net::WaitPoint;
use crate::sync::Lock;
use darner_netstack::Wait;

/// Something that whoever uses it takes away and brings back. It is not under a lock
/// meanwhile: its user may block on the program's memory.
pub struct Baton<T> {
    /// `None` while somebody has it.
    here: Lock<Option<T>>,
    waiters: WaitPoint,
}

impl<T> Baton<T> {
    /// Nobody has it.
    pub fn new(value: T) -> Self {
        Self {
            here: Lock::new(Some(value)),
            waiters: WaitPoint::default(),
        }
    }

    /// Waits until it is there, and does `work` with it. Thread context, no lock held.
    pub fn with<R>(&self, work: impl FnOnce(&mut T) -> R) -> R {
        let taken = self.waiters.wait_until(None, || self.here.lock().take());
        let Some(mut value) = taken else {
            unreachable!("there is no deadline");
        };
        let result = work(&mut value);
        *self.here.lock() = Some(value);
        self.waiters.wake();
        result
    }
}
