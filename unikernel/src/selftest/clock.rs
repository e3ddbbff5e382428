//! The quick way to tell the time, against the one that it is short for.

use alloc::format;
use core::sync::atomic::{AtomicU64, Ordering};

use super::Found;
use super::gang::on_every_cpu;
use crate::arch::percpu::this_cpu;
use crate::time::monotonic_ns;

/// Reads the clock on each CPU until `seconds` have begun. Gives how many readings
/// there were.
pub fn run(seconds: u64) -> Found {
    let readings = AtomicU64::new(0);
    on_every_cpu(&|_| {
        let (begin, _) = this_cpu().second.now();
        loop {
            let before = monotonic_ns();
            let (second, ns) = this_cpu().second.now();
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
