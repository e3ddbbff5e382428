//! Asking a virtual machine to end, from another thread.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

/// Ends all machines that were started with it, once it is asked to.
#[derive(Debug, Default)]
pub struct Stop {
    asked: Mutex<bool>,
    changed: Condvar,
}

impl Stop {
    /// From now on.
    pub fn ask(&self) {
        *self.asked.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_all();
    }

    /// Whether it was.
    pub fn is_asked(&self) -> bool {
        *self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits so long, or until it is asked to.
    pub fn wait_for(&self, time: Duration) {
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self
            .changed
            .wait_timeout_while(asked, time, |asked| !*asked);
        drop(waited);
    }
}
