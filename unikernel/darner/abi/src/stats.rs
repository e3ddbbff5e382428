//! What a program sees of it.

use crate::snapshot::{Heap, Snapshot};

/// Physical memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// Bytes that there are.
    pub total: u64,
    /// Bytes of these that nothing uses.
    pub free: u64,
}

/// A node in numbers; shown as a table.
///
/// On another system than Darner there are no heaps and no messages between CPUs to tell of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// CPUs that run the program.
    pub cpus: u64,
    /// Physical memory.
    pub memory: Memory,
    /// Bytes of physical memory that the program has, where that is known as a whole.
    pub resident: Option<u64>,
    /// Message interrupts that CPUs have sent each other since boot.
    pub message_interrupts: Option<u64>,
    /// The program's heap.
    pub program: Option<Heap>,
    /// The kernel's own heap.
    pub kernel: Option<Heap>,
}

impl From<&Snapshot> for Stats {
    fn from(snapshot: &Snapshot) -> Self {
        let node = snapshot.node;
        Self {
            cpus: node.cpus,
            memory: Memory {
                total: node.memory_total,
                free: node.memory_free,
            },
            resident: None,
            message_interrupts: Some(node.message_interrupts),
            program: Some(snapshot.program),
            kernel: Some(snapshot.kernel),
        }
    }
}
