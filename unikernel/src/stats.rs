//! The node in numbers: memory, both heaps, message interrupts.

use core::sync::atomic::{AtomicBool, Ordering};

use darner_abi::records::{self, KERNEL, PROGRAM};
use darner_abi::{Class, Heap, Node, Totals};
use darner_slab::Statistics;

use crate::arch::percpu::{self, MAX_CPUS};
use crate::memory::{frames, kernel_heap, program_heap};
use crate::{control, params, sched};

// What is told of each class is of the same ones.
const _: () = assert!(darner_abi::CLASSES == darner_slab::class::CLASSES);

/// The machine. Any context.
pub fn node() -> Node {
    Node {
        cpus: percpu::online() as u64,
        message_interrupts: (0..MAX_CPUS).map(sched::raised).sum(),
        memory_total: frames::total(),
        memory_free: frames::free(),
    }
}

/// The program's heap. Any context.
pub fn program() -> Heap {
    program_heap::get().map_or_else(Heap::default, |heap| numbers(&heap.statistics()))
}

/// The kernel's heap. Any context.
pub fn kernel() -> Heap {
    kernel_heap::get().map_or_else(Heap::default, |heap| numbers(&heap.statistics()))
}

fn numbers(statistics: &Statistics) -> Heap {
    let mut heap = Heap {
        totals: Totals {
            in_use: statistics.in_use() as u64,
            committed: statistics.committed as u64,
            peak_committed: statistics.peak_committed as u64,
            idle: statistics.idle as u64,
            run_bytes: statistics.run_bytes as u64,
            remote_frees: statistics.remote_frees,
            notifications: statistics.notifications,
            refused: statistics.refused,
        },
        ..Heap::default()
    };
    for (told, class) in heap.classes.iter_mut().zip(&statistics.classes) {
        *told = Class {
            size: class.size as u64,
            zones: class.zones as u64,
            chunks: class.chunks as u64,
            in_use: class.in_use as u64,
            at_hand: class.at_hand as u64,
        };
    }
    heap
}

/// Writes the control records of all this, if the command line asks for them. Once; of the
/// CPU that ends the node, which may have panicked: takes no lock and no memory, and less than
/// half of a kernel stack.
pub fn report() {
    static REPORTED: AtomicBool = AtomicBool::new(false);
    let asked = params::get().is_some_and(|params| params.stats);
    // A panic in here ends the node, too.
    if !asked || REPORTED.swap(true, Ordering::Relaxed) {
        return;
    }
    let write = |line: core::fmt::Arguments<'_>| control::record(format_args!("stats {line}"));
    records::write_node(&node(), write);
    records::write_heap(PROGRAM, &program(), write);
    records::write_heap(KERNEL, &kernel(), write);
}
