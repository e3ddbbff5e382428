//! A [`Snapshot`] as lines of text, one by one: who writes them needs no memory for it.
//!
//! ```text
//! node cpus=1 message_interrupts=0 memory_total=267386880 memory_free=264011776
//! program in_use=…
//! program/7 size=64 zones=1 …
//! ```

use core::fmt;

use crate::snapshot::{Class, Heap, Node, Snapshot, Totals};

/// The name of the program's heap in records.
pub const PROGRAM: &str = "program";
/// That of the kernel's.
pub const KERNEL: &str = "kernel";

/// Has `write` write the record of the machine.
pub fn write_node(node: &Node, mut write: impl FnMut(fmt::Arguments<'_>)) {
    write(format_args!("node{node}"));
}

/// Has `write` write the records of a heap: the whole, and the classes that have zones.
pub fn write_heap(name: &str, heap: &Heap, mut write: impl FnMut(fmt::Arguments<'_>)) {
    write(format_args!("{name}{}", heap.totals));
    let classes = heap.classes.iter().enumerate();
    for (number, class) in classes.filter(|(_, class)| class.zones > 0) {
        write(format_args!("{name}/{number}{class}"));
    }
}

impl Snapshot {
    /// Takes in one record; whether it was one.
    pub fn take(&mut self, record: &str) -> bool {
        let (what, numbers) = record.split_once(' ').unwrap_or((record, ""));
        if what == "node" {
            self.node = Node::read(numbers);
            return true;
        }
        let (name, class) = match what.split_once('/') {
            Some((name, class)) => (name, Some(class.parse::<usize>())),
            None => (what, None),
        };
        let heap = match name {
            PROGRAM => &mut self.program,
            KERNEL => &mut self.kernel,
            _ => return false,
        };
        match class {
            None => heap.totals = Totals::read(numbers),
            Some(number) => {
                let Some(class) = number.ok().and_then(|number| heap.classes.get_mut(number))
                else {
                    return false;
                };
                *class = Class::read(numbers);
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::format;
    use std::string::String;
    use std::vec::Vec;

    use super::{KERNEL, PROGRAM, write_heap, write_node};
    use crate::snapshot::{CLASSES, Snapshot};

    /// No two numbers the same, and the classes all with zones.
    fn example() -> Snapshot {
        let mut next = 0;
        let mut number = || {
            next += 1;
            next
        };
        let mut snapshot = Snapshot::default();
        snapshot.node.cpus = number();
        snapshot.node.memory_total = number();
        snapshot.node.memory_free = u64::MAX;
        for heap in [&mut snapshot.program, &mut snapshot.kernel] {
            heap.totals.in_use = number();
            heap.totals.refused = number();
            for class in &mut heap.classes {
                class.size = number();
                class.zones = number();
                class.at_hand = number();
            }
        }
        snapshot
    }

    fn records(snapshot: &Snapshot) -> Vec<String> {
        let mut lines = Vec::new();
        write_node(&snapshot.node, |line| lines.push(format!("{line}")));
        write_heap(PROGRAM, &snapshot.program, |line| {
            lines.push(format!("{line}"))
        });
        write_heap(KERNEL, &snapshot.kernel, |line| {
            lines.push(format!("{line}"))
        });
        lines
    }

    #[test]
    fn what_is_written_is_read() {
        let lines = records(&example());
        assert_eq!(lines.len(), 1 + 2 * (1 + CLASSES));
        let mut read = Snapshot::default();
        assert!(lines.iter().all(|line| read.take(line)));
        assert_eq!(read, example());
    }

    #[test]
    fn classes_without_zones_are_left_out() {
        let mut snapshot = example();
        snapshot.program.classes[3].zones = 0;
        assert_eq!(records(&snapshot).len(), 2 * (1 + CLASSES));
    }

    #[test]
    fn nonsense_is_passed_over() {
        let mut read = Snapshot::default();
        for line in ["", "heap in_use=1", "program/72 size=1", "program/x size=1"] {
            assert!(!read.take(line), "{line}");
        }
        assert!(read.take("program in_use=x future=3 waste"));
        assert_eq!(read, Snapshot::default());
    }
}
