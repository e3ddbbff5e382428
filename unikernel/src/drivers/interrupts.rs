//! Interrupts of devices: from the vector to whoever serves the device.
//!
//! All go to the boot CPU, where the threads that serve devices run. The handler notes
//! which vector it was, and no more; once the CPU is in no critical section
//! [`serve`] tells the device that it was heard, where it wants to know, and wakes.

use core::ops::RangeInclusive;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicU64, Ordering};

use spin::Once;

use crate::sync::Lock;

/// The vectors that devices have.
pub const VECTORS: RangeInclusive<u8> = FIRST..=FIRST + (COUNT - 1) as u8;
const FIRST: u8 = 0x40;
const COUNT: usize = u64::BITS as usize;

/// An interrupt of a device, which may come by several vectors.
pub struct Interrupt {
    wake: fn(),
    acknowledge: Option<Acknowledge>,
    count: AtomicU64,
}

/// A register that takes an interrupt back: as long as it is not written, the device's line
/// stays up, and so the next interrupt makes no edge.
pub struct Acknowledge {
    register: NonNull<u32>,
    value: u32,
}

// SAFETY: a register that may be written at any time by any CPU, as `new` demands.
unsafe impl Send for Acknowledge {}
// SAFETY: as above.
unsafe impl Sync for Acknowledge {}

impl Acknowledge {
    /// The register at `register`, and what is to be written there.
    ///
    /// # Safety
    /// The register is mapped for ever, and may be written so at any time by any CPU.
    pub unsafe fn new(register: NonNull<u32>, value: u32) -> Self {
        Self { register, value }
    }
}

impl Interrupt {
    /// One that has `wake` called when it comes: in a critical section, not in the handler.
    pub const fn new(wake: fn(), acknowledge: Option<Acknowledge>) -> Self {
        Self {
            wake,
            acknowledge,
            count: AtomicU64::new(0),
        }
    }

    /// How often it has come.
    pub fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    fn serve(&self) {
        self.count.fetch_add(1, Ordering::Relaxed);
        // Before whoever is woken looks at the device: what comes after that look makes
        // another edge.
        if let Some(Acknowledge { register, value }) = &self.acknowledge {
            // SAFETY: as `Acknowledge::new` was told.
            unsafe { register.write_volatile(*value) };
        }
        (self.wake)();
    }
}

static TABLE: [Once<&'static Interrupt>; COUNT] = [const { Once::new() }; COUNT];
static TAKEN: Lock<usize> = Lock::new(0);
/// Vectors that have been raised since they were last served, from [`FIRST`] on.
static RAISED: AtomicU64 = AtomicU64::new(0);

/// Gives `interrupt` a vector; `None`: there is none left.
pub fn claim(interrupt: &'static Interrupt) -> Option<u8> {
    let mut taken = TAKEN.lock();
    let index = *taken;
    TABLE.get(index)?.call_once(|| interrupt);
    *taken += 1;
    Some(FIRST + index as u8)
}

/// Notes that `vector`, one of [`VECTORS`], was raised. Interrupt handlers.
pub fn raised(vector: u8) {
    RAISED.fetch_or(1 << (vector - FIRST), Ordering::Release);
}

/// Does what interrupts of devices have put off. In a critical section.
pub fn serve() {
    let mut raised = RAISED.swap(0, Ordering::Acquire);
    while raised != 0 {
        let index = raised.trailing_zeros() as usize;
        raised &= raised - 1;
        match TABLE[index].get() {
            Some(interrupt) => interrupt.serve(),
            None => log::warn!("interrupt {:#x} has no handler", usize::from(FIRST) + index),
        }
    }
}
