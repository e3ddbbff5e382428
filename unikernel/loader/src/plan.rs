//! Where things are in physical memory, and where to put more without touching
//! any of them.

use alloc::vec::Vec;
use core::fmt;
use core::ops::Range;

use crate::start_info::{MemoryMapEntry, RAM};

/// Nothing is placed below: firmware data, and the page from which the kernel
/// starts the other CPUs.
pub const LOWEST: u64 = 1 << 20;
/// What the kernel wants for itself once it is loaded, and what the VMM may keep
/// at the end of memory: for advice only.
const KERNEL: u64 = 5 << 20;

/// The machine's RAM and what is taken of it.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    ram: Vec<Range<u64>>,
    taken: Vec<Range<u64>>,
}

/// There is no room for something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoRoom {
    /// What was to be placed.
    pub what: &'static str,
    /// Its size in bytes.
    pub bytes: u64,
    /// All RAM of the machine, in bytes.
    pub ram: u64,
    /// How much RAM would do, in bytes: an estimate, on the safe side.
    pub enough: u64,
}

impl fmt::Display for NoRoom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            what,
            bytes,
            ram,
            enough,
        } = *self;
        let mib = 1 << 20;
        let enough = enough.div_ceil(mib);
        write!(
            f,
            "not enough memory: {what} needs {} KiB in one piece, and no such piece is free in the {} MiB of this VM; \
             give it {enough} MiB (--mem {enough}, or -m {enough}M for QEMU)",
            bytes.div_ceil(1024),
            ram.div_ceil(mib),
        )
    }
}

/// What the VMM put into memory is where it cannot be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misplaced {
    /// What it is.
    pub what: &'static str,
    /// Where.
    pub range: Range<u64>,
}

impl fmt::Display for Misplaced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, range } = self;
        write!(
            f,
            "not enough memory: the VMM put {what} at {:#x}..{:#x}, which is not all RAM or not all free \
             (the loader is at {LOWEST:#x}); give the VM more memory",
            range.start, range.end
        )
    }
}

/// A fixed range is not free RAM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotFree {
    /// What was to be placed.
    pub what: &'static str,
    /// Where.
    pub range: Range<u64>,
}

impl fmt::Display for NotFree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, range } = self;
        write!(
            f,
            "{what} must be at {:#x}..{:#x}, which is not free RAM in this VM; \
             give the VM more memory, or link the program position-independently",
            range.start, range.end
        )
    }
}

impl Plan {
    /// A plan for a machine with this memory map.
    pub fn new(map: impl Iterator<Item = MemoryMapEntry>) -> Self {
        let mut ram: Vec<_> = map
            .filter(|entry| entry.kind == RAM && entry.bytes > 0)
            .map(|entry| entry.start..entry.start.saturating_add(entry.bytes))
            .collect();
        ram.sort_unstable_by_key(|range| range.start);
        Self {
            ram,
            taken: Vec::new(),
        }
    }

    /// The usable RAM, by address.
    pub fn ram(&self) -> &[Range<u64>] {
        &self.ram
    }

    /// The end of the highest RAM.
    pub fn ram_end(&self) -> u64 {
        self.ram.iter().map(|range| range.end).max().unwrap_or(0)
    }

    /// Says that a range is in use.
    pub fn take(&mut self, range: Range<u64>) {
        if !range.is_empty() {
            self.taken.push(range);
        }
    }

    /// Takes what the VMM put into memory; it must be in RAM, apart from everything
    /// that is known to be there.
    pub fn take_given(&mut self, what: &'static str, range: Range<u64>) -> Result<(), Misplaced> {
        if !self.is_ram(&range) || self.obstacle(&range).is_some() {
            return Err(Misplaced { what, range });
        }
        self.take(range);
        Ok(())
    }

    /// Takes the lowest free range of this size and alignment, all of it below
    /// `limit`, and returns its start.
    pub fn place(
        &mut self,
        what: &'static str,
        bytes: u64,
        align: u64,
        limit: u64,
    ) -> Result<u64, NoRoom> {
        let start = self
            .ram
            .iter()
            .find_map(|ram| self.fit(ram, bytes, align, limit))
            .ok_or_else(|| self.no_room(what, bytes, align))?;
        self.take(start..start + bytes);
        Ok(start)
    }

    /// Takes exactly this range, if all of it is free RAM.
    pub fn place_at(&mut self, what: &'static str, range: Range<u64>) -> Result<(), NotFree> {
        if range.start < LOWEST || !self.is_ram(&range) || self.obstacle(&range).is_some() {
            return Err(NotFree { what, range });
        }
        self.take(range);
        Ok(())
    }

    /// The lowest fit within one range of RAM.
    fn fit(&self, ram: &Range<u64>, bytes: u64, align: u64, limit: u64) -> Option<u64> {
        let mut start = ram.start.max(LOWEST).checked_next_multiple_of(align)?;
        loop {
            let end = start.checked_add(bytes)?;
            if end > ram.end.min(limit) {
                return None;
            }
            match self.obstacle(&(start..end)) {
                None => return Some(start),
                Some(taken) => start = taken.end.checked_next_multiple_of(align)?,
            }
        }
    }

    fn no_room(&self, what: &'static str, bytes: u64, align: u64) -> NoRoom {
        let size = |range: &Range<u64>| range.end.saturating_sub(range.start.max(LOWEST));
        let ram = self.ram.iter().map(|range| range.end - range.start);
        let taken = self.taken.iter().map(size);
        let needed = [LOWEST, bytes, align, KERNEL].into_iter().chain(taken);
        NoRoom {
            what,
            bytes,
            ram: ram.fold(0, u64::saturating_add),
            enough: needed.fold(0, u64::saturating_add),
        }
    }

    fn is_ram(&self, range: &Range<u64>) -> bool {
        self.ram
            .iter()
            .any(|ram| ram.start <= range.start && range.end <= ram.end)
    }

    /// Something in use that overlaps the range.
    fn obstacle(&self, range: &Range<u64>) -> Option<&Range<u64>> {
        self.taken
            .iter()
            .find(|taken| taken.start < range.end && range.start < taken.end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    const MIB: u64 = 1 << 20;

    fn plan(ranges: &[(u64, u64, u32)]) -> Plan {
        Plan::new(ranges.iter().map(|&(start, end, kind)| MemoryMapEntry {
            start,
            bytes: end - start,
            kind,
        }))
    }

    fn small() -> Plan {
        let mut plan = plan(&[(0, 0x9_fc00, 1), (0xf_0000, MIB, 2), (MIB, 16 * MIB, 1)]);
        plan.take(MIB..MIB + 300_000);
        plan.take(14 * MIB..16 * MIB);
        plan
    }

    #[test]
    fn the_lowest_fit_is_taken() {
        let mut plan = small();
        assert_eq!(plan.place("image", 3 * MIB, 2 * MIB, u64::MAX), Ok(2 * MIB));
        assert_eq!(plan.place("image", MIB, 2 * MIB, u64::MAX), Ok(6 * MIB));
        // The gap after the first image serves small things.
        assert_eq!(plan.place("tree", 4096, 4096, u64::MAX), Ok(MIB + 303_104));
    }

    #[test]
    fn nothing_goes_below_one_mib() {
        let mut plan = plan(&[(0, 0x9_fc00, 1)]);
        assert!(plan.place("tree", 4096, 4096, u64::MAX).is_err());
    }

    #[test]
    fn obstacles_are_jumped_over_in_any_order() {
        let mut plan = plan(&[(0, 32 * MIB, 1)]);
        plan.take(8 * MIB..9 * MIB);
        plan.take(3 * MIB..5 * MIB);
        plan.take(MIB..2 * MIB);
        plan.take(5 * MIB..8 * MIB);
        assert_eq!(
            plan.place("image", 2 * MIB, 2 * MIB, u64::MAX),
            Ok(10 * MIB)
        );
    }

    #[test]
    fn want_of_room_is_reported_with_what_would_do() {
        let error = small()
            .place("the program", 13 * MIB, 2 * MIB, u64::MAX)
            .unwrap_err();
        assert_eq!(error.bytes, 13 * MIB);
        let text = error.to_string();
        assert!(
            text.contains("13312 KiB") && text.contains("--mem 24"),
            "{text}"
        );
    }

    #[test]
    fn what_the_vmm_gives_must_be_ram_and_apart_from_the_loader() {
        let mut plan = small();
        assert!(plan.take_given("the initrd", MIB + 1..2 * MIB).is_err());
        assert!(plan.take_given("the initrd", 15 * MIB..17 * MIB).is_err());
        assert_eq!(plan.take_given("the initrd", 12 * MIB..13 * MIB), Ok(()));
        assert!(plan.take_given("the initrd", 12 * MIB..13 * MIB).is_err());
    }

    #[test]
    fn the_limit_holds() {
        let mut plan = plan(&[(MIB, 2 * MIB, 1), (4 << 30, 6 << 30, 1)]);
        assert!(
            plan.clone()
                .place("tables", 2 * MIB, 4096, 4 << 30)
                .is_err()
        );
        assert_eq!(plan.place("image", 2 * MIB, 2 * MIB, u64::MAX), Ok(4 << 30));
        assert_eq!(plan.ram_end(), 6 << 30);
    }

    #[test]
    fn a_fixed_range_must_be_free_ram() {
        let mut plan = small();
        assert!(plan.place_at("image", MIB..3 * MIB).is_err());
        assert!(plan.place_at("image", 13 * MIB..15 * MIB).is_err());
        assert!(plan.place_at("image", 15 * MIB..17 * MIB).is_err());
        assert_eq!(plan.place_at("image", 4 * MIB..5 * MIB), Ok(()));
        assert!(plan.place_at("image", 4 * MIB..5 * MIB).is_err());
    }

    #[test]
    fn a_map_with_absurd_ends_does_no_harm() {
        let mut plan = Plan::new(core::iter::once(MemoryMapEntry {
            start: u64::MAX - 10,
            bytes: u64::MAX,
            kind: 1,
        }));
        assert!(plan.place("tree", 4096, 4096, u64::MAX).is_err());
    }
}
