//! What a program can ask of Darner beyond the standard library.
//!
//! ```
//! println!("{}", darner::stats());
//! ```
//!
//! The program links the kernel by the crate `hermit`, as any other. On Linux
//! the same program runs as well, and is told what is known there.

#![deny(unsafe_code)]

#[cfg(target_os = "hermit")]
#[allow(unsafe_code)]
mod call;
#[cfg(not(target_os = "hermit"))]
mod elsewhere;

pub use darner_abi::{CLASSES, Class, Heap, Memory, Stats, Totals};

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
    return Stats::from(&call::snapshot());
    #[cfg(not(target_os = "hermit"))]
    return elsewhere::stats();
}
