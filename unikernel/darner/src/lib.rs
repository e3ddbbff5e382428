//! What a program can ask of Darner beyond the standard library.
//!
//! A program needs none of it: `std::thread::spawn` takes all CPUs of all nodes. It is for those that want
//! to know where they are, and to say what belongs together.
//!
//! * [`nodes`], [`here`]: the machines that run the program.
//! * [`spawn_on`], [`Placement`]: where threads come up.
//! * [`PageAligned`], [`PageBox`], [`PageVec`]: data on pages of its own, since memory moves between
//!   nodes page by page.
//! * [`prefetch`], [`prefetch_mut`]: memory that is asked for before it is touched.
//! * [`statistics`]: what the nodes count of the memory that they share. [`stats`]: how a machine's
//!   memory is used.
//!
//! ```
//! use darner::PageAligned;
//!
//! // A part for each node, which no other takes away.
//! let mut parts: Vec<PageAligned<u64>> = darner::nodes().map(|_| PageAligned(0)).collect();
//! std::thread::scope(|scope| {
//!     for (node, part) in darner::nodes().zip(&mut parts) {
//!         darner::Placement::On(node).during(|| scope.spawn(|| part.0 += 1));
//!     }
//! });
//! assert!(parts.iter().all(|part| part.0 == 1));
//! ```
//!
//! The program links the kernel by the crate `hermit`, as any other. On one machine, and on Linux,
//! the same program runs as well: there is one node then.

#![deny(unsafe_code)]

mod aligned;
mod cluster;
#[cfg(not(target_os = "hermit"))]
mod elsewhere;
#[cfg(target_os = "hermit")]
#[allow(unsafe_code)]
#[path = "call.rs"]
mod kernel;
#[cfg(not(target_os = "hermit"))]
#[path = "one_node.rs"]
mod kernel;
mod node;
#[allow(unsafe_code)]
mod page_vec;
mod placement;

pub use aligned::{PageAligned, PageBox};
pub use cluster::{Statistics, prefetch, prefetch_mut, statistics, statistics_of};
pub use darner_abi::{
    CLASSES, Class, Count, Direction, Heap, Histogram, Memory, NodeStatistics, Stats, Totals,
};
pub use node::{Node, NotDrained, here, nodes};
pub use page_vec::PageVec;
pub use placement::{Placement, spawn_on};

/// Bytes of a page: what moves between nodes.
pub const PAGE_BYTES: usize = 4096;

/// How memory is used at this moment: that of the machine, and both heaps.
///
/// While other threads are at work, the numbers are of slightly different moments. It takes
/// no lock and no memory, so it may be called when there is none; it looks at a thousand
/// numbers of each CPU. Any thread.
///
/// On Linux there are no heaps to tell of (`None`); [`Stats::memory`] is the machine's (what
/// is free there includes what the system would give up), and [`Stats::resident`] what the
/// program has of it. On systems without `/proc` they are 0 and `None`.
pub fn stats() -> Stats {
    #[cfg(target_os = "hermit")]
    return Stats::from(&kernel::snapshot());
    #[cfg(not(target_os = "hermit"))]
    return elsewhere::stats();
}
