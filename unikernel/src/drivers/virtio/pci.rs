//! Virtio devices on PCI (4.1), by their modern interface.

use alloc::format;
use alloc::string::String;
use core::ptr::NonNull;

use virtio_drivers::transport::pci::bus::{DeviceFunction, PCI_CAP_ID_VNDR, PciRoot};
use virtio_drivers::transport::pci::{
    PciTransport, VIRTIO_PCI_CAP_COMMON_CFG, VIRTIO_PCI_CAP_NOTIFY_CFG, VirtioPciError,
};

use super::hal::Machine;
use super::signals::{Doorbell, Signals};
use super::{Device, Refusal};
use crate::drivers::interrupts::{self, Acknowledge, Interrupt};
use crate::drivers::pci::{self, Access, Msix};
use crate::memory::paging;

/// "No vector" where a vector may be (4.1.5.1.2.1).
const NO_VECTOR: u16 = 0xffff;

/// Finds a device's registers and makes it answer.
pub fn open(access: &Access, address: DeviceFunction) -> Result<Device, (String, Refusal)> {
    let name = format!("virtio device at PCI {address}");
    match parts(access, address) {
        Ok((transport, signals)) => Ok(Device::new(name, transport, signals)),
        Err(refusal) => Err((name, refusal)),
    }
}

fn parts(access: &Access, address: DeviceFunction) -> Result<(PciTransport, Pci), Refusal> {
    let mut root = PciRoot::new(access);
    // The library follows the list to its end.
    if root
        .capabilities(address)
        .nth(pci::MOST_CAPABILITIES)
        .is_some()
    {
        return Err(Refusal::Endless);
    }
    // The size of memory is found by moving it about, which takes a hypervisor long while
    // the device answers there.
    pci::disable(access, address);
    let transport = PciTransport::new::<Machine<Pci>, _>(&mut root, address)?;
    let signals = Pci::open(access, address)?;
    pci::enable(access, address);
    Ok((transport, signals))
}

impl From<VirtioPciError> for Refusal {
    fn from(error: VirtioPciError) -> Self {
        match error {
            VirtioPciError::MissingCommonConfig => Self::Legacy,
            VirtioPciError::MissingNotifyConfig => Self::Missing("doorbell"),
            VirtioPciError::MissingIsrConfig => Self::Missing("interrupt status"),
            VirtioPciError::UnexpectedIoBar => Self::Missing("memory"),
            VirtioPciError::BarNotAllocated(_) => Self::Unassigned,
            error => Self::Malformed(error),
        }
    }
}

/// Offsets of registers in the common configuration that the library has for itself (4.1.4.3).
mod offset {
    pub const QUEUE_SELECT: usize = 0x16;
    pub const QUEUE_VECTOR: usize = 0x1a;
    pub const QUEUE_DOORBELL: usize = 0x1e;
}

/// The registers that the library does not use as they are needed here.
struct Pci {
    common: NonNull<u8>,
    doorbells: NonNull<u8>,
    /// Bytes of these.
    bytes: usize,
    multiplier: usize,
    messages: Msix,
}

// SAFETY: the registers are mapped for ever. The library selects a queue before each access, as
// is done here, and both are exclusive.
unsafe impl Send for Pci {}

impl Pci {
    /// The registers of a device in which the library has found all that it needs.
    fn open(access: &Access, address: DeviceFunction) -> Result<Self, Refusal> {
        let find = |kind, bytes| Structure::find(access, address, kind, bytes);
        let common = find(VIRTIO_PCI_CAP_COMMON_CFG, 16).ok_or(Refusal::Legacy)?;
        let doorbells = find(VIRTIO_PCI_CAP_NOTIFY_CFG, 20).ok_or(Refusal::Missing("doorbell"))?;
        Ok(Self {
            common: common.map(access, address)?,
            doorbells: doorbells.map(access, address)?,
            bytes: doorbells.bytes as usize,
            multiplier: doorbells.extra as usize,
            messages: Msix::enable(access, address).ok_or(Refusal::NoMessages)?,
        })
    }

    /// The register of the common configuration at `offset`, with `queue` selected.
    fn of_queue(&mut self, queue: u16, offset: usize) -> NonNull<u16> {
        // SAFETY: the library has found the whole common configuration there, and the two
        // registers are in it and aligned.
        unsafe {
            let select = self.common.add(offset::QUEUE_SELECT).cast::<u16>();
            select.write_volatile(queue);
            self.common.add(offset).cast()
        }
    }
}

impl Signals for Pci {
    fn acknowledge(&self) -> Option<Acknowledge> {
        None
    }

    fn route(&mut self, queue: u16, interrupt: &'static Interrupt) -> Result<(), Refusal> {
        let vector = interrupts::claim(interrupt).ok_or(Refusal::NoVector)?;
        let entry = self
            .messages
            .route(vector)
            .ok_or(Refusal::NoLine(u32::from(vector)))?;
        let register = self.of_queue(queue, offset::QUEUE_VECTOR);
        // SAFETY: the register of the queue that is selected, which is not started yet.
        let granted = unsafe {
            register.write_volatile(entry);
            register.read_volatile()
        };
        // Only what can be read back is granted (4.1.5.1.2.2).
        match granted {
            NO_VECTOR => Err(Refusal::NoVector),
            _ => Ok(()),
        }
    }

    fn doorbell(&mut self, queue: u16) -> Result<Doorbell, Refusal> {
        let register = self.of_queue(queue, offset::QUEUE_DOORBELL);
        // SAFETY: the register of the queue that is selected; reading has no effect.
        let number = unsafe { register.read_volatile() };
        let offset = usize::from(number) * self.multiplier;
        if !offset.is_multiple_of(size_of::<u16>()) || offset + size_of::<u16>() > self.bytes {
            return Err(Refusal::Missing("doorbell"));
        }
        // SAFETY: the doorbells are mapped for ever and have this one.
        Ok(unsafe { Doorbell::half(self.doorbells.add(offset).cast(), queue) })
    }
}

/// Where registers are, as a capability says (4.1.4).
struct Structure {
    /// The number of the memory that they are in.
    memory: u8,
    offset: u32,
    bytes: u32,
    /// What follows in the capability, if anything does.
    extra: u32,
}

impl Structure {
    /// The first of its kind, by a capability of so many bytes at least: that is the one that the
    /// device prefers (4.1.4.1), and that the library has found.
    fn find(access: &Access, address: DeviceFunction, kind: u8, bytes: u8) -> Option<Self> {
        let root = PciRoot::new(access);
        let found = root.capabilities(address).find(|capability| {
            let [length, found] = capability.private_header.to_le_bytes();
            capability.id == PCI_CAP_ID_VNDR && found == kind && length >= bytes
        })?;
        let word = |index: u8| {
            let at = found.offset.checked_add(index * size_of::<u32>() as u8)?;
            Some(access.read(address, at))
        };
        Some(Self {
            memory: word(1)? as u8,
            offset: word(2)?,
            bytes: word(3)?,
            extra: word(4).unwrap_or(0),
        })
    }

    fn map(&self, access: &Access, address: DeviceFunction) -> Result<NonNull<u8>, Refusal> {
        let memory = pci::memory(access, address, self.memory).ok_or(Refusal::Unassigned)?;
        let start = paging::map_device(memory + u64::from(self.offset), self.bytes.into());
        NonNull::new(start as *mut u8).ok_or(Refusal::Unassigned)
    }
}
