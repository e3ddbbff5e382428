//! The one-shot timer of each CPU: TSC-deadline where there is it, else the
//! local APIC's counter, whose frequency is measured once against the TSC.

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use raw_cpuid::CpuId;
use x86_64::registers::model_specific::Msr;

use super::apic::LocalInterrupts;
use super::cpu::tsc;
use super::percpu::this_cpu;
use crate::time;

const IA32_TSC_DEADLINE: u32 = 0x6e0;

static DEADLINE_MODE: AtomicBool = AtomicBool::new(false);
/// Timer ticks in 2^20 ns.
static TICKS: AtomicU64 = AtomicU64::new(0);

/// Chooses the mode; measures the counter. Boot CPU, after `time::init`.
pub fn init(local: &mut LocalInterrupts) {
    let deadline = CpuId::new()
        .get_feature_info()
        .is_some_and(|info| info.has_tsc_deadline());
    DEADLINE_MODE.store(deadline, Ordering::Relaxed);
    if !deadline {
        let start = tsc();
        local.start_timer(u32::MAX);
        // 200 us: long against the reading of both counters.
        let end = start + (time::tsc_khz() / 5).max(1);
        while tsc() < end {
            core::hint::spin_loop();
        }
        let ticks = u64::from(u32::MAX - local.timer_left());
        let elapsed = tsc() - start;
        local.start_timer(0);
        let ns = (u128::from(elapsed) * 1_000_000 / u128::from(time::tsc_khz())).max(1);
        let scaled = ((u128::from(ticks) << 20) / ns) as u64;
        TICKS.store(scaled.max(1), Ordering::Relaxed);
    }
    prepare(local);
}

/// Puts the calling CPU's timer into the chosen mode.
pub fn prepare(local: &mut LocalInterrupts) {
    if DEADLINE_MODE.load(Ordering::Relaxed) {
        local.use_deadline();
    }
}

/// Sets the calling CPU's timer to fire at `deadline` (monotonic ns), or not at
/// all. Interrupts are off.
pub fn set(deadline: Option<u64>) {
    if DEADLINE_MODE.load(Ordering::Relaxed) {
        // 0 disarms.
        let value = deadline.map_or(0, |deadline| time::tsc_at(deadline).max(1));
        // SAFETY: the timer's vector has a handler.
        unsafe { Msr::new(IA32_TSC_DEADLINE).write(value) };
        return;
    }
    let count = deadline.map_or(0, |deadline| {
        let ns = deadline.saturating_sub(time::monotonic_ns());
        let ticks = (u128::from(ns) * u128::from(TICKS.load(Ordering::Relaxed))) >> 20;
        // Rounded up, so that it is never early; a longer wait than the counter
        // can hold fires in between and is set again.
        u32::try_from(ticks + 1).unwrap_or(u32::MAX)
    });
    this_cpu().local.lock().start_timer(count);
}
