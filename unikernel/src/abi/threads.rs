//! Threads: start, join, sleep, priorities.

use hermit_abi::{EDEADLK, EINVAL, ENOMEM, Tid, timespec};

use super::memory::with_reclaim;
use super::time::duration_ns;
use super::user::{self, Errno, answer};
use crate::arch::percpu::current_tid;
use crate::cluster;
use crate::sched;
use crate::time::monotonic_ns;

/// Stack of a thread whose maker does not say.
const DEFAULT_STACK: usize = 1 << 20;
const HIGHEST_PRIORITY: u8 = 31;

fn spawn(
    func: extern "C" fn(usize),
    arg: usize,
    prio: u8,
    stack_size: usize,
    core_id: isize,
) -> Result<Tid, Errno> {
    if prio > HIGHEST_PRIORITY {
        return Err(Errno(EINVAL));
    }
    let cpu = usize::try_from(core_id).ok();
    let stack_bytes = stack_size as u64;
    let thread = with_reclaim(|| {
        let spawned = if cluster::is_active() && cpu.is_none() {
            cluster::calls::spawn(func, arg, prio, stack_bytes)
        } else {
            sched::spawn(func, arg, prio, stack_bytes, cpu)
        };
        spawned.ok()
    });
    if let (Some(tid), true) = (thread, cluster::is_active()) {
        cluster::census::began(tid);
    }
    thread.ok_or(Errno(ENOMEM))
}

fn join(tid: Tid) -> Result<i32, Errno> {
    if tid == current_tid() {
        return Err(Errno(EDEADLK));
    }
    if cluster::is_active() {
        cluster::calls::join(tid);
    } else {
        sched::join(tid);
    }
    Ok(0)
}

/// Starts a thread that calls `func(arg)` and stores its number at `id`.
pub extern "C" fn sys_spawn(
    id: *mut Tid,
    func: extern "C" fn(usize),
    arg: usize,
    prio: u8,
    core_id: isize,
) -> i32 {
    let spawned = spawn(func, arg, prio, DEFAULT_STACK, core_id).and_then(|tid| {
        if !id.is_null() {
            user::write(id, tid)?;
        }
        Ok(0)
    });
    answer(spawned)
}

/// Starts a thread that calls `func(arg)`, with a stack of at least `stack_size`
/// bytes, on CPU `core_id` if that exists. Returns its number, or 0.
pub extern "C" fn sys_spawn2(
    func: extern "C" fn(usize),
    arg: usize,
    prio: u8,
    stack_size: usize,
    core_id: isize,
) -> Tid {
    spawn(func, arg, prio, stack_size, core_id).unwrap_or_else(|error| {
        answer(Err(error));
        0
    })
}

/// Waits for a thread to end.
pub extern "C" fn sys_join(id: Tid) -> i32 {
    answer(join(id))
}

/// Lets other threads run.
pub extern "C" fn sys_yield() {
    sched::yield_now();
}

/// Blocks until another thread calls [`sys_wakeup_taskt`], or returns at once if
/// that was done since the last block.
pub extern "C" fn sys_block_current_task() {
    sched::block_current(None);
}

/// As [`sys_block_current_task`], for at most `timeout` milliseconds.
pub extern "C" fn sys_block_current_task_with_timeout(timeout: u64) {
    sched::block_current(Some(
        monotonic_ns().saturating_add(timeout.saturating_mul(1_000_000)),
    ));
}

/// Wakes a thread that has blocked itself.
pub extern "C" fn sys_wakeup_taskt(tid: Tid) {
    if let Some(thread) = sched::find(tid) {
        sched::wake_thread(&thread);
    }
}

/// The calling thread's priority, 0 to 31.
pub extern "C" fn sys_get_priority() -> u8 {
    sched::current().priority().number()
}

/// Changes a thread's priority.
pub extern "C" fn sys_set_priority(tid: Tid, prio: u8) {
    sched::set_priority(tid, prio);
}

/// Sleeps for at least `usecs` microseconds.
pub extern "C" fn sys_usleep(usecs: u64) {
    sched::sleep_until(monotonic_ns().saturating_add(usecs.saturating_mul(1000)));
}

/// Sleeps for at least the time at `req`.
pub extern "C" fn sys_nanosleep(req: *const timespec) -> i32 {
    let slept = user::read(req).and_then(duration_ns).map(|ns| {
        sched::sleep_until(monotonic_ns().saturating_add(ns));
        0
    });
    answer(slept)
}
