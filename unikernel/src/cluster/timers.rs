//! When to look at pages again.

use alloc::collections::BinaryHeap;
use core::cmp::Reverse;

use darner_coherence::{PageIndex, Time};

/// Pages, and the times when the protocol wants to hear of them.
#[derive(Default)]
pub struct Timers(BinaryHeap<Reverse<(Time, PageIndex)>>);

impl Timers {
    /// One more.
    pub fn set(&mut self, page: PageIndex, at: Time) {
        self.0.push(Reverse((at, page)));
    }

    /// The next whose time has come.
    pub fn take(&mut self, now: Time) -> Option<PageIndex> {
        let &Reverse((at, page)) = self.0.peek()?;
        if at > now {
            return None;
        }
        self.0.pop();
        Some(page)
    }

    /// When the next one is due.
    pub fn next(&self) -> Option<Time> {
        self.0.peek().map(|&Reverse((at, _))| at)
    }
}
