//! Asking a virtual machine to end, from another thread.

use std::sync::atomic::{AtomicBool, Ordering};

/// Ends all machines that were started with it, once it is asked to.
#[derive(Debug, Default)]
pub struct Stop(AtomicBool);

impl Stop {
    /// From now on.
    pub fn ask(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether it was.
    pub fn is_asked(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
