//! The device tree by which the kernel learns about the machine.

use alloc::format;
use alloc::vec::Vec;
use core::ops::Range;

use vm_fdt::{Error, FdtReserveEntry, FdtWriter};

/// What the tree says.
#[derive(Clone, Copy, Debug)]
pub struct Machine<'a> {
    /// The usable RAM.
    pub ram: &'a [Range<u64>],
    /// What in it must not be overwritten; the ranges do not overlap.
    pub reserved: &'a [Range<u64>],
    /// The whole command line.
    pub command_line: &'a str,
    /// The archive with the guest's files, if there is one.
    pub archive: Option<&'a Range<u64>>,
    /// The ACPI root pointer, if there is one.
    pub rsdp: Option<u64>,
    /// The time stamp counter at the loader's first instruction.
    pub loader_tsc: u64,
}

impl Machine<'_> {
    /// An upper bound of the tree's size with at most `reserved` reservations: its
    /// own place must be known before it can be written.
    pub fn bound(ram: usize, reserved: usize, command_line: usize) -> u64 {
        /// Header, names, and the nodes that are always there.
        const FIXED: usize = 1024;
        const PER_MEMORY_NODE: usize = 96;
        const PER_RESERVATION: usize = 16;
        (FIXED + ram * PER_MEMORY_NODE + reserved * PER_RESERVATION + command_line) as u64
    }

    /// Writes the tree.
    pub fn tree(&self) -> Result<Vec<u8>, Error> {
        let reserved = self
            .reserved
            .iter()
            .map(|range| FdtReserveEntry::new(range.start, range.end - range.start))
            .collect::<Result<Vec<_>, _>>()?;
        let mut fdt = FdtWriter::new_with_mem_reserv(&reserved)?;
        let root = fdt.begin_node("")?;
        fdt.property_string("compatible", "linux,dummy-virt")?;
        fdt.property_u32("#address-cells", 2)?;
        fdt.property_u32("#size-cells", 2)?;

        let chosen = fdt.begin_node("chosen")?;
        fdt.property_string("bootargs", self.command_line)?;
        if let Some(archive) = self.archive {
            fdt.property_u64("linux,initrd-start", archive.start)?;
            fdt.property_u64("linux,initrd-end", archive.end)?;
        }
        fdt.property_u64("darner,loader-tsc", self.loader_tsc)?;
        fdt.end_node(chosen)?;

        for range in self.ram {
            let node = fdt.begin_node(&format!("memory@{:x}", range.start))?;
            fdt.property_string("device_type", "memory")?;
            fdt.property_array_u64("reg", &[range.start, range.end - range.start])?;
            fdt.end_node(node)?;
        }
        if let Some(rsdp) = self.rsdp {
            let node = fdt.begin_node(&format!("hermit,rsdp@{rsdp:x}"))?;
            fdt.property_array_u64("reg", &[rsdp, 1])?;
            fdt.end_node(node)?;
        }
        fdt.end_node(root)?;
        fdt.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use fdt::Fdt;

    fn machine<'a>(ram: &'a [Range<u64>], reserved: &'a [Range<u64>]) -> Machine<'a> {
        Machine {
            ram,
            reserved,
            command_line: "name=x -- 'a b'",
            archive: None,
            rsdp: None,
            loader_tsc: 7,
        }
    }

    fn u64_of(fdt: &Fdt<'_>, node: &str, name: &str) -> Option<u64> {
        let value = fdt.find_node(node).unwrap().property(name)?.value;
        Some(u64::from_be_bytes(value.try_into().unwrap()))
    }

    #[test]
    fn the_machine_is_read_back() {
        let ram = [0..0x9_fc00, 1 << 20..2 << 30, 4 << 30..6 << 30];
        let reserved = [0x10_0000..0x15_0000, 0x20_0000..0x30_0000];
        let archive = 0x7ff0_0000..0x7ff8_0200;
        let bytes = Machine {
            archive: Some(&archive),
            rsdp: Some(0xf_5a20),
            ..machine(&ram, &reserved)
        }
        .tree()
        .unwrap();
        let fdt = Fdt::new(&bytes).unwrap();
        let found: Vec<_> = fdt
            .find_all_nodes("/memory")
            .flat_map(|node| node.reg().unwrap())
            .map(|region| {
                let start = region.starting_address as u64;
                start..start + region.size.unwrap() as u64
            })
            .collect();
        assert_eq!(found, ram);
        let found: Vec<_> = fdt
            .memory_reservations()
            .map(|entry| entry.address() as u64..entry.address() as u64 + entry.size() as u64)
            .collect();
        assert_eq!(found, reserved);
        assert_eq!(fdt.chosen().bootargs(), Some("name=x -- 'a b'"));
        assert_eq!(
            u64_of(&fdt, "/chosen", "linux,initrd-start"),
            Some(archive.start)
        );
        assert_eq!(
            u64_of(&fdt, "/chosen", "linux,initrd-end"),
            Some(archive.end)
        );
        assert_eq!(u64_of(&fdt, "/chosen", "darner,loader-tsc"), Some(7));
        let rsdp = fdt
            .all_nodes()
            .find(|node| node.name.starts_with("hermit,rsdp"))
            .unwrap();
        assert_eq!(
            rsdp.reg().unwrap().next().unwrap().starting_address as u64,
            0xf_5a20
        );
    }

    #[test]
    fn absent_things_are_absent() {
        let bytes = machine(&[], &[]).tree().unwrap();
        let fdt = Fdt::new(&bytes).unwrap();
        assert_eq!(u64_of(&fdt, "/chosen", "linux,initrd-start"), None);
        assert!(
            !fdt.all_nodes()
                .any(|node| node.name.starts_with("hermit,rsdp"))
        );
    }

    #[test]
    fn the_bound_holds() {
        for (ranges, reservations) in [(0, 0), (1, 1), (3, 5), (128, 16)] {
            let ram: Vec<_> = (0..ranges)
                .map(|i| (0xffff_0000 + i) << 20..(0xffff_0000 + i + 1) << 20)
                .collect();
            let reserved: Vec<_> = (0..reservations).map(|i| i << 30..(i << 30) + 1).collect();
            let archive = 1..2;
            let bytes = Machine {
                archive: Some(&archive),
                rsdp: Some(u64::MAX),
                ..machine(&ram, &reserved)
            }
            .tree()
            .unwrap();
            let bound = Machine::bound(ram.len(), reserved.len(), 15);
            assert!(bytes.len() as u64 <= bound, "{} > {bound}", bytes.len());
        }
    }

    #[test]
    fn overlapping_reservations_are_refused() {
        let reserved = vec![0..10, 5..6];
        assert!(machine(&[], &reserved).tree().is_err());
    }
}
