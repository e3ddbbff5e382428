//! All threads, one by one, for reports.

use core::array;

use super::run::THREADS;
use super::thread::{ThreadRef, Tid};
use crate::arch::percpu;

/// Threads that are taken under one hold of the lock. It is a fair one, so where thousands of
/// threads start or end, each hold has to wait for many of them.
const BATCH: usize = 512;

/// What a thread does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doing {
    /// It runs.
    Running,
    /// It waits for a CPU.
    Ready,
    /// It waits for the word at this address to change; `None`: for something else.
    Blocked(Option<usize>),
}

/// Calls `visit` with every thread of the program's class, by their numbers; one that is
/// started meanwhile may be missed. Nobody who starts or ends threads waits for longer than
/// a few take. Thread context, no lock held.
pub fn visit_threads(mut visit: impl FnMut(&ThreadRef)) {
    let mut next: Tid = 0;
    loop {
        let mut batch: [Option<ThreadRef>; BATCH] = array::from_fn(|_| None);
        {
            let threads = THREADS.read();
            for (place, (_, thread)) in batch.iter_mut().zip(threads.range(next..)) {
                *place = Some(thread.clone());
            }
        }
        let mut found = 0;
        for thread in batch.into_iter().flatten() {
            next = thread.kept.tid + 1;
            found += 1;
            visit(&thread);
        }
        if found < BATCH {
            return;
        }
    }
}

/// How many threads of the program's class there are. Thread context, no lock held.
pub fn thread_count() -> usize {
    THREADS.read().len()
}

/// What `thread` does. It may do something else at once.
pub fn doing(thread: &ThreadRef) -> Doing {
    let runs = percpu::block(thread.cpu()).map(percpu::PerCpu::running_tid);
    if runs == Some(thread.kept.tid) {
        Doing::Running
    } else if thread.is_blocked() {
        Doing::Blocked(thread.kept.futex.waits_for())
    } else {
        Doing::Ready
    }
}
