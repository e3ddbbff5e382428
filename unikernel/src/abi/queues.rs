//! Wait queues of the ABI's own kind, from before it had futexes.
//!
//! A thread enters a queue (`add_queue`), gives up what it holds, and blocks
//! (`wait`); others wake the first so many (`notify`). A queue is named by a
//! number of the program's choice, in practice the address of a lock.

use alloc::collections::{BTreeMap, VecDeque};

use hermit_abi::{EINVAL, ETIMEDOUT};

use super::user::{Errno, answer};
use crate::arch::percpu::current_tid;
use crate::sched::{self, Tid};
use crate::sync::RwLock;
use crate::time::monotonic_ns;

struct Entry {
    tid: Tid,
    deadline: Option<u64>,
}

static QUEUES: RwLock<BTreeMap<usize, VecDeque<Entry>>> = RwLock::new(BTreeMap::new());

fn init(id: usize) -> Result<i32, Errno> {
    if id == 0 {
        return Err(Errno(EINVAL));
    }
    QUEUES.write().entry(id).or_default();
    Ok(0)
}

fn destroy(id: usize) -> Result<i32, Errno> {
    notify(id, -1)?;
    QUEUES.write().remove(&id).map(|_| 0).ok_or(Errno(EINVAL))
}

fn add(id: usize, timeout_ns: i64) -> Result<i32, Errno> {
    init(id)?;
    // Zero and less: without limit.
    let deadline = u64::try_from(timeout_ns)
        .ok()
        .filter(|&ns| ns > 0)
        .map(|ns| monotonic_ns().saturating_add(ns));
    let entry = Entry {
        tid: current_tid(),
        deadline,
    };
    QUEUES.write().entry(id).or_default().push_back(entry);
    Ok(0)
}

/// The caller's deadline, while it is in the queue.
fn waiting(id: usize) -> Option<Option<u64>> {
    let me = current_tid();
    let queues = QUEUES.read();
    queues
        .get(&id)?
        .iter()
        .find(|entry| entry.tid == me)
        .map(|entry| entry.deadline)
}

fn wait(id: usize) -> Result<i32, Errno> {
    while let Some(deadline) = waiting(id) {
        if sched::block_current(deadline) && waiting(id).is_some() {
            let me = current_tid();
            if let Some(queue) = QUEUES.write().get_mut(&id) {
                queue.retain(|entry| entry.tid != me);
            }
            return Err(Errno(ETIMEDOUT));
        }
    }
    Ok(0)
}

fn notify(id: usize, count: i32) -> Result<i32, Errno> {
    if id == 0 {
        return Err(Errno(EINVAL));
    }
    // Negative: all.
    let mut left = u32::try_from(count).unwrap_or(u32::MAX);
    while left > 0 {
        let entry = QUEUES.write().get_mut(&id).and_then(VecDeque::pop_front);
        let Some(entry) = entry else { break };
        if let Some(thread) = sched::find(entry.tid) {
            sched::wake_thread(&thread);
        }
        left -= 1;
    }
    Ok(0)
}

/// Makes a queue named `id` (not 0).
pub extern "C" fn sys_init_queue(id: usize) -> i32 {
    answer(init(id))
}

/// Removes a queue; who waits is woken.
pub extern "C" fn sys_destroy_queue(id: usize) -> i32 {
    answer(destroy(id))
}

/// Enters the calling thread, which will wait at most `timeout_ns` (0 or less:
/// without limit).
pub extern "C" fn sys_add_queue(id: usize, timeout_ns: i64) -> i32 {
    answer(add(id, timeout_ns))
}

/// Blocks until the calling thread, which has entered the queue, is notified; or
/// ETIMEDOUT.
pub extern "C" fn sys_wait(id: usize) -> i32 {
    answer(wait(id))
}

/// Wakes the first `count` threads of a queue (negative: all).
pub extern "C" fn sys_notify(id: usize, count: i32) -> i32 {
    answer(notify(id, count))
}
