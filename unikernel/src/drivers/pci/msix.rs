//! MSI-X: a function interrupts by writing to memory, in as many ways as its table has
//! entries.

use core::ptr::NonNull;

use pci_types::EndpointHeader;
use pci_types::capability::{MsixCapability, PciCapability};

use super::Access;
use crate::arch::apic;
use crate::memory::paging;

/// Words of an entry (PCI Local Bus Specification 3.0, 6.8.2): address, its upper half,
/// data, control.
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
    pub fn enable(access: &Access, function: &EndpointHeader) -> Option<Self> {
        let mut capability = find(access, function)?;
        let address = function.header().address();
        let memory = super::memory(access, address, capability.table_bar()).ok()?;
        let entries = capability.table_size();
        let bytes = usize::from(entries) * WORDS * size_of::<u32>();
        let table = paging::map_device(memory + u64::from(capability.table_offset()), bytes as u64);
        capability.set_enabled(true, access);
        capability.set_function_mask(false, access);
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

fn find(access: &Access, function: &EndpointHeader) -> Option<MsixCapability> {
    function
        .capabilities(access)
        .take(super::MOST_CAPABILITIES)
        .find_map(|capability| match capability {
            PciCapability::MsiX(msix) => Some(msix),
            _ => None,
        })
}
