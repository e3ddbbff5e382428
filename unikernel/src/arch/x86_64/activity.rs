//! What each CPU has been doing: interrupts, by what they are for, and idling.
//!
//! Each CPU counts what it does itself, with plain additions, where something happens that
//! takes many times as long. Any CPU may read.

use core::sync::atomic::{AtomicU64, Ordering};

use darner_diag::idle::IdleClock;

use super::idt;
use crate::drivers::interrupts;
use crate::time::monotonic_ns;

/// What an interrupt is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The CPU's own timer.
    Timer,
    /// Messages of other CPUs, or threads.
    Message,
    /// TLB entries to be flushed.
    Shootdown,
    /// COM1.
    Serial,
    /// Devices on PCI, and virtio devices.
    Device,
    /// All others.
    Other,
}

impl Kind {
    /// All there are, in their order.
    pub const ALL: [Self; 6] = [
        Self::Timer,
        Self::Message,
        Self::Shootdown,
        Self::Serial,
        Self::Device,
        Self::Other,
    ];

    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Timer => "timer",
            Self::Message => "message",
            Self::Shootdown => "shootdown",
            Self::Serial => "serial",
            Self::Device => "device",
            Self::Other => "other",
        }
    }

    fn of(vector: u8) -> Self {
        match vector {
            idt::TIMER => Self::Timer,
            idt::MESSAGE => Self::Message,
            idt::SHOOTDOWN => Self::Shootdown,
            idt::SERIAL => Self::Serial,
            vector if interrupts::VECTORS.contains(&vector) => Self::Device,
            _ => Self::Other,
        }
    }
}

/// What a CPU has been doing since boot.
pub struct Activity {
    interrupts: [AtomicU64; Kind::ALL.len()],
    halts: AtomicU64,
    /// In ns of the monotonic clock.
    idle: IdleClock,
}

impl Activity {
    /// That of the boot CPU, which has been busy.
    pub const fn busy() -> Self {
        Self::new(IdleClock::busy())
    }

    /// That of a CPU that has not been started: it idles.
    pub const fn idle() -> Self {
        Self::new(IdleClock::idle())
    }

    const fn new(idle: IdleClock) -> Self {
        Self {
            interrupts: [const { AtomicU64::new(0) }; Kind::ALL.len()],
            halts: AtomicU64::new(0),
            idle,
        }
    }

    /// An interrupt has come in. On this CPU, with interrupts off.
    pub fn interrupted(&self, vector: u8) {
        add_one(&self.interrupts[Kind::of(vector) as usize]);
    }

    /// The CPU is about to halt. On this CPU, with interrupts off.
    pub fn halts(&self) {
        add_one(&self.halts);
        self.idle.begin(monotonic_ns());
    }

    /// The CPU has something to do again, or may have. On this CPU.
    pub fn goes_on(&self) {
        self.idle.end(monotonic_ns());
    }

    /// How many interrupts of that kind have come in. Any context.
    pub fn interrupts(&self, kind: Kind) -> u64 {
        self.interrupts[kind as usize].load(Ordering::Relaxed)
    }

    /// How often the CPU has halted. Any context.
    pub fn halt_count(&self) -> u64 {
        self.halts.load(Ordering::Relaxed)
    }

    /// For how long the CPU was halted by `now` (monotonic ns), in ns. Any context.
    pub fn idle_ns(&self, now: u64) -> u64 {
        self.idle.read(now)
    }
}

/// Of a counter that one CPU changes.
fn add_one(counter: &AtomicU64) {
    counter.store(counter.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
}
