//! Memory: physical frames, page tables, heaps, stacks and mapped regions.

pub mod frames;
pub mod heap;
pub mod kernel_heap;
pub mod paging;
pub mod program_heap;
pub mod regions;
mod runs;
pub mod stacks;
