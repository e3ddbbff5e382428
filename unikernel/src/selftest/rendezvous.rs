//! All CPUs come together, called by several at the same time.

use alloc::format;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::gang::on_every_cpu;
use super::{Found, spin_until};
use crate::sched;

/// Holds `meetings`, called by all CPUs in equal parts, and gives how many there were.
pub fn run(meetings: u64) -> Found {
    let held = AtomicU64::new(0);
    let failed = AtomicBool::new(false);
    on_every_cpu(&|member| {
        let all = u64::MAX >> (u64::BITS - member.members() as u32);
        for _ in 0..meetings.div_ceil(member.members() as u64) {
            // A bit for each CPU that has come to this meeting.
            let came = AtomicU64::new(0);
            sched::messages().rendezvous(&member.leave, |cpu| {
                let was_here = came.fetch_or(1 << cpu, Ordering::AcqRel) & 1 << cpu != 0;
                // Nobody leaves before all are here. So nobody can be in another
                // meeting at the same time either: that would wait for ever.
                let waited = spin_until("all CPUs to be in the meeting", || {
                    came.load(Ordering::Acquire) == all
                });
                if was_here || waited.is_err() {
                    failed.store(true, Ordering::Relaxed);
                }
            });
            let came = came.into_inner();
            if came != all || failed.load(Ordering::Relaxed) {
                return Err(format!(
                    "found the CPUs {came:#b} in a meeting, or one of them twice, expected {all:#b}"
                ));
            }
            held.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    })?;
    Ok(held.into_inner())
}
