//! Clocks.

use hermit_abi::{CLOCK_MONOTONIC, CLOCK_REALTIME, EINVAL, clockid_t, timespec};

use super::user::{self, Errno, InSlices, answer};
use crate::arch::percpu::this_cpu;
use crate::time::{monotonic_ns, realtime_ns};

const SECOND: u64 = 1_000_000_000;

/// A time as nanoseconds; EINVAL: it is negative or not normal. What is too large
/// becomes the largest.
pub fn duration_ns(time: timespec) -> Result<u64, Errno> {
    let seconds = u64::try_from(time.tv_sec).map_err(|_| Errno(EINVAL))?;
    let rest = u64::try_from(time.tv_nsec)
        .ok()
        .filter(|&rest| rest < SECOND)
        .ok_or(Errno(EINVAL))?;
    Ok(seconds.saturating_mul(SECOND).saturating_add(rest))
}

/// A time as the program gets it.
#[inline(always)]
fn timespec_of(seconds: u64, ns: u32) -> timespec {
    timespec {
        tv_sec: seconds as i64,
        tv_nsec: ns as i32,
    }
}

/// Any clock, stored anywhere. Kept out of the way of what is asked for most, for the
/// registers that it takes.
#[cold]
#[inline(never)]
fn any_clock(clock: clockid_t, into: *mut timespec) -> i32 {
    let ns = match clock {
        CLOCK_REALTIME => realtime_ns(),
        CLOCK_MONOTONIC => monotonic_ns(),
        _ => return answer(Err(Errno(EINVAL))),
    };
    let time = timespec_of(ns / SECOND, (ns % SECOND) as u32);
    answer(user::write(into, time).map(|()| 0))
}

/// Stores the time of a clock: since 1970, or since boot.
#[unsafe(no_mangle)]
pub extern "C" fn sys_clock_gettime(clockid: clockid_t, tp: *mut timespec) -> i32 {
    if clockid == CLOCK_MONOTONIC
        && let Some(into) = InSlices::new(tp)
    {
        let (seconds, ns) = this_cpu().second.now();
        into.write(timespec_of(seconds, ns));
        return 0;
    }
    any_clock(clockid, tp)
}
