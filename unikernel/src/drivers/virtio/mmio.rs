//! Virtio devices whose registers are at a fixed place in memory (4.2).

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use core::ptr::NonNull;

use virtio_spec::{DeviceStatus, Id};

use super::queue::{Doorbell, Places};
use super::{Device, Refusal, Transport};
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

/// "virt"
const MAGIC: u32 = 0x7472_6976;
const VERSION: u32 = 2;

/// Offsets of registers (4.2.2).
mod offset {
    pub const MAGIC: usize = 0x00;
    pub const VERSION: usize = 0x04;
    pub const KIND: usize = 0x08;
    pub const OFFERED: usize = 0x10;
    pub const OFFERED_SELECT: usize = 0x14;
    pub const ACCEPTED: usize = 0x20;
    pub const ACCEPTED_SELECT: usize = 0x24;
    pub const QUEUE_SELECT: usize = 0x30;
    pub const QUEUE_MOST: usize = 0x34;
    pub const QUEUE_ENTRIES: usize = 0x38;
    pub const QUEUE_READY: usize = 0x44;
    pub const DOORBELL: usize = 0x50;
    pub const ACKNOWLEDGE: usize = 0x64;
    pub const STATUS: usize = 0x70;
    pub const DESCRIPTORS: usize = 0x80;
    pub const AVAILABLE: usize = 0x90;
    pub const USED: usize = 0xa0;
    pub const GENERATION: usize = 0xfc;
    pub const FIELDS: usize = 0x100;
}

/// Both causes of an interrupt: used buffers, and changed fields (4.2.2).
const CAUSES: u32 = 0b11;

/// Looks what is at `place`. `line` is where its interrupt arrives. `None`: no device.
pub fn open(
    place: Place,
    line: Option<InterruptLine>,
) -> Option<Result<Device, (String, Refusal)>> {
    if place.bytes < offset::FIELDS as u64 || !place.physical.is_multiple_of(4) {
        return None;
    }
    let start = paging::map_device(place.physical, place.bytes);
    let registers = Registers {
        start: NonNull::new(start as *mut u8)?,
        bytes: place.bytes as usize,
    };
    if registers.read(offset::MAGIC) != MAGIC {
        return None;
    }
    let kind = match registers.read(offset::KIND) {
        0 => return None,
        kind => Id::from(u8::try_from(kind).unwrap_or(0)),
    };
    let name = format!("virtio device at {:#x}", place.physical);
    if registers.read(offset::VERSION) != VERSION {
        return Some(Err((name, Refusal::Legacy)));
    }
    let transport = Mmio {
        registers,
        irq: place.irq,
        line,
        is_routed: false,
    };
    Some(Ok(Device::new(name, kind, Box::new(transport))))
}

struct Registers {
    start: NonNull<u8>,
    bytes: usize,
}

impl Registers {
    fn at(&self, offset: usize) -> NonNull<u32> {
        debug_assert!(offset < offset::FIELDS, "one of the common registers");
        // SAFETY: the registers are mapped, and there is this one.
        unsafe { self.start.add(offset) }.cast()
    }

    fn read(&self, offset: usize) -> u32 {
        // SAFETY: a register of this device, which is aligned; reading has no effect.
        unsafe { self.at(offset).read_volatile() }
    }

    fn write(&mut self, offset: usize, value: u32) {
        // SAFETY: as for `read`; this is all that leads to the registers, and what is
        // written follows the specification.
        unsafe { self.at(offset).write_volatile(value) };
    }

    fn write_wide(&mut self, offset: usize, value: u64) {
        self.write(offset, value as u32);
        self.write(offset + size_of::<u32>(), (value >> 32) as u32);
    }
}

struct Mmio {
    registers: Registers,
    irq: u32,
    line: Option<InterruptLine>,
    is_routed: bool,
}

// SAFETY: the registers are mapped for ever, and this is all that leads to them.
unsafe impl Send for Mmio {}

impl Transport for Mmio {
    fn offered(&mut self) -> u64 {
        let mut half = |index| {
            self.registers.write(offset::OFFERED_SELECT, index);
            u64::from(self.registers.read(offset::OFFERED))
        };
        half(0) | half(1) << 32
    }

    fn accept(&mut self, features: u64) {
        for (index, half) in [features as u32, (features >> 32) as u32]
            .into_iter()
            .enumerate()
        {
            self.registers.write(offset::ACCEPTED_SELECT, index as u32);
            self.registers.write(offset::ACCEPTED, half);
        }
    }

    fn status(&self) -> DeviceStatus {
        DeviceStatus::from_bits_retain(self.registers.read(offset::STATUS) as u8)
    }

    fn set_status(&mut self, status: DeviceStatus) {
        self.registers
            .write(offset::STATUS, u32::from(status.bits()));
    }

    fn queue_entries(&mut self, queue: u16) -> u16 {
        self.registers.write(offset::QUEUE_SELECT, u32::from(queue));
        let most = self.registers.read(offset::QUEUE_MOST);
        u16::try_from(most).unwrap_or(u16::MAX)
    }

    fn start_queue(
        &mut self,
        queue: u16,
        entries: u16,
        places: Places,
    ) -> Result<Doorbell, Refusal> {
        let registers = &mut self.registers;
        registers.write(offset::QUEUE_SELECT, u32::from(queue));
        registers.write(offset::QUEUE_ENTRIES, u32::from(entries));
        registers.write_wide(offset::DESCRIPTORS, places.descriptors);
        registers.write_wide(offset::AVAILABLE, places.available);
        registers.write_wide(offset::USED, places.used);
        registers.write(offset::QUEUE_READY, 1);
        // SAFETY: the register is mapped for ever; writing it is how any CPU tells the device
        // of buffers.
        Ok(unsafe { Doorbell::word(registers.at(offset::DOORBELL), queue) })
    }

    fn acknowledge(&self) -> Option<Acknowledge> {
        // SAFETY: the register is mapped for ever; what it takes back is looked for after
        // each interrupt.
        Some(unsafe { Acknowledge::new(self.registers.at(offset::ACKNOWLEDGE), CAUSES) })
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

    fn fields(&self) -> (NonNull<u8>, usize) {
        // SAFETY: the registers are mapped, and there are so many.
        let start = unsafe { self.registers.start.add(offset::FIELDS) };
        (start, self.registers.bytes - offset::FIELDS)
    }

    fn generation(&self) -> u32 {
        self.registers.read(offset::GENERATION)
    }
}
