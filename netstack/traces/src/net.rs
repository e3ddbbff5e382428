//! The network and the clock: what is under way, and when it comes.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// How long every message takes, in nanoseconds.
pub const LATENCY: u64 = 50_000;

/// The bytes of a message's header.
pub const HEADER_BYTES: u64 = 32;

/// What was sent. What a node says to itself is no message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Messages.
    pub messages: u64,
    /// Their bytes, headers included.
    pub bytes: u64,
    /// Whole pages among these bytes.
    pub pages: u64,
    /// Messages of locks and barriers; [`Counts::messages`] has them too.
    pub synchronisation: u64,
}

/// What happens at a time.
#[derive(Debug)]
pub enum Happening<M> {
    /// A message arrives.
    Arrives { from: usize, to: usize, message: M },
    /// A node's timer goes off.
    Timer { node: usize },
    /// A node's program goes on.
    Resumes { node: usize },
}

/// The network, and the clock in nanoseconds.
#[derive(Debug)]
pub struct Net<M> {
    now: u64,
    sequence: u64,
    queue: BinaryHeap<Reverse<Queued<M>>>,
    counts: Counts,
}

#[derive(Debug)]
struct Queued<M> {
    at: (u64, u64),
    what: Happening<M>,
}

impl<M> PartialEq for Queued<M> {
    fn eq(&self, other: &Self) -> bool {
        self.at == other.at
    }
}

impl<M> Eq for Queued<M> {}

impl<M> PartialOrd for Queued<M> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<M> Ord for Queued<M> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.at.cmp(&other.at)
    }
}

impl<M> Net<M> {
    pub(crate) fn new() -> Self {
        Self {
            now: 0,
            sequence: 0,
            queue: BinaryHeap::new(),
            counts: Counts::default(),
        }
    }

    /// The time, in nanoseconds.
    #[must_use]
    pub fn now(&self) -> u64 {
        self.now
    }

    /// What was sent so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Sends a message to another node: `pages` whole pages, and `payload` bytes of other kinds.
    pub(crate) fn send(&mut self, from: usize, to: usize, pages: u64, payload: u64, message: M) {
        debug_assert_ne!(from, to, "a node has no link to itself");
        self.counts.messages += 1;
        self.counts.pages += pages;
        self.counts.bytes += HEADER_BYTES + payload + pages * crate::shared::PAGE_BYTES as u64;
        self.at(self.now + LATENCY, Happening::Arrives { from, to, message });
    }

    /// The same, for a message of a lock or a barrier.
    pub(crate) fn synchronise(&mut self, from: usize, to: usize, payload: u64, message: M) {
        self.counts.synchronisation += 1;
        self.send(from, to, 0, payload, message);
    }

    pub(crate) fn timer(&mut self, node: usize, at: u64) {
        self.at(at.max(self.now), Happening::Timer { node });
    }

    /// Lets a node's program go on after `wait` nanoseconds.
    pub(crate) fn resume(&mut self, node: usize, wait: u64) {
        self.at(self.now + wait, Happening::Resumes { node });
    }

    fn at(&mut self, time: u64, what: Happening<M>) {
        self.sequence += 1;
        self.queue.push(Reverse(Queued {
            at: (time, self.sequence),
            what,
        }));
    }

    /// What happens next.
    pub(crate) fn next(&mut self) -> Option<Happening<M>> {
        let Reverse(next) = self.queue.pop()?;
        self.now = next.at.0;
        Some(next.what)
    }
}
