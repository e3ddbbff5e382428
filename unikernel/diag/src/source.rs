//! Where reports come from.

use alloc::collections::TryReserveError;
use core::fmt;

use crate::report::{Cpu, Memory, Network, Node, Threads};
use alloc::vec::Vec;

/// A node that can be asked. Each part is of one moment as far as that can be had without
/// stopping anything; different parts are of slightly different moments.
pub trait Source {
    /// Which node it is, and since when.
    fn node(&self) -> Result<Node, NoMemory>;
    /// Its threads.
    fn threads(&self) -> Result<Threads, NoMemory>;
    /// Its CPUs, by their numbers.
    fn cpus(&self) -> Result<Vec<Cpu>, NoMemory>;
    /// Its memory.
    fn memory(&self) -> Result<Memory, NoMemory>;
    /// Its network.
    fn network(&self) -> Result<Network, NoMemory>;
}

/// There is no memory for an answer now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoMemory;

impl fmt::Display for NoMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("there is no memory for the answer; ask again later")
    }
}

impl core::error::Error for NoMemory {}

impl From<TryReserveError> for NoMemory {
    fn from(_: TryReserveError) -> Self {
        Self
    }
}
