//! CPUs.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::Name;

/// A CPU.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cpu {
    /// Its number, from 0.
    pub index: usize,
    /// The thread that it runs; `None`: it idles.
    pub running: Option<u32>,
    /// Threads that wait for it.
    pub ready: u64,
    /// Time that it was halted, in ns; interrupts that ended a halt are counted with it.
    pub idle_ns: u64,
    /// Time that it was not, in ns.
    pub busy_ns: u64,
    /// How often it has halted.
    pub halts: u64,
    /// Message interrupts that were raised on it.
    pub messages_raised: u64,
    /// Interrupts that it has taken, by kind.
    pub interrupts: Vec<Interrupts>,
}

/// Interrupts of a kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interrupts {
    /// What for.
    pub kind: Name,
    /// How many.
    pub count: u64,
}
