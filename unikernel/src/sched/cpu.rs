//! What the scheduler knows of one CPU: its run queues, its timers, its thread.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::sync::Arc;
use core::sync::atomic::Ordering;

use super::thread::{PRIORITIES, ThreadRef};

/// A place in a timer queue: monotonic ns, and a number that makes it unique.
pub(super) type TimerKey = (u64, u64);

/// One CPU, as the scheduler's lock protects it.
pub(super) struct Cpu {
    queues: [VecDeque<ThreadRef>; PRIORITIES],
    /// Bit p is set when queue p has threads.
    ready: u32,
    /// How many threads are in all queues.
    pub waiting: usize,
    /// Threads that a deadline wakes.
    pub timers: BTreeMap<TimerKey, ThreadRef>,
    /// The thread that runs; `None`: the idle context does.
    pub running: Option<ThreadRef>,
    /// Halted, and nothing was given to it since.
    pub idle: bool,
    /// Stack pointer of the idle context while a thread runs.
    pub idle_context: u64,
    /// When the running thread has had its share (monotonic ns).
    pub slice_end: u64,
    /// What the timer hardware is set to.
    pub armed: Option<u64>,
}

impl Cpu {
    pub fn new() -> Self {
        Self {
            queues: [const { VecDeque::new() }; PRIORITIES],
            ready: 0,
            waiting: 0,
            timers: BTreeMap::new(),
            running: None,
            idle: false,
            idle_context: 0,
            slice_end: 0,
            armed: None,
        }
    }

    /// Puts a thread at the end of its priority's queue.
    pub fn push(&mut self, thread: ThreadRef) {
        let priority = priority_of(&thread);
        self.queues[priority].push_back(thread);
        self.ready |= 1 << priority;
        self.waiting += 1;
    }

    /// The highest priority that waits.
    pub fn best(&self) -> Option<usize> {
        self.ready.checked_ilog2().map(|priority| priority as usize)
    }

    /// Takes the first thread of the highest priority.
    pub fn pop(&mut self) -> Option<ThreadRef> {
        let priority = self.best()?;
        let thread = self.queues[priority].pop_front();
        self.taken(priority);
        thread
    }

    /// Takes `thread` out of the queues; whether it was there.
    pub fn remove(&mut self, thread: &ThreadRef) -> bool {
        for priority in 0..PRIORITIES {
            if let Some(at) = self.queues[priority]
                .iter()
                .position(|other| Arc::ptr_eq(other, thread))
            {
                self.queues[priority].remove(at);
                self.taken(priority);
                return true;
            }
        }
        false
    }

    fn taken(&mut self, priority: usize) {
        self.waiting -= 1;
        if self.queues[priority].is_empty() {
            self.ready &= !(1 << priority);
        }
    }
}

/// A thread's priority as an index.
pub(super) fn priority_of(thread: &ThreadRef) -> usize {
    usize::from(thread.priority.load(Ordering::Relaxed)).min(PRIORITIES - 1)
}
