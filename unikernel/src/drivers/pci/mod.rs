//! PCI: which functions there are, and where their registers are.
//!
//! The firmware has numbered the buses and given addresses; what it has left out is
//! reported, not made up for.

mod access;
mod msix;

use alloc::vec::Vec;

use pci_types::{
    CommandRegister, ConfigRegionAccess, EndpointHeader, HeaderType, PciAddress, PciHeader,
    PciPciBridgeHeader,
};

pub use access::Access;
pub use msix::Msix;

/// The class of network cards.
pub const NETWORK: u8 = 2;

const DEVICES: u8 = 32;
const FUNCTIONS: u8 = 8;
const NO_VENDOR: u16 = 0xffff;
/// Registers of base addresses: where the first is, and how many there are.
const BARS_AT: u16 = 0x10;
const BARS: u8 = 6;
/// More capabilities than fit do not follow: their list has a loop.
pub const MOST_CAPABILITIES: usize = 48;

/// A function that is no bridge.
#[derive(Clone, Copy, Debug)]
pub struct Function {
    /// Where it is.
    pub address: PciAddress,
    /// Who has made it.
    pub vendor: u16,
    /// What it is, as that vendor numbers.
    pub device: u16,
    /// What it is for.
    pub class: u8,
}

/// All functions, behind bridges, too.
pub fn functions(access: &Access) -> Vec<Function> {
    let mut search = Search {
        access,
        seen: [false; 256],
        found: Vec::new(),
    };
    search.bus(access.first_bus());
    search.found
}

struct Search<'a> {
    access: &'a Access,
    /// Buses that were searched: bridges that lead to each other end.
    seen: [bool; 256],
    found: Vec<Function>,
}

impl Search<'_> {
    fn bus(&mut self, bus: u8) {
        if core::mem::replace(&mut self.seen[usize::from(bus)], true) {
            return;
        }
        for device in 0..DEVICES {
            let first = PciAddress::new(0, bus, device, 0);
            if !self.function(first) {
                continue;
            }
            if PciHeader::new(first).has_multiple_functions(self.access) {
                for function in 1..FUNCTIONS {
                    self.function(PciAddress::new(0, bus, device, function));
                }
            }
        }
    }

    /// Whether there is a function.
    fn function(&mut self, address: PciAddress) -> bool {
        let header = PciHeader::new(address);
        let (vendor, device) = header.id(self.access);
        if vendor == NO_VENDOR {
            return false;
        }
        if header.header_type(self.access) == HeaderType::PciPciBridge {
            self.bridge(header);
        } else {
            let (_, class, _, _) = header.revision_and_class(self.access);
            self.found.push(Function {
                address,
                vendor,
                device,
                class,
            });
        }
        true
    }

    fn bridge(&mut self, header: PciHeader) {
        let address = header.address();
        let Some(bridge) = PciPciBridgeHeader::from_header(header, self.access) else {
            return;
        };
        match bridge.secondary_bus_number(self.access) {
            0 => log::warn!(
                "the firmware has not numbered the bus behind the PCI bridge {address}: what is there is not used"
            ),
            bus => self.bus(bus),
        }
    }
}

/// Why a register's place is not known.
#[derive(Clone, Copy, Debug)]
pub enum NoAddress {
    /// There is no such base address, or it is not one of memory.
    NotMemory,
    /// The firmware has given none.
    Unassigned,
}

/// The physical address of a function's memory number `bar`.
pub fn memory(access: &Access, address: PciAddress, bar: u8) -> Result<u64, NoAddress> {
    const PORTS: u32 = 1;
    const WIDE: u32 = 0b100;
    const TYPE: u32 = 0b110;
    const FLAGS: u32 = 0b1111;
    // SAFETY: registers of base addresses, which every function has.
    let register = |bar: u8| unsafe { access.read(address, BARS_AT + 4 * u16::from(bar)) };
    if bar >= BARS {
        return Err(NoAddress::NotMemory);
    }
    let low = register(bar);
    let high = match low & TYPE {
        _ if low & PORTS != 0 => return Err(NoAddress::NotMemory),
        WIDE if bar + 1 < BARS => register(bar + 1),
        WIDE => return Err(NoAddress::NotMemory),
        _ => 0,
    };
    match u64::from(high) << 32 | u64::from(low & !FLAGS) {
        0 => Err(NoAddress::Unassigned),
        physical => Ok(physical),
    }
}

/// Lets the function answer in memory, read and write memory itself, and interrupt by
/// messages only.
pub fn enable(access: &Access, function: &mut EndpointHeader) {
    function.update_command(access, |command| {
        command
            | CommandRegister::MEMORY_ENABLE
            | CommandRegister::BUS_MASTER_ENABLE
            | CommandRegister::INTERRUPT_DISABLE
    });
}
