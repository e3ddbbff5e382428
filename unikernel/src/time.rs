//! Monotonic and wall-clock time from the time-stamp counter.
//!
//! The counter's frequency comes from the hypervisor where it tells (kvm-clock,
//! the timing leaf), else from CPUID, else it is measured against the PIT or the real-time
//! clock.
//! Wall time is read once at boot and advanced by the counter.

use core::sync::atomic::{AtomicU64, Ordering};

use crate::arch::clock;
use crate::arch::cpu::tsc;
use crate::panic;

/// Counter value that is time zero.
static BASE_TSC: AtomicU64 = AtomicU64::new(0);
/// Nanoseconds per counter tick, as a 32.32 fixed-point number.
static SCALE: AtomicU64 = AtomicU64::new(1 << 32);
/// Counter frequency in kHz.
static KHZ: AtomicU64 = AtomicU64::new(0);
/// Wall time at time zero, nanoseconds since 1970.
static WALL_BASE: AtomicU64 = AtomicU64::new(0);

/// Finds the counter's frequency and the wall time. Called once, on the boot
/// CPU, before any other function here means anything.
pub fn init() {
    let Some(khz) = clock::tsc_khz().filter(|&khz| khz > 0) else {
        panic::refuse(format_args!(
            "nothing here tells the frequency of the time-stamp counter: found no kvm-clock, no CPUID leaf with it, \
             no PIT and no real-time clock; give the VM one of them"
        ));
    };
    KHZ.store(khz, Ordering::Relaxed);
    SCALE.store(
        ((1_000_000u128 << 32) / u128::from(khz)) as u64,
        Ordering::Relaxed,
    );
    BASE_TSC.store(tsc(), Ordering::Relaxed);
    WALL_BASE.store(clock::wall_ns(), Ordering::Relaxed);
}

/// The counter's frequency in kHz (0 before [`init`]). Any context.
pub fn tsc_khz() -> u64 {
    KHZ.load(Ordering::Relaxed)
}

/// Nanoseconds since boot. Any context.
pub fn monotonic_ns() -> u64 {
    let ticks = tsc().saturating_sub(BASE_TSC.load(Ordering::Relaxed));
    ((u128::from(ticks) * u128::from(SCALE.load(Ordering::Relaxed))) >> 32) as u64
}

/// The second of monotonic time that a CPU is in: where it keeps this, it can tell the
/// time without a division. Changed by its CPU alone, in thread context, which is not
/// preempted in the kernel.
pub struct Second {
    number: AtomicU64,
    /// Counter value at which the second is over.
    end: AtomicU64,
    /// The time then, in nanoseconds since the second began, as a 32.32 fixed-point
    /// number.
    at_end: AtomicU64,
}

impl Second {
    const NS: u64 = 1_000_000_000;

    /// One that is over.
    pub const fn new() -> Self {
        Self {
            number: AtomicU64::new(0),
            end: AtomicU64::new(0),
            at_end: AtomicU64::new(0),
        }
    }

    /// Seconds and nanoseconds since boot: [`monotonic_ns`], to the nanosecond. On the
    /// CPU that this belongs to; thread context.
    #[inline(always)]
    pub fn now(&self) -> (u64, u32) {
        let now = tsc();
        let (after_end, is_before) = now.overflowing_sub(self.end.load(Ordering::Relaxed));
        if is_before {
            self.at(after_end)
        } else {
            self.begin(now)
        }
    }

    /// The time so many ticks after the end, a negative number.
    #[inline(always)]
    fn at(&self, ticks: u64) -> (u64, u32) {
        let ns = ticks
            .wrapping_mul(SCALE.load(Ordering::Relaxed))
            .wrapping_add(self.at_end.load(Ordering::Relaxed));
        (self.number.load(Ordering::Relaxed), (ns >> 32) as u32)
    }

    /// Makes this the second of counter value `now`, and gives the time then.
    #[cold]
    #[inline(never)]
    fn begin(&self, now: u64) -> (u64, u32) {
        let base = BASE_TSC.load(Ordering::Relaxed);
        let scale = u128::from(SCALE.load(Ordering::Relaxed));
        let second = u128::from(Self::NS) << 32;
        let number = u128::from(now.saturating_sub(base)) * scale / second;
        let end = ((number + 1) * second).div_ceil(scale);
        self.number.store(number as u64, Ordering::Relaxed);
        self.end
            .store(base.wrapping_add(end as u64), Ordering::Relaxed);
        self.at_end
            .store((end * scale - number * second) as u64, Ordering::Relaxed);
        self.at(now.wrapping_sub(base.wrapping_add(end as u64)))
    }
}

/// The counter value at which [`monotonic_ns`] will have reached `deadline`.
pub fn tsc_at(deadline: u64) -> u64 {
    let ticks = u128::from(deadline) * u128::from(tsc_khz()) / 1_000_000;
    BASE_TSC
        .load(Ordering::Relaxed)
        .saturating_add(ticks as u64)
}

/// Nanoseconds since 1970-01-01 UTC. Any context.
pub fn realtime_ns() -> u64 {
    WALL_BASE.load(Ordering::Relaxed) + monotonic_ns()
}
