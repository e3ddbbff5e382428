//! Threads that move from CPU to CPU.

use alloc::format;

use darner_lwkt::{Machine, MayBlock};

use super::Found;
use super::gang::on_every_cpu;
use crate::arch::percpu::this_index;
use crate::sched::{self, Kernel};

/// Moves the calling thread over all CPUs, `migrations` times; then lets a thread of
/// each CPU do the same, all at once, for as many in all. Gives how many there were.
pub fn run(migrations: u64) -> Found {
    let cpus = Kernel::cpus() as u64;
    // SAFETY: this is a thread, and uses this in no section.
    let leave = unsafe { MayBlock::assume() };
    for number in 0..migrations {
        let target = (number % cpus) as usize;
        sched::scheduler().migrate(&leave, target);
        // All other CPUs idle, so nobody has a reason to move it on.
        let here = this_index();
        if here != target {
            return Err(format!(
                "found the thread on CPU {here} after migration {number} to CPU {target}"
            ));
        }
    }
    let share = migrations.div_ceil(cpus);
    on_every_cpu(&|member| {
        for number in 0..share {
            // Each in its own order. Where many meet, the CPUs that they have left pull
            // some of them back, so where a thread comes to is not known.
            let target = (member.cpu as u64 + number * (member.cpu as u64 + 1)) % cpus;
            sched::scheduler().migrate(&member.leave, target as usize);
        }
        Ok(())
    })?;
    Ok(migrations + share * cpus)
}
