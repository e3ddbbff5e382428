//! The end of a program, as far as the network goes.

use core::sync::atomic::{AtomicBool, Ordering};

/// Tells when nothing is under way any more, after a [`Request::Finish`](crate::Request::Finish).
#[derive(Default)]
pub struct Farewell<W> {
    over: AtomicBool,
    /// Who waits for it.
    pub waiters: W,
}

impl<W: super::Wait> Farewell<W> {
    /// One that is not over.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether nothing is under way any more.
    pub fn is_over(&self) -> bool {
        self.over.load(Ordering::Acquire)
    }

    /// The protocol thread: nothing is.
    pub(crate) fn set_over(&self) {
        self.over.store(true, Ordering::Release);
        self.waiters.wake();
    }
}
