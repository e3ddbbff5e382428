//! Virtio devices whose registers are at a fixed place in memory (4.2).

use alloc::format;
use alloc::string::String;
use core::ptr::NonNull;

use virtio_drivers::transport::mmio::{MmioError, MmioTransport, MmioVersion, VirtIOHeader};

use super::signals::{Doorbell, Signals};
use super::{Device, Refusal};
use crate::arch::apic;
use crate::drivers::interrupts::{self, Acknowledge, Interrupt};
use crate::memory::paging;
use crate::platform::InterruptLine;

/// Where a device may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Physical address of the registers.
    pub physical: u64,
    /// Their bytes, the device's own fields included.
    pub bytes: u64,
    /// The number of its interrupt.
    pub irq: u32,
}

impl Place {
    /// Reads the value of `virtio_mmio.device`, as Linux has it: `SIZE@BASE:IRQ`, each decimal
    /// or, after `0x`, hexadecimal, the size also with `K` for 1024; an identifier may follow
    /// after another colon.
    pub fn parse(text: &str) -> Option<Self> {
        let (bytes, rest) = text.split_once('@')?;
        let mut rest = rest.split(':');
        let place = Self {
            physical: number(rest.next()?)?,
            bytes: match bytes.strip_suffix(['K', 'k']) {
                Some(kib) => number(kib)?.checked_mul(1024)?,
                None => number(bytes)?,
            },
            irq: number(rest.next()?)?.try_into().ok()?,
        };
        let is_whole = rest.next().is_none_or(|id| number(id).is_some()) && rest.next().is_none();
        is_whole.then_some(place)
    }
}

fn number(text: &str) -> Option<u64> {
    match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

/// Offsets of registers that the library has for itself (4.2.2).
mod offset {
    pub const DOORBELL: usize = 0x50;
    pub const ACKNOWLEDGE: usize = 0x64;
}

/// Both causes of an interrupt: used buffers, and changed fields (4.2.2).
const CAUSES: u32 = 0b11;

/// Looks what is at `place`. `line` is where its interrupt arrives. `None`: no device.
pub fn open(
    place: Place,
    line: Option<InterruptLine>,
) -> Option<Result<Device, (String, Refusal)>> {
    if place.bytes < size_of::<VirtIOHeader>() as u64
        || !place
            .physical
            .is_multiple_of(align_of::<VirtIOHeader>() as u64)
    {
        return None;
    }
    let start = paging::map_device(place.physical, place.bytes);
    let header = NonNull::new(start as *mut VirtIOHeader)?;
    let name = format!("virtio device at {:#x}", place.physical);
    // SAFETY: so much is mapped there, for ever; if it is no device the first register says so.
    match unsafe { MmioTransport::new(header, place.bytes as usize) } {
        Ok(transport) if transport.version() == MmioVersion::Modern => {
            let signals = Mmio {
                registers: header.cast(),
                irq: place.irq,
                line,
                is_routed: false,
            };
            Some(Ok(Device::new(name, transport, signals)))
        }
        Ok(_) | Err(MmioError::UnsupportedVersion(_)) => Some(Err((name, Refusal::Legacy))),
        // There may be a place without a device, or with one of a kind that nobody has heard of.
        Err(_) => None,
    }
}

struct Mmio {
    registers: NonNull<u8>,
    irq: u32,
    line: Option<InterruptLine>,
    is_routed: bool,
}

// SAFETY: the registers are mapped for ever, and those that are used here are written only.
unsafe impl Send for Mmio {}

impl Mmio {
    fn register(&self, offset: usize) -> NonNull<u32> {
        // SAFETY: one of the registers that every device has.
        unsafe { self.registers.add(offset) }.cast()
    }
}

impl Signals for Mmio {
    fn acknowledge(&self) -> Option<Acknowledge> {
        // SAFETY: the register is mapped for ever; what it takes back is looked for after
        // each interrupt.
        Some(unsafe { Acknowledge::new(self.register(offset::ACKNOWLEDGE), CAUSES) })
    }

    fn route(&mut self, _queue: u16, interrupt: &'static Interrupt) -> Result<(), Refusal> {
        if self.is_routed {
            return Ok(());
        }
        let line = self.line.as_ref().ok_or(Refusal::NoLine(self.irq))?;
        let vector = interrupts::claim(interrupt).ok_or(Refusal::NoVector)?;
        apic::route(line.ioapic, line.pin, vector, line.active_low);
        self.is_routed = true;
        Ok(())
    }

    fn doorbell(&mut self, queue: u16) -> Result<Doorbell, Refusal> {
        // SAFETY: the register is mapped for ever; writing it is how any CPU tells the device
        // of buffers.
        Ok(unsafe { Doorbell::word(self.register(offset::DOORBELL), queue) })
    }
}
