//! What a report has in it. Bytes and nanoseconds are whole numbers; counters begin at 0 when
//! the node starts.

mod address;
mod cpus;
mod memory;
mod network;
mod threads;

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

pub use address::Address;
pub use cpus::{Cpu, Interrupts};
pub use memory::{Class, Heap, Memory};
pub use network::{
    CardCounters, Interface, Network, Prefix, Protocol, Socket, SocketCount, StackCounters,
};
pub use threads::{Kind, State, Thread, Threads, WaitsFor, Word};

use crate::source::{NoMemory, Source};

/// Threads, or sockets, that are listed one by one at most.
pub const MOST_LISTED: usize = 1000;

/// A name that is part of the kernel, or was read.
pub type Name = Cow<'static, str>;

/// All that there is to tell of a node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Which node.
    pub node: Node,
    /// Its threads.
    pub threads: Threads,
    /// Its CPUs, by their numbers.
    pub cpus: Vec<Cpu>,
    /// Its memory.
    pub memory: Memory,
    /// Its network.
    pub network: Network,
}

impl Report {
    /// All of what `source` has to tell.
    ///
    /// # Errors
    /// When there is no memory for it.
    pub fn of(source: &(impl Source + ?Sized)) -> Result<Self, NoMemory> {
        Ok(Self {
            node: source.node()?,
            threads: source.threads()?,
            cpus: source.cpus()?,
            memory: source.memory()?,
            network: source.network()?,
        })
    }
}

/// Which node it is, and since when.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// Darner's version.
    pub version: Name,
    /// The program that it runs.
    pub program: String,
    /// Its host name, if it was given one.
    pub host: Option<String>,
    /// When it was started, in ns since 1970.
    pub started_ns: u64,
    /// How long it has run, in ns.
    pub uptime_ns: u64,
}
