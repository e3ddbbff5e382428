//! The structures with which a PVH virtual machine starts (`hvm_start_info` and
//! what it points to), decoded from bytes.

use core::ops::Range;

/// The first four bytes of the start info.
pub const MAGIC: u32 = 0x336e_c578;
/// The type of a memory map entry that is usable RAM.
pub const RAM: u32 = 1;

/// The start info: where the VMM put everything. All addresses are physical.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StartInfo {
    /// Must be [`MAGIC`].
    pub magic: u32,
    /// The layout's version; the memory map exists from version 1.
    pub version: u32,
    /// How many modules there are; QEMU's `-initrd` is the first.
    pub modules: u32,
    /// Where the list of modules is.
    pub module_list: u64,
    /// Where the NUL-terminated command line is, or 0.
    pub command_line: u64,
    /// Where the ACPI root pointer is, or 0.
    pub rsdp: u64,
    /// Where the memory map is.
    pub memory_map: u64,
    /// How many entries the memory map has.
    pub memory_map_entries: u32,
}

impl StartInfo {
    /// The size of the structure (version 1).
    pub const BYTES: usize = 56;

    /// Decodes the structure.
    pub fn decode(bytes: &[u8; Self::BYTES]) -> Self {
        Self {
            magic: u32_at(bytes, 0),
            version: u32_at(bytes, 4),
            modules: u32_at(bytes, 12),
            module_list: u64_at(bytes, 16),
            command_line: u64_at(bytes, 24),
            rsdp: u64_at(bytes, 32),
            memory_map: u64_at(bytes, 40),
            memory_map_entries: u32_at(bytes, 48),
        }
    }
}

/// A file that the VMM put into memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Module {
    /// Its first byte.
    pub start: u64,
    /// Its length.
    pub bytes: u64,
}

impl Module {
    /// The size of an entry of the module list.
    pub const BYTES: usize = 32;

    /// Decodes an entry of the module list.
    pub fn decode(bytes: &[u8; Self::BYTES]) -> Self {
        Self {
            start: u64_at(bytes, 0),
            bytes: u64_at(bytes, 8),
        }
    }

    /// Where it is.
    pub fn range(&self) -> Range<u64> {
        self.start..self.start.saturating_add(self.bytes)
    }
}

/// A range of the memory map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryMapEntry {
    /// Its first byte.
    pub start: u64,
    /// Its length.
    pub bytes: u64,
    /// What it is, in the numbers of BIOS call E820; see [`RAM`].
    pub kind: u32,
}

impl MemoryMapEntry {
    /// The size of an entry of the memory map.
    pub const BYTES: usize = 24;

    /// Decodes an entry of the memory map.
    pub fn decode(bytes: &[u8; Self::BYTES]) -> Self {
        Self {
            start: u64_at(bytes, 0),
            bytes: u64_at(bytes, 8),
            kind: u32_at(bytes, 16),
        }
    }
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u64_at(bytes, at) as u32
}

/// Eight little-endian bytes; bytes past the end count as 0.
fn u64_at(bytes: &[u8], at: usize) -> u64 {
    bytes[at..]
        .iter()
        .take(8)
        .rev()
        .fold(0, |value, &byte| value << 8 | u64::from(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_is_found() {
        let mut bytes = [0; StartInfo::BYTES];
        bytes[0..4].copy_from_slice(&MAGIC.to_le_bytes());
        bytes[4] = 1;
        bytes[12] = 2;
        for (at, value) in [(16, 0x1000u64), (24, 0x2000), (32, 0xf_0000), (40, 0x3000)] {
            bytes[at..at + 8].copy_from_slice(&value.to_le_bytes());
        }
        bytes[48] = 7;
        let expected = StartInfo {
            magic: MAGIC,
            version: 1,
            modules: 2,
            module_list: 0x1000,
            command_line: 0x2000,
            rsdp: 0xf_0000,
            memory_map: 0x3000,
            memory_map_entries: 7,
        };
        assert_eq!(StartInfo::decode(&bytes), expected);
    }

    #[test]
    fn memory_map_entries_keep_64_bits() {
        let mut bytes = [0; MemoryMapEntry::BYTES];
        bytes[0..8].copy_from_slice(&0x1_0000_0000u64.to_le_bytes());
        bytes[8..16].copy_from_slice(&0x8000_0000u64.to_le_bytes());
        bytes[16] = 1;
        let entry = MemoryMapEntry::decode(&bytes);
        assert_eq!(
            (entry.start, entry.bytes, entry.kind),
            (1 << 32, 1 << 31, RAM)
        );
    }

    #[test]
    fn modules_have_start_and_length() {
        let mut bytes = [0; Module::BYTES];
        bytes[2] = 0x10;
        bytes[9] = 2;
        assert_eq!(
            Module::decode(&bytes),
            Module {
                start: 0x10_0000,
                bytes: 512
            }
        );
    }
}
