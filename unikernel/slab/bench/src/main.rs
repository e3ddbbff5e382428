//! The slab allocator beside others: one allocator and one workload in each process.
//!
//! `darner-slab-bench WORKLOAD ALLOCATOR` prints how many operations a second the
//! workload does, or, of `peak_rss`, the most memory it had resident, in KiB.

mod allocators;
mod alone;
mod random;
mod threads;

use std::alloc::{GlobalAlloc, Layout};
use std::process::ExitCode;

/// A workload, with the allocator that it uses.
type Workload = fn(Allocator) -> f64;

/// By name.
const WORKLOADS: [(&str, Workload); 8] = [
    ("churn_64", alone::churn_64),
    ("churn_mixed", alone::churn_mixed),
    ("burst_64", alone::burst_64),
    ("churn_large", alone::churn_large),
    ("producer_consumer", threads::producer_consumer),
    ("larson", threads::larson),
    ("xmalloc", threads::xmalloc),
    ("peak_rss", alone::peak_rss),
];

/// An allocator, by the two functions that a program calls. They are called by
/// pointers, as programs reach theirs by calls, so that none is favoured by what it has
/// inlined.
#[derive(Clone, Copy)]
pub struct Allocator {
    allocate: unsafe fn(usize, usize) -> *mut u8,
    deallocate: unsafe fn(*mut u8, usize, usize),
}

/// An allocator that there is one of.
pub trait Global {
    /// Its type.
    type Allocator: GlobalAlloc + 'static;
    /// It.
    fn get() -> &'static Self::Allocator;
}

impl Allocator {
    /// That of `G`.
    pub fn of<G: Global>() -> Self {
        unsafe fn allocate<G: Global>(size: usize, align: usize) -> *mut u8 {
            // SAFETY: the caller passes a size that is not 0, and a power of two.
            unsafe { G::get().alloc(Layout::from_size_align_unchecked(size, align)) }
        }
        unsafe fn deallocate<G: Global>(memory: *mut u8, size: usize, align: usize) {
            // SAFETY: the caller passes what `allocate` gave it.
            unsafe { G::get().dealloc(memory, Layout::from_size_align_unchecked(size, align)) }
        }
        Self {
            allocate: allocate::<G>,
            deallocate: deallocate::<G>,
        }
    }

    /// A block of so many bytes, at least 8, of which the first 8 are written.
    #[inline(always)]
    pub fn block(self, bytes: usize) -> Block {
        // SAFETY: the size is not 0.
        let memory = unsafe { (self.allocate)(bytes, 8) };
        assert!(!memory.is_null(), "no memory");
        // SAFETY: it is at least so long, and so aligned.
        unsafe { memory.cast::<usize>().write(bytes) };
        Block(memory, bytes)
    }

    /// Frees a block, whose first 8 bytes must be as they were.
    #[inline(always)]
    pub fn free(self, block: Block) {
        // SAFETY: it was allocated like that, and is not used any more.
        unsafe {
            assert_eq!(block.0.cast::<usize>().read(), block.1);
            (self.deallocate)(block.0, block.1, 8);
        }
    }
}

/// Memory that was allocated, and how many bytes.
pub struct Block(pub *mut u8, pub usize);

// SAFETY: it is handed over.
unsafe impl Send for Block {}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [workload, allocator] = &arguments[..] else {
        eprintln!("expected a workload and an allocator");
        return ExitCode::from(2);
    };
    let found = WORKLOADS.iter().find(|(name, _)| name == workload);
    let Some(((_, run), allocator)) = found.zip(allocators::find(allocator)) else {
        eprintln!("found no workload `{workload}`, or no allocator `{allocator}`");
        return ExitCode::from(2);
    };
    println!("{:.1}", run(allocator));
    ExitCode::SUCCESS
}
