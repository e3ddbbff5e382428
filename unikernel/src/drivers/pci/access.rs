//! How PCI's configuration space is reached: in memory, where ACPI says so, else by ports.

use alloc::vec::Vec;
use core::cell::RefCell;

use virtio_drivers::transport::pci::bus::{ConfigurationAccess, DeviceFunction};
use x86_64::instructions::port::Port;

use crate::layout::{LARGE_PAGE, PAGE};
use crate::memory::paging;
use crate::platform::PciWindow;

/// The address port of the first mechanism, and its data port (PCI Local Bus Specification
/// 3.0, 3.2.2.3.2).
const ADDRESS: u16 = 0xcf8;
const DATA: u16 = 0xcfc;
const ENABLE: u32 = 1 << 31;
/// Bytes of configuration that a function has in memory.
const FUNCTION: u64 = PAGE;

/// One way to the configuration of the functions of segment 0. Boot.
pub enum Access {
    /// By ports.
    Ports,
    /// In memory.
    Memory(Window),
}

/// A window of which what was used so far is mapped, 2 MiB at a time.
pub struct Window {
    place: PciWindow,
    /// Offset in the window, and where that is mapped.
    mapped: RefCell<Vec<(u64, u64)>>,
}

impl Access {
    /// The way to take: the first of `windows` that is segment 0's. `None`: there is no PCI.
    pub fn find(windows: &[PciWindow]) -> Option<Self> {
        if let Some(&place) = windows.iter().find(|window| window.segment == 0) {
            return Some(Self::Memory(Window {
                place,
                mapped: RefCell::default(),
            }));
        }
        has_ports().then_some(Self::Ports)
    }

    /// Reads a register of a function. Reading has no effect, as far as is used here.
    pub fn read(&self, address: DeviceFunction, offset: u8) -> u32 {
        match self {
            Self::Ports => {
                select(address, offset);
                // SAFETY: the data port, when a register is selected.
                unsafe { Port::new(DATA).read() }
            }
            Self::Memory(window) => match window.register(address, offset) {
                // SAFETY: a register in the window, which is mapped.
                Some(register) => unsafe { register.read_volatile() },
                None => NOTHING,
            },
        }
    }

    /// Writes a register of a function, which has what effect the function gives it.
    pub fn write(&self, address: DeviceFunction, offset: u8, value: u32) {
        match self {
            Self::Ports => {
                select(address, offset);
                // SAFETY: as for `read`.
                unsafe { Port::new(DATA).write(value) };
            }
            Self::Memory(window) => {
                if let Some(register) = window.register(address, offset) {
                    // SAFETY: as for `read`.
                    unsafe { register.write_volatile(value) };
                }
            }
        }
    }

    /// The bus where the search begins.
    pub fn first_bus(&self) -> u8 {
        match self {
            Self::Ports => 0,
            Self::Memory(window) => window.place.first_bus,
        }
    }
}

/// Whether the address port keeps what is written to it.
fn has_ports() -> bool {
    // SAFETY: without PCI nothing is at this port, with PCI it is this register.
    unsafe {
        let mut port = Port::<u32>::new(ADDRESS);
        port.write(ENABLE);
        port.read() == ENABLE
    }
}

impl Window {
    /// Where the register is mapped; `None`: it is outside of the window.
    fn register(&self, address: DeviceFunction, offset: u8) -> Option<*mut u32> {
        let buses = self.place.first_bus..=self.place.last_bus;
        if !buses.contains(&address.bus) {
            return None;
        }
        let bus = u64::from(address.bus - self.place.first_bus);
        let function = bus << 8 | u64::from(address.device) << 3 | u64::from(address.function);
        let at = function * FUNCTION + u64::from(offset);
        let part = at / LARGE_PAGE * LARGE_PAGE;
        let mut mapped = self.mapped.borrow_mut();
        let known = mapped.iter().find(|(start, _)| *start == part);
        let start = match known {
            Some(&(_, start)) => start,
            None => {
                let start = paging::map_device(self.place.physical + part, LARGE_PAGE);
                mapped.push((part, start));
                start
            }
        };
        Some((start + (at - part)) as *mut u32)
    }
}

fn select(address: DeviceFunction, offset: u8) {
    let function = u32::from(address.bus) << 16
        | u32::from(address.device) << 11
        | u32::from(address.function) << 8;
    // SAFETY: selecting a register has no effect but on the next access by the data port.
    unsafe { Port::new(ADDRESS).write(ENABLE | function | u32::from(offset & 0xfc)) };
}

/// What reading gives where there is nothing.
const NOTHING: u32 = !0;

impl ConfigurationAccess for &Access {
    fn read_word(&self, function: DeviceFunction, offset: u8) -> u32 {
        self.read(function, offset)
    }

    fn write_word(&mut self, function: DeviceFunction, offset: u8, value: u32) {
        self.write(function, offset, value);
    }

    unsafe fn unsafe_clone(&self) -> Self {
        self
    }
}
