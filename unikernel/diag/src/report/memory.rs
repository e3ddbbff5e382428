//! Memory.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

/// Memory of a node, in bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    /// RAM that the kernel manages.
    pub total: u64,
    /// RAM that nothing uses.
    pub free: u64,
    /// The program's heap.
    pub program: Heap,
    /// The kernel's own heap.
    pub kernel: Heap,
}

/// A heap.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heap {
    /// Bytes that are handed out.
    pub in_use: u64,
    /// Bytes of RAM that the heap has, its bookkeeping not counted.
    pub committed: u64,
    /// The most that these were.
    pub peak_committed: u64,
    /// Bytes of RAM that the heap has and no block lies in.
    pub idle: u64,
    /// Bytes handed out as runs of pages.
    pub run_bytes: u64,
    /// Chunks that came home from other CPUs.
    pub remote_frees: u64,
    /// Messages between CPUs because of these.
    pub notifications: u64,
    /// Wrong frees that were noticed and not carried out.
    pub refused: u64,
    /// Size classes that are used, the smallest first.
    pub classes: Vec<Class>,
}

/// A size class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Class {
    /// Bytes of a chunk.
    pub size: u64,
    /// Chunks that there are.
    pub chunks: u64,
    /// Chunks that are handed out.
    pub in_use: u64,
}
