//! What the machine has: CPUs and interrupt controllers, from ACPI or the FDT.

use alloc::vec::Vec;
use core::ptr::NonNull;

use acpi::sdt::madt::{Madt, MadtEntry};
use acpi::{AcpiTables, Handler, PciAddress, RawPhysicalMapping};
use fdt::Fdt;

use crate::memory::paging;

/// Physical address of the local APIC when nothing says otherwise (Intel SDM).
const DEFAULT_LAPIC: u64 = 0xfee0_0000;

/// The processors and the way interrupts reach them.
pub struct Platform {
    /// Controller ids of the enabled CPUs, in the firmware's order.
    pub apic_ids: Vec<u32>,
    /// Physical address of the local APIC.
    pub lapic: u64,
    /// Where COM1's interrupt arrives.
    pub serial: Option<InterruptLine>,
}

/// An input of an I/O APIC.
pub struct InterruptLine {
    /// Physical address of the I/O APIC.
    pub ioapic: u64,
    /// Its input.
    pub pin: u8,
    /// Active low.
    pub active_low: bool,
}

/// Reads ACPI's MADT, or the FDT's `/cpus` where there is no ACPI.
pub fn discover(fdt: &Fdt<'_>, rsdp: Option<u64>) -> Platform {
    if let Some(platform) = rsdp.and_then(from_acpi) {
        return platform;
    }
    let apic_ids: Vec<u32> = fdt
        .find_node("/cpus")
        .into_iter()
        .flat_map(|node| node.children())
        .filter_map(|cpu| cpu.property("reg")?.as_usize())
        .map(|id| id as u32)
        .collect();
    if apic_ids.is_empty() {
        log::warn!("neither ACPI nor the device tree lists CPUs: only the boot CPU is used");
    }
    Platform {
        apic_ids,
        lapic: DEFAULT_LAPIC,
        serial: None,
    }
}

fn from_acpi(rsdp: u64) -> Option<Platform> {
    // SAFETY: the loader passes the address that the firmware gave.
    let tables = match unsafe { AcpiTables::from_rsdp(Mapped, rsdp as usize) } {
        Ok(tables) => tables,
        Err(error) => {
            log::error!("ACPI tables at {rsdp:#x} cannot be read: {error:?}");
            return None;
        }
    };
    let madt = tables.find_table::<Madt>()?;
    const SERIAL_IRQ: u32 = 4;
    const ENABLED: u32 = 1;
    let mut platform = Platform {
        apic_ids: Vec::new(),
        lapic: u64::from(madt.get().local_apic_address),
        serial: None,
    };
    let mut serial_gsi = SERIAL_IRQ;
    let mut active_low = false;
    let mut ioapics = Vec::new();
    for entry in madt.get().entries() {
        match entry {
            MadtEntry::LocalApic(cpu) if cpu.flags & ENABLED != 0 => {
                platform.apic_ids.push(u32::from(cpu.apic_id))
            }
            MadtEntry::LocalX2Apic(cpu) if cpu.flags & ENABLED != 0 => {
                platform.apic_ids.push(cpu.x2apic_id)
            }
            MadtEntry::LocalApicAddressOverride(over) => platform.lapic = over.local_apic_address,
            MadtEntry::IoApic(ioapic) => {
                ioapics.push((
                    u64::from(ioapic.io_apic_address),
                    ioapic.global_system_interrupt_base,
                ));
            }
            MadtEntry::InterruptSourceOverride(over) if u32::from(over.irq) == SERIAL_IRQ => {
                serial_gsi = over.global_system_interrupt;
                active_low = over.flags & 0b11 == 0b11;
            }
            _ => {}
        }
    }
    platform.serial = ioapics
        .into_iter()
        .filter(|&(_, base)| base <= serial_gsi)
        .max_by_key(|&(_, base)| base)
        .and_then(|(ioapic, base)| {
            let pin = u8::try_from(serial_gsi - base).ok()?;
            Some(InterruptLine {
                ioapic,
                pin,
                active_low,
            })
        });
    Some(platform)
}

/// Gives the ACPI tables as they lie in memory; they are only read.
#[derive(Clone)]
struct Mapped;

/// Access that the table parser does not do (it is for the AML interpreter).
macro_rules! only_for_aml {
    ($($name:ident($($argument:ty),*) $(-> $result:ty)?;)*) => {
        $(fn $name(&self, $(_: $argument),*) $(-> $result)? {
            unreachable!(concat!("the table parser called ", stringify!($name)))
        })*
    };
}

impl Handler for Mapped {
    unsafe fn map_physical_region<T>(&self, physical: usize, size: usize) -> RawPhysicalMapping<T> {
        let address = paging::map_table(physical as u64, size as u64);
        let pointer = NonNull::new(address as *mut T).expect("mapped addresses are not null");
        // SAFETY: the region is mapped for as long as the kernel runs.
        unsafe { RawPhysicalMapping::new(physical, pointer, size, size) }
    }

    unsafe fn unmap_physical_region<T>(&self, _: RawPhysicalMapping<T>) {}

    only_for_aml! {
        read_u8(usize) -> u8;
        read_u16(usize) -> u16;
        read_u32(usize) -> u32;
        read_u64(usize) -> u64;
        write_u8(usize, u8);
        write_u16(usize, u16);
        write_u32(usize, u32);
        write_u64(usize, u64);
        read_io_u8(u16) -> u8;
        read_io_u16(u16) -> u16;
        read_io_u32(u16) -> u32;
        write_io_u8(u16, u8);
        write_io_u16(u16, u16);
        write_io_u32(u16, u32);
        read_pci_u8(PciAddress, u16) -> u8;
        read_pci_u16(PciAddress, u16) -> u16;
        read_pci_u32(PciAddress, u16) -> u32;
        write_pci_u8(PciAddress, u16, u8);
        write_pci_u16(PciAddress, u16, u16);
        write_pci_u32(PciAddress, u16, u32);
        nanos_since_boot() -> u64;
        stall(u64);
        sleep(u64);
    }
}
