//! How a driver and its device tell each other of progress: doorbells and interrupts.
//!
//! The library's transports ring a doorbell by three accesses to a device on PCI, each of which
//! leaves the virtual machine, and set no vectors of MSI-X. Both is done here, with the registers
//! that are needed for it found once.

use core::ptr::NonNull;

use super::Refusal;
use crate::drivers::interrupts::{Acknowledge, Interrupt};

/// What a bus has beside the library's transport. Exclusive, as that is.
pub trait Signals: Send {
    /// What takes an interrupt back, where that is needed.
    fn acknowledge(&self) -> Option<Acknowledge>;
    /// Has `interrupt` come to this CPU for a queue that is not started yet. Boot.
    fn route(&mut self, queue: u16, interrupt: &'static Interrupt) -> Result<(), Refusal>;
    /// What tells the device of new buffers in a queue.
    fn doorbell(&mut self, queue: u16) -> Result<Doorbell, Refusal>;
}

/// The register that tells a device of new buffers in a queue.
pub struct Doorbell {
    register: Register,
    queue: u16,
}

enum Register {
    Half(NonNull<u16>),
    Word(NonNull<u32>),
}

// SAFETY: a register that any CPU may write at any time, as the constructors demand.
unsafe impl Send for Doorbell {}

impl Doorbell {
    /// One of 16 bits.
    ///
    /// # Safety
    /// It is mapped for ever, and any CPU may write a queue's number there at any time.
    pub unsafe fn half(register: NonNull<u16>, queue: u16) -> Self {
        Self {
            register: Register::Half(register),
            queue,
        }
    }

    /// One of 32 bits.
    ///
    /// # Safety
    /// As for [`Doorbell::half`].
    pub unsafe fn word(register: NonNull<u32>, queue: u16) -> Self {
        Self {
            register: Register::Word(register),
            queue,
        }
    }

    /// Tells the device.
    pub fn ring(&self) {
        // SAFETY: as the constructors demand.
        unsafe {
            match self.register {
                Register::Half(register) => register.write_volatile(self.queue),
                Register::Word(register) => register.write_volatile(self.queue.into()),
            }
        }
    }
}
