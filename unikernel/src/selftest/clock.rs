//! The quick way to tell the time, against the one that it is short for.

use alloc::format;
use core::sync::atomic::{AtomicU64, Ordering};

use hermit_abi::{CLOCK_MONOTONIC, timespec};

use super::Found;
use super::gang::on_every_cpu;
use crate::abi::time::sys_clock_gettime;
use crate::time::monotonic_ns;

/// Reads the clock on each CPU until `seconds` have begun. Gives how many readings
/// there were.
pub fn run(seconds: u64) -> Found {
    let readings = AtomicU64::new(0);
    on_every_cpu(&|_| {
        let (begin, _) = quick();
        loop {
            let before = monotonic_ns();
            let (second, ns) = quick();
            let after = monotonic_ns();
            readings.fetch_add(1, Ordering::Relaxed);
            let between = second * 1_000_000_000 + u64::from(ns);
            if ns >= 1_000_000_000 || !(before..=after).contains(&between) {
                return Err(format!(
                    "found {second} s and {ns} ns between {before} ns and {after} ns"
                ));
            }
            if second >= begin + seconds {
                return Ok(());
            }
        }
    })?;
    Ok(readings.into_inner())
}

/// The time since boot as the program gets it: seconds and nanoseconds.
fn quick() -> (u64, u32) {
    let mut time = timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    sys_clock_gettime(CLOCK_MONOTONIC, &raw mut time);
    (time.tv_sec as u64, time.tv_nsec as u32)
}
