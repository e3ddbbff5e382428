//! MSI-X: a function interrupts by writing to memory, in as many ways as its table has
//! entries.

use core::ptr::NonNull;

use virtio_drivers::transport::pci::bus::{DeviceFunction, PciRoot};

use super::Access;
use crate::arch::apic;
use crate::memory::paging;

/// The capability (PCI Local Bus Specification 3.0, 6.8.2): its number, and what the upper half
/// of its first word holds.
const CAPABILITY: u8 = 0x11;
const ENABLED: u16 = 1 << 15;
const MASKED: u16 = 1 << 14;
/// One less than the entries.
const LAST_ENTRY: u16 = (1 << 11) - 1;
/// Where its second word is. Its lowest bits are the number of the table's memory, the others
/// where the table is in that.
const TABLE: u8 = 4;
const MEMORY: u32 = 0b111;

/// Words of an entry: address, its upper half, data, control.
const WORDS: usize = 4;
const UNMASKED: u32 = 0;

/// A function's table.
pub struct Msix {
    table: NonNull<u32>,
    entries: u16,
    used: u16,
}

// SAFETY: the table is mapped for ever, and only this leads to it.
unsafe impl Send for Msix {}

impl Msix {
    /// The table of `function`, which interrupts by it from now on, once entries are set.
    /// `None`: it has none, or its place is not known.
    pub fn enable(access: &Access, function: DeviceFunction) -> Option<Self> {
        let capability = PciRoot::new(access)
            .capabilities(function)
            .take(super::MOST_CAPABILITIES)
            .find(|capability| capability.id == CAPABILITY)?;
        let place = access.read(function, capability.offset.checked_add(TABLE)?);
        let memory = super::memory(access, function, (place & MEMORY) as u8)?;
        let entries = (capability.private_header & LAST_ENTRY) + 1;
        let bytes = usize::from(entries) * WORDS * size_of::<u32>();
        let table = paging::map_device(memory + u64::from(place & !MEMORY), bytes as u64);
        let control = capability.private_header & !MASKED | ENABLED;
        access.write(function, capability.offset, u32::from(control) << 16);
        Some(Self {
            table: NonNull::new(table as *mut u32)?,
            entries,
            used: 0,
        })
    }

    /// Has an entry raise `vector` on the calling CPU: the next one, or again the last when
    /// there is no other. Its number. `None`: no message reaches this CPU.
    pub fn route(&mut self, vector: u8) -> Option<u16> {
        let message = apic::message(vector)?;
        let entry = self.used.min(self.entries - 1);
        self.used = entry + 1;
        let words = [message.address, 0, message.data, UNMASKED];
        for (index, word) in words.into_iter().enumerate() {
            // SAFETY: the table is mapped and has this entry; nothing else writes it. An
            // entry is masked until its last word is written.
            unsafe {
                self.table
                    .add(usize::from(entry) * WORDS + index)
                    .write_volatile(word);
            }
        }
        Some(entry)
    }
}
