//! Virtio devices on PCI (4.1), by their modern interface.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use core::ptr::NonNull;

use pci_types::capability::PciCapability;
use pci_types::{EndpointHeader, PciHeader};
use virtio_spec::pci::{
    CapCfgType, CapData, CommonCfg, CommonCfgVolatileFieldAccess, CommonCfgVolatileWideFieldAccess,
};
use virtio_spec::{DeviceStatus, Id, le16, le32, le64};
use volatile::VolatilePtr;

use super::queue::{Doorbell, Places};
use super::{Device, Refusal, Transport};
use crate::drivers::interrupts::{self, Acknowledge, Interrupt};
use crate::drivers::pci::{self, Access, Function, Msix, NoAddress};
use crate::memory::paging;

/// Who has made all virtio devices, as PCI numbers.
pub const VENDOR: u16 = 0x1af4;

/// "No vector" where a vector may be (4.1.5.1.2.1).
const NO_VECTOR: u16 = 0xffff;

/// What a function of [`VENDOR`] is; `None`: nothing that this kernel has heard of.
pub fn kind(device: u16) -> Option<Id> {
    match device {
        0x1000 => Some(Id::Net),
        0x1005 => Some(Id::Rng),
        0x1041..=0x107f => Some(Id::from((device - 0x1040) as u8)),
        _ => None,
    }
}

/// Finds a device's registers and makes it answer.
pub fn open(access: &Access, function: Function, kind: Id) -> Result<Device, (String, Refusal)> {
    let name = format!("virtio device at PCI {}", function.address);
    match Pci::open(access, function) {
        Ok(transport) => Ok(Device::new(name, kind, Box::new(transport))),
        Err(refusal) => Err((name, refusal)),
    }
}

struct Pci {
    common: NonNull<CommonCfg>,
    notify: Part,
    multiplier: u32,
    fields: Part,
    messages: Msix,
}

/// Registers that are mapped.
#[derive(Clone, Copy)]
struct Part {
    start: NonNull<u8>,
    bytes: usize,
}

// SAFETY: the registers are mapped for ever, and this is all that leads to them.
unsafe impl Send for Pci {}

impl Pci {
    fn open(access: &Access, function: Function) -> Result<Self, Refusal> {
        let header = PciHeader::new(function.address);
        let mut endpoint =
            EndpointHeader::from_header(header, access).ok_or(Refusal::Missing("registers"))?;
        let mut common = None;
        let mut notify = None;
        let mut fields = None;
        for data in capabilities(access, &endpoint) {
            let part = match data.cfg_type {
                CapCfgType::Common => &mut common,
                CapCfgType::Notify => &mut notify,
                CapCfgType::Device => &mut fields,
                _ => continue,
            };
            // The device lists what it prefers first (4.1.4.1).
            part.get_or_insert(data);
        }
        let common = common.ok_or(Refusal::Legacy)?;
        let notify = notify.ok_or(Refusal::Missing("doorbell"))?;
        pci::enable(access, &mut endpoint);
        let map = |data: CapData| map(access, function, &data);
        let multiplier = notify.notify_off_multiplier.map_or(0, le32::to_ne);
        let common = map(common)?;
        if common.bytes < size_of::<CommonCfg>() - UNUSED_END {
            return Err(Refusal::Missing("whole common configuration"));
        }
        Ok(Self {
            common: common.start.cast(),
            notify: map(notify)?,
            multiplier,
            fields: match fields {
                Some(fields) => map(fields)?,
                None => Part {
                    start: NonNull::dangling(),
                    bytes: 0,
                },
            },
            messages: Msix::enable(access, &endpoint).ok_or(Refusal::NoMessages)?,
        })
    }

    fn common(&self) -> VolatilePtr<'_, CommonCfg> {
        // SAFETY: the registers are mapped, and only this leads to them.
        unsafe { VolatilePtr::new(self.common) }
    }

    fn select(&self, queue: u16) {
        self.common().queue_select().write(le16::from_ne(queue));
    }
}

/// Bytes at the end of the common configuration that devices of version 1.0 do not have,
/// and that are not used here.
const UNUSED_END: usize = 4;

fn capabilities(access: &Access, endpoint: &EndpointHeader) -> impl Iterator<Item = CapData> {
    endpoint
        .capabilities(access)
        .take(pci::MOST_CAPABILITIES)
        .filter_map(move |capability| match capability {
            PciCapability::Vendor(at) => CapData::read(at, access),
            _ => None,
        })
}

fn map(access: &Access, function: Function, data: &CapData) -> Result<Part, Refusal> {
    let memory = pci::memory(access, function.address, data.bar).map_err(|error| match error {
        NoAddress::NotMemory => Refusal::Missing("memory"),
        NoAddress::Unassigned => Refusal::Unassigned,
    })?;
    /// No structure that is used here is longer, but for the doorbells of many queues.
    const MOST: u64 = 64 << 10;
    let bytes = data.length.to_ne().min(MOST);
    let start = paging::map_device(memory + data.offset.to_ne(), bytes);
    Ok(Part {
        start: NonNull::new(start as *mut u8).ok_or(Refusal::Unassigned)?,
        bytes: bytes as usize,
    })
}

impl Transport for Pci {
    fn offered(&mut self) -> u64 {
        let common = self.common();
        let half = |index| {
            common.device_feature_select().write(le32::from_ne(index));
            u64::from(common.device_feature().read().to_ne())
        };
        half(0) | half(1) << 32
    }

    fn accept(&mut self, features: u64) {
        let common = self.common();
        for (index, half) in [features as u32, (features >> 32) as u32]
            .into_iter()
            .enumerate()
        {
            common
                .driver_feature_select()
                .write(le32::from_ne(index as u32));
            common.driver_feature().write(le32::from_ne(half));
        }
    }

    fn status(&self) -> DeviceStatus {
        self.common().device_status().read()
    }

    fn set_status(&mut self, status: DeviceStatus) {
        self.common().device_status().write(status);
    }

    fn queue_entries(&mut self, queue: u16) -> u16 {
        let common = self.common();
        if queue >= common.num_queues().read().to_ne() {
            return 0;
        }
        self.select(queue);
        common.queue_size().read().to_ne()
    }

    fn start_queue(
        &mut self,
        queue: u16,
        entries: u16,
        places: Places,
    ) -> Result<Doorbell, Refusal> {
        self.select(queue);
        let common = self.common();
        common.queue_size().write(le16::from_ne(entries));
        common.queue_desc().write(le64::from_ne(places.descriptors));
        common.queue_driver().write(le64::from_ne(places.available));
        common.queue_device().write(le64::from_ne(places.used));
        common.queue_enable().write(le16::from_ne(1));
        let number = common.queue_notify_off().read().to_ne();
        let offset = usize::from(number) * self.multiplier as usize;
        if !offset.is_multiple_of(size_of::<u16>()) || offset + size_of::<u16>() > self.notify.bytes
        {
            return Err(Refusal::Missing("doorbell"));
        }
        // SAFETY: the doorbells are mapped for ever and have this one.
        Ok(unsafe { Doorbell::half(self.notify.start.add(offset).cast(), queue) })
    }

    fn acknowledge(&self) -> Option<Acknowledge> {
        None
    }

    fn route(&mut self, queue: u16, interrupt: &'static Interrupt) -> Result<(), Refusal> {
        let vector = interrupts::claim(interrupt).ok_or(Refusal::NoVector)?;
        let entry = self
            .messages
            .route(vector)
            .ok_or(Refusal::NoLine(u32::from(vector)))?;
        self.select(queue);
        let register = self.common().queue_msix_vector();
        register.write(le16::from_ne(entry));
        // Only what can be read back is granted (4.1.5.1.2.2).
        match register.read().to_ne() {
            NO_VECTOR => Err(Refusal::NoVector),
            _ => Ok(()),
        }
    }

    fn fields(&self) -> (NonNull<u8>, usize) {
        (self.fields.start, self.fields.bytes)
    }

    fn generation(&self) -> u32 {
        self.common().config_generation().read().into()
    }
}
