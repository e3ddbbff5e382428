//! Counting semaphores.
//!
//! The program's `sem_t` holds a number that names the semaphore here, never a
//! pointer: a program that overwrites it gets EINVAL.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicU32, Ordering};

use hermit_abi::{EAGAIN, EINVAL, ENOSYS, EOVERFLOW, ETIMEDOUT, sem_t, timespec};

use super::time::duration_ns;
use super::user::{self, Errno, answer};
use crate::sched::WaitQueue;
use crate::sync::RwLock;
use crate::time::monotonic_ns;
use crate::time::realtime_ns;

struct Semaphore {
    value: AtomicU32,
    waiters: WaitQueue,
}

impl Semaphore {
    fn take(&self) -> Option<()> {
        let less = |value: u32| value.checked_sub(1);
        self.value
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, less)
            .ok()
            .map(|_| ())
    }
}

struct Table {
    semaphores: BTreeMap<usize, Arc<Semaphore>>,
    last: usize,
}

static TABLE: RwLock<Table> = RwLock::new(Table {
    semaphores: BTreeMap::new(),
    last: 0,
});

fn get(sem: *mut sem_t) -> Result<Arc<Semaphore>, Errno> {
    let number = user::read(sem.cast::<usize>().cast_const())?;
    TABLE
        .read()
        .semaphores
        .get(&number)
        .cloned()
        .ok_or(Errno(EINVAL))
}

fn init(sem: *mut sem_t, shared: i32, value: u32) -> Result<i32, Errno> {
    if shared != 0 {
        // There are no other processes to share it with.
        return Err(Errno(ENOSYS));
    }
    let number = {
        let mut table = TABLE.write();
        table.last += 1;
        let number = table.last;
        let semaphore = Arc::new(Semaphore {
            value: AtomicU32::new(value),
            waiters: WaitQueue::new(),
        });
        table.semaphores.insert(number, semaphore);
        number
    };
    user::write(sem.cast::<usize>(), number)?;
    Ok(0)
}

fn destroy(sem: *mut sem_t) -> Result<i32, Errno> {
    let number = user::read(sem.cast::<usize>().cast_const())?;
    let removed = TABLE.write().semaphores.remove(&number);
    removed.map(|_| 0).ok_or(Errno(EINVAL))
}

fn post(sem: *mut sem_t) -> Result<i32, Errno> {
    let semaphore = get(sem)?;
    let more = |value: u32| value.checked_add(1);
    semaphore
        .value
        .fetch_update(Ordering::AcqRel, Ordering::Acquire, more)
        .map_err(|_| Errno(EOVERFLOW))?;
    semaphore.waiters.wake_one();
    Ok(0)
}

fn wait(sem: *mut sem_t, until: *const timespec) -> Result<i32, Errno> {
    let semaphore = get(sem)?;
    let deadline = if until.is_null() {
        None
    } else {
        // The limit is wall-clock time, as POSIX has it; waiting is monotonic.
        let wall = duration_ns(user::read(until)?)?;
        Some(monotonic_ns().saturating_add(wall.saturating_sub(realtime_ns())))
    };
    let taken = semaphore.waiters.wait_until(deadline, || semaphore.take());
    taken.map(|()| 0).ok_or(Errno(ETIMEDOUT))
}

/// Makes a semaphore with `value` resources. `pshared` must be 0.
pub extern "C" fn sys_sem_init(sem: *mut sem_t, pshared: i32, value: u32) -> i32 {
    answer(init(sem, pshared, value))
}

/// Removes a semaphore.
pub extern "C" fn sys_sem_destroy(sem: *mut sem_t) -> i32 {
    answer(destroy(sem))
}

/// Adds one resource.
pub extern "C" fn sys_sem_post(sem: *mut sem_t) -> i32 {
    answer(post(sem))
}

/// Takes one resource, or EAGAIN.
pub extern "C" fn sys_sem_trywait(sem: *mut sem_t) -> i32 {
    let taken = get(sem).and_then(|semaphore| semaphore.take().ok_or(Errno(EAGAIN)));
    answer(taken.map(|()| 0))
}

/// Takes one resource; waits for it until the wall-clock time at `abs_timeout`
/// (null: for ever), then ETIMEDOUT.
pub extern "C" fn sys_sem_timedwait(sem: *mut sem_t, abs_timeout: *const timespec) -> i32 {
    answer(wait(sem, abs_timeout))
}
