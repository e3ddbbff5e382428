//! What the machine has: CPUs, interrupt controllers and buses, from ACPI or the FDT.

use alloc::vec::Vec;
use core::ptr::NonNull;

use acpi::sdt::madt::{Madt, MadtEntry};
use acpi::sdt::mcfg::Mcfg;
use acpi::{AcpiTables, Handler, PciAddress, RawPhysicalMapping};
use fdt::Fdt;

use crate::memory::paging;

/// Physical address of the local APIC when nothing says otherwise (Intel SDM).
const DEFAULT_LAPIC: u64 = 0xfee0_0000;

/// The processors, the way interrupts reach them, and where buses are.
pub struct Platform {
    /// Controller ids of the enabled CPUs, in the firmware's order.
    pub apic_ids: Vec<u32>,
    /// Physical address of the local APIC.
    pub lapic: u64,
    /// Where PCI's configuration is in memory.
    pub pci_windows: Vec<PciWindow>,
    /// Where ACPI's description of the devices (the DSDT) is.
    pub dsdt: Option<Table>,
    ioapics: Vec<IoApic>,
    isa_lines: Vec<IsaLine>,
}

/// A part of physical memory with a table in it.
#[derive(Clone, Copy, Debug)]
pub struct Table {
    /// Physical address.
    pub physical: u64,
    /// Bytes.
    pub bytes: u64,
}

/// Physical memory that stands for the configuration of PCI functions, 4 KiB for each.
#[derive(Clone, Copy, Debug)]
pub struct PciWindow {
    /// Physical address of the first bus's.
    pub physical: u64,
    /// The group of buses.
    pub segment: u16,
    /// The first bus.
    pub first_bus: u8,
    /// The last one.
    pub last_bus: u8,
}

struct IoApic {
    physical: u64,
    /// The number of its first input.
    first: u32,
}

/// A line of the old PC that is not the input of the same number.
struct IsaLine {
    irq: u32,
    input: u32,
    active_low: bool,
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

impl Platform {
    fn new(apic_ids: Vec<u32>, lapic: u64) -> Self {
        Self {
            apic_ids,
            lapic,
            pci_windows: Vec::new(),
            dsdt: None,
            ioapics: Vec::new(),
            isa_lines: Vec::new(),
        }
    }

    /// Where the interrupt with this number (a line of the old PC, or an input of the I/O
    /// APICs) arrives.
    pub fn line(&self, irq: u32) -> Option<InterruptLine> {
        let isa = self.isa_lines.iter().find(|line| line.irq == irq);
        let input = isa.map_or(irq, |line| line.input);
        let ioapic = self
            .ioapics
            .iter()
            .filter(|ioapic| ioapic.first <= input)
            .max_by_key(|ioapic| ioapic.first)?;
        Some(InterruptLine {
            ioapic: ioapic.physical,
            pin: u8::try_from(input - ioapic.first).ok()?,
            active_low: isa.is_some_and(|line| line.active_low),
        })
    }
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
    Platform::new(apic_ids, DEFAULT_LAPIC)
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
    let lapic = u64::from(madt.get().local_apic_address);
    let mut platform = Platform::new(Vec::new(), lapic);
    for entry in madt.get().entries() {
        platform.add(entry);
    }
    platform.pci_windows = tables
        .find_table::<Mcfg>()
        .into_iter()
        .flat_map(|mcfg| mcfg.entries().to_vec())
        .map(|entry| PciWindow {
            physical: entry.base_address,
            segment: entry.pci_segment_group,
            first_bus: entry.bus_number_start,
            last_bus: entry.bus_number_end,
        })
        .collect();
    platform.dsdt = tables.dsdt().ok().map(|dsdt| Table {
        physical: dsdt.phys_address as u64,
        bytes: u64::from(dsdt.length),
    });
    Some(platform)
}

impl Platform {
    /// Takes what an entry of the MADT says.
    fn add(&mut self, entry: MadtEntry<'_>) {
        const ENABLED: u32 = 1;
        const ACTIVE_LOW: u16 = 0b11;
        match entry {
            MadtEntry::LocalApic(cpu) if cpu.flags & ENABLED != 0 => {
                self.apic_ids.push(u32::from(cpu.apic_id));
            }
            MadtEntry::LocalX2Apic(cpu) if cpu.flags & ENABLED != 0 => {
                self.apic_ids.push(cpu.x2apic_id);
            }
            MadtEntry::LocalApicAddressOverride(over) => self.lapic = over.local_apic_address,
            MadtEntry::IoApic(ioapic) => self.ioapics.push(IoApic {
                physical: u64::from(ioapic.io_apic_address),
                first: ioapic.global_system_interrupt_base,
            }),
            MadtEntry::InterruptSourceOverride(over) => self.isa_lines.push(IsaLine {
                irq: u32::from(over.irq),
                input: over.global_system_interrupt,
                active_low: over.flags & ACTIVE_LOW == ACTIVE_LOW,
            }),
            _ => {}
        }
    }
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
