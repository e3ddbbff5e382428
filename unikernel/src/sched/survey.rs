//! All threads, one by one, for reports.

use core::array;
use core::sync::atomic::Ordering;

use super::run::{KERNEL_THREADS, THREADS};
use super::thread::{Belonging, ThreadRef, Tid};
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

/// How many threads there are that run the program's code. Thread context, no lock held.
pub fn program_thread_count() -> usize {
    // Those of the kernel do not end. One that has just come may not be counted yet.
    thread_count().saturating_sub(KERNEL_THREADS.load(Ordering::Relaxed))
}

/// The thread whose stack, or whose thread-local variables, `address` is in: its number. Takes as long as
/// there are threads; thread context, no lock held.
pub fn owner_of(address: u64) -> Option<(Tid, Belonging)> {
    let mut owner = None;
    visit_threads(|thread| {
        let owned = thread.kept.owned.lock();
        let part = owned.as_ref().and_then(|owned| owned.part_at(address));
        owner = owner.or(part.map(|part| (thread.kept.tid, part)));
    });
    owner
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
