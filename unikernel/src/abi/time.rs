//! Clocks.

use hermit_abi::{CLOCK_MONOTONIC, CLOCK_REALTIME, EINVAL, clockid_t, timespec};

use super::user::{self, Errno, answer};
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

fn clock_gettime(clock: clockid_t, into: *mut timespec) -> Result<i32, Errno> {
    let ns = match clock {
        CLOCK_REALTIME => realtime_ns(),
        CLOCK_MONOTONIC => monotonic_ns(),
        _ => return Err(Errno(EINVAL)),
    };
    user::write(
        into,
        timespec {
            tv_sec: (ns / SECOND) as i64,
            tv_nsec: (ns % SECOND) as i32,
        },
    )?;
    Ok(0)
}

/// Stores the time of a clock: since 1970, or since boot.
#[unsafe(no_mangle)]
pub extern "C" fn sys_clock_gettime(clockid: clockid_t, tp: *mut timespec) -> i32 {
    answer(clock_gettime(clockid, tp))
}
