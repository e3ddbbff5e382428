//! PCI: which functions there are, and where their registers are.
//!
//! The firmware has numbered the buses and given addresses; what it has left out is
//! reported, not made up for. What is in the registers of buses and functions crate
//! `virtio-drivers` knows.

mod access;
mod msix;

use alloc::vec::Vec;

use virtio_drivers::transport::pci::bus::{
    Command, DeviceFunction, DeviceFunctionInfo, HeaderType, PciRoot,
};

pub use access::Access;
pub use msix::Msix;

/// The class of network cards.
pub const NETWORK: u8 = 2;

/// Registers of base addresses.
const BARS: u8 = 6;
/// More capabilities than fit do not follow: their list has a loop.
pub const MOST_CAPABILITIES: usize = 48;

/// A function that is no bridge: where it is, and what.
pub type Function = (DeviceFunction, DeviceFunctionInfo);

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
        for (address, info) in PciRoot::new(self.access).enumerate_bus(bus) {
            match info.header_type {
                HeaderType::PciPciBridge => self.bridge(address),
                _ => self.found.push((address, info)),
            }
        }
    }

    fn bridge(&mut self, address: DeviceFunction) {
        /// Where the number of the bus behind a bridge is: the second byte.
        const BUSES: u8 = 0x18;
        let [_, behind, ..] = self.access.read(address, BUSES).to_le_bytes();
        match behind {
            0 => log::warn!(
                "the firmware has not numbered the bus behind the PCI bridge {address}: what is there is not used"
            ),
            bus => self.bus(bus),
        }
    }
}

/// The physical address of a function's memory number `bar`. `None`: it has no such, or the
/// firmware has given it no address.
pub fn memory(access: &Access, address: DeviceFunction, bar: u8) -> Option<u64> {
    if bar >= BARS {
        return None;
    }
    let info = PciRoot::new(access).bar_info(address, bar).ok()??;
    let (physical, _) = info.memory_address_size()?;
    (physical != 0).then_some(physical)
}

/// Has the function not answer in memory.
pub fn disable(access: &Access, address: DeviceFunction) {
    let mut root = PciRoot::new(access);
    let (_, command) = root.get_status_command(address);
    root.set_command(address, command - Command::MEMORY_SPACE);
}

/// Lets the function answer in memory, read and write memory itself, and interrupt by
/// messages only.
pub fn enable(access: &Access, address: DeviceFunction) {
    let mut root = PciRoot::new(access);
    let (_, command) = root.get_status_command(address);
    let more = Command::MEMORY_SPACE | Command::BUS_MASTER | Command::INTERRUPT_DISABLE;
    root.set_command(address, command | more);
}
