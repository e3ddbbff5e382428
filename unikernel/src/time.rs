//! Monotonic and wall-clock time from the time-stamp counter.
//!
//! The counter's frequency comes from the hypervisor where it tells (kvm-clock,
//! the timing leaf), else from CPUID, else it is measured against the PIT or the real-time
//! clock.
//! Wall time is read once at boot and advanced by the counter.

use core::sync::atomic::{AtomicU64, Ordering};

use crate::arch::cpu::tsc;
use crate::arch::{clock, tlb};
use crate::panic;

/// Counter value that is time zero.
static BASE_TSC: AtomicU64 = AtomicU64::new(0);
/// Nanoseconds per counter tick, as a 32.32 fixed-point number.
static SCALE: AtomicU64 = AtomicU64::new(1 << 32);
/// Counter frequency in kHz.
static KHZ: AtomicU64 = AtomicU64::new(0);
/// Counter value when this machine was started, which is never put forward.
static STARTED_TSC: AtomicU64 = AtomicU64::new(0);
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
    let started = tsc();
    BASE_TSC.store(started, Ordering::Relaxed);
    STARTED_TSC.store(started, Ordering::Relaxed);
    WALL_BASE.store(clock::wall_ns(), Ordering::Relaxed);
}

/// The counter's frequency in kHz (0 before [`init`]). Any context.
pub fn tsc_khz() -> u64 {
    KHZ.load(Ordering::Relaxed)
}

/// The counter value at which [`monotonic_ns`] was 0, wrapped where that lies before the counter's own
/// zero: in a cluster, the clock is put forward. Any context.
pub fn zero_tsc() -> u64 {
    BASE_TSC.load(Ordering::Relaxed)
}

/// Ticks since time zero, which may lie before the counter's own, as a wrapped number. A counter
/// that is behind, as another CPU's may be by a little, has counted none.
fn since_base(now: u64, base: u64) -> u64 {
    let ticks = now.wrapping_sub(base);
    if (ticks as i64) < 0 { 0 } else { ticks }
}

/// Nanoseconds since boot. In a cluster it is put forward to what other nodes' clocks show. Any
/// context.
pub fn monotonic_ns() -> u64 {
    since(&BASE_TSC)
}

/// Nanoseconds since this machine was started: the clock for lengths of time that no other
/// machine's clock may change. Any context.
pub fn uptime_ns() -> u64 {
    since(&STARTED_TSC)
}

fn since(base: &AtomicU64) -> u64 {
    let ticks = since_base(tsc(), base.load(Ordering::Relaxed));
    ((u128::from(ticks) * u128::from(SCALE.load(Ordering::Relaxed))) >> 32) as u64
}

/// A stretch of monotonic time that a CPU is in, within one second: where it keeps this, it
/// can tell the time without a division. Changed by its CPU alone, in thread context, which
/// is not preempted in the kernel.
///
/// A stretch is 2^32 ticks of the counter from `base` on, so that it is over when the upper
/// half of the ticks since then is not 0. The first of them may lie before the second that
/// it is of; it has begun when they were.
pub struct Stretch {
    /// The second, since boot.
    pub second: AtomicU64,
    /// Counter value that the ticks are counted from.
    pub base: AtomicU64,
    /// The time then, in nanoseconds since the second began (perhaps less than none), as a
    /// 32.32 fixed-point number.
    pub at_base: AtomicU64,
    /// Nanoseconds per tick, as a 32.32 fixed-point number.
    pub scale: AtomicU64,
}

impl Stretch {
    const SECOND: u128 = 1_000_000_000 << 32;

    /// One that is over, whatever the counter says.
    pub const fn new() -> Self {
        Self {
            second: AtomicU64::new(0),
            base: AtomicU64::new(1 << 63),
            at_base: AtomicU64::new(0),
            scale: AtomicU64::new(0),
        }
    }

    /// Makes this the stretch that we are in, and gives the time: seconds and nanoseconds
    /// since boot. On the CPU that this belongs to; thread context.
    pub fn begin(&self) -> (u64, u32) {
        loop {
            let zero = BASE_TSC.load(Ordering::Relaxed);
            let time = self.begin_from(zero);
            // A clock that was put forward meanwhile has ended the stretch before it began.
            if BASE_TSC.load(Ordering::Relaxed) == zero {
                return time;
            }
        }
    }

    /// Ends it, whatever the counter says. On the CPU that it belongs to; also in the middle of
    /// [`Self::begin`].
    pub fn end(&self) {
        self.base.store(1 << 63, Ordering::Relaxed);
    }

    fn begin_from(&self, zero: u64) -> (u64, u32) {
        let now = tsc();
        let scale = u128::from(SCALE.load(Ordering::Relaxed));
        let ticks = since_base(now, zero);
        let second = u128::from(ticks) * scale / Self::SECOND;
        // It is over with the second, or else, where the counter is faster than 2^32 in a
        // second, before.
        let end_of_second = ((second + 1) * Self::SECOND).div_ceil(scale) as u64;
        let end = end_of_second.min(ticks + u64::from(u32::MAX));
        let base = zero.wrapping_add(end).wrapping_sub(1 << 32);
        // A negative number, too, is what its lower 64 bits are.
        let at_base = (u128::from(end) * scale)
            .wrapping_sub(second * Self::SECOND)
            .wrapping_sub(scale << 32);
        self.second.store(second as u64, Ordering::Relaxed);
        self.base.store(base, Ordering::Relaxed);
        self.at_base.store(at_base as u64, Ordering::Relaxed);
        self.scale.store(scale as u64, Ordering::Relaxed);
        let ns = (u128::from(ticks) * scale - second * Self::SECOND) >> 32;
        (second as u64, ns as u32)
    }
}

/// Puts the clock forward if `other`, monotonic ns of another node when it sent what has come
/// now, is ahead of it: what is received is received after it was sent (Lamport, "Time, clocks, and
/// the ordering of events in a distributed system", 1978). Wall time stays as it is. The
/// protocol thread, before anybody learns of what has come.
pub fn catch_up(other: u64) {
    let ahead = other.saturating_sub(monotonic_ns());
    if ahead == 0 {
        return;
    }
    // Not less than it takes, at the cost of one tick.
    let scale = u128::from(SCALE.load(Ordering::Relaxed));
    let ticks = (u128::from(ahead) << 32).div_ceil(scale) as u64;
    // May wrap: only differences count.
    BASE_TSC.fetch_sub(ticks, Ordering::Relaxed);
    WALL_BASE.fetch_sub(ahead, Ordering::Relaxed);
    // All CPUs end their stretches in the handler of that.
    tlb::shootdown(0, 0);
}

/// The counter value at which [`monotonic_ns`] will have reached `deadline`.
pub fn tsc_at(deadline: u64) -> u64 {
    let ticks = u128::from(deadline) * u128::from(tsc_khz()) / 1_000_000;
    let at = BASE_TSC.load(Ordering::Relaxed).wrapping_add(ticks as u64);
    // A clock that was put forward by more than the counter has counted has its zero before
    // the counter's.
    if (at as i64) < 0 { 0 } else { at }
}

/// Nanoseconds since 1970-01-01 UTC. Any context.
pub fn realtime_ns() -> u64 {
    started_ns() + monotonic_ns()
}

/// The wall time when [`monotonic_ns`] was 0, in nanoseconds since 1970-01-01 UTC. Any
/// context.
pub fn started_ns() -> u64 {
    WALL_BASE.load(Ordering::Relaxed)
}
