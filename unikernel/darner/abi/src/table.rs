//! The numbers as a table for a person.

use core::fmt;

use crate::snapshot::Heap;
use crate::stats::Stats;

/// A number of bytes, in the unit that leaves one to four digits before the point.
struct Bytes(u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [(&str, u32); 3] = [("GiB", 30), ("MiB", 20), ("KiB", 10)];
        // From ten of a unit on, the smaller one says more than is of use.
        let unit = UNITS.into_iter().find(|(_, bits)| self.0 >= 10 << bits);
        match unit {
            // Tenths, cut off: what is there is never said to be more.
            Some((name, bits)) => {
                let tenths = (u128::from(self.0) * 10) >> bits;
                write!(f, "{}.{} {name}", tenths / 10, tenths % 10)
            }
            None => write!(f, "{} B", self.0),
        }
    }
}

impl fmt::Display for Stats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cpus, memory, .. } = self;
        write!(
            f,
            "memory: {}, {} free; {cpus} CPU{}",
            Bytes(memory.total),
            Bytes(memory.free),
            if *cpus == 1 { "" } else { "s" }
        )?;
        if let Some(resident) = self.resident {
            write!(f, "; the program has {}", Bytes(resident))?;
        }
        if let Some(sent) = self.message_interrupts {
            write!(f, "; {sent} message interrupts sent")?;
        }
        writeln!(f)?;
        let heaps = [("the program", &self.program), ("the kernel", &self.kernel)];
        for (whose, heap) in heaps {
            if let Some(heap) = heap {
                write_heap(f, whose, heap)?;
            }
        }
        Ok(())
    }
}

fn write_heap(f: &mut fmt::Formatter<'_>, whose: &str, heap: &Heap) -> fmt::Result {
    let totals = &heap.totals;
    writeln!(
        f,
        "heap of {whose}: {} in use, {} of them in page runs; {} committed, {} at the peak; waste {}, {} of it idle",
        Bytes(totals.in_use),
        Bytes(totals.run_bytes),
        Bytes(totals.committed),
        Bytes(totals.peak_committed),
        Bytes(totals.waste()),
        Bytes(totals.idle),
    )?;
    writeln!(
        f,
        "    {} remote frees, {} notifications of them, {} frees refused",
        totals.remote_frees, totals.notifications, totals.refused
    )?;
    let mut classes = heap
        .classes
        .iter()
        .filter(|class| class.zones > 0)
        .peekable();
    if classes.peek().is_some() {
        writeln!(f, "     size     zones    chunks    in use   at hand")?;
    }
    for class in classes {
        writeln!(
            f,
            "{:>9} {:>9} {:>9} {:>9} {:>9}",
            class.size, class.zones, class.chunks, class.in_use, class.at_hand
        )?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::string::ToString;

    use super::Bytes;
    use crate::snapshot::Snapshot;
    use crate::stats::Stats;

    #[test]
    fn bytes_are_short() {
        let cases = [
            (0, "0 B"),
            (10_239, "10239 B"),
            (10_240, "10.0 KiB"),
            (128 << 20, "128.0 MiB"),
            (u64::MAX, "17179869183.9 GiB"),
        ];
        for (bytes, text) in cases {
            assert_eq!(Bytes(bytes).to_string(), text);
        }
    }

    #[test]
    fn only_classes_with_zones_are_in_the_table() {
        let mut snapshot = Snapshot::default();
        snapshot.program.totals.remote_frees = 17;
        snapshot.program.classes[7].size = 64;
        snapshot.program.classes[7].zones = 2;
        snapshot.program.classes[8].size = 72;
        let table = Stats::from(&snapshot).to_string();
        assert!(table.contains("\n       64         2 "), "{table}");
        assert!(table.contains("17 remote frees"), "{table}");
        // Head, two lines for each heap, and one class below its titles.
        assert_eq!(table.lines().count(), 1 + 2 * 2 + 2, "{table}");
    }

    #[test]
    fn without_heaps_it_is_a_line() {
        let stats = Stats {
            resident: Some(20 << 10),
            ..Stats::default()
        };
        assert_eq!(
            stats.to_string(),
            "memory: 0 B, 0 B free; 0 CPUs; the program has 20.0 KiB\n"
        );
    }
}
