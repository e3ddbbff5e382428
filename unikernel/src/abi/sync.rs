//! Futexes.

use core::sync::atomic::AtomicU32;

use hermit_abi::{EAGAIN, EINVAL, ETIMEDOUT, FUTEX_RELATIVE_TIMEOUT, timespec};

use super::time::duration_ns;
use super::user::{self, Errno, UserSlice, answer};
use crate::cluster;
use crate::sched::{self, FutexWait};
use crate::time::monotonic_ns;

/// The word at an address. EFAULT or EINVAL if there cannot be one.
#[inline(always)]
fn word_at<'a>(address: *mut u32) -> Result<&'a AtomicU32, Errno> {
    UserSlice::new(address, size_of::<u32>())?;
    if !address.is_aligned() {
        return Err(Errno(EINVAL));
    }
    // SAFETY: the word is aligned and in the program's memory; where there is no
    // memory the access faults, which ends the program.
    Ok(unsafe { AtomicU32::from_ptr(address) })
}

#[inline(always)]
fn wait(
    address: *mut u32,
    expected: u32,
    timeout: *const timespec,
    flags: u32,
) -> Result<i32, Errno> {
    if flags & !FUTEX_RELATIVE_TIMEOUT != 0 {
        return Err(Errno(EINVAL));
    }
    let word = word_at(address)?;
    let end = if timeout.is_null() {
        if cluster::is_active() {
            cluster::futex_wait(word, expected, None)
        } else {
            sched::futex_wait(word, expected)
        }
    } else {
        wait_until(word, expected, timeout, flags)?
    };
    match end {
        FutexWait::Woken => Ok(0),
        FutexWait::Changed => Err(Errno(EAGAIN)),
        FutexWait::TimedOut => Err(Errno(ETIMEDOUT)),
    }
}

#[inline(never)]
fn wait_until(
    word: &AtomicU32,
    expected: u32,
    timeout: *const timespec,
    flags: u32,
) -> Result<FutexWait, Errno> {
    let ns = duration_ns(user::read(timeout)?)?;
    let base = if flags & FUTEX_RELATIVE_TIMEOUT != 0 {
        monotonic_ns()
    } else {
        0
    };
    let deadline = base.saturating_add(ns);
    Ok(if cluster::is_active() {
        cluster::futex_wait(word, expected, Some(deadline))
    } else {
        sched::futex_wait_until(word, expected, Some(deadline))
    })
}

#[inline(always)]
fn wake(address: *mut u32, count: i32) -> Result<i32, Errno> {
    let count = usize::try_from(count).map_err(|_| Errno(EINVAL))?;
    word_at(address)?;
    let woken = if cluster::is_active() {
        cluster::futex_wake(address.addr(), count)
    } else {
        sched::futex_wake(address.addr(), count)
    };
    Ok(woken as i32)
}

/// Blocks while the word at `address` is `expected`, until a wake-up (0) or the
/// timeout (ETIMEDOUT): null for none, else monotonic time, or a duration with
/// `FUTEX_RELATIVE_TIMEOUT`. EAGAIN: the word was different.
pub extern "C" fn sys_futex_wait(
    address: *mut u32,
    expected: u32,
    timeout: *const timespec,
    flags: u32,
) -> i32 {
    answer(wait(address, expected, timeout, flags))
}

/// Wakes at most `count` threads that wait for the word at `address`. Returns how
/// many.
pub extern "C" fn sys_futex_wake(address: *mut u32, count: i32) -> i32 {
    answer(wake(address, count))
}
