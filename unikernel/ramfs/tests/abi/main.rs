//! The kernel's file, descriptor and socket functions, run on the host: the same source
//! files, over stand-ins for what only the kernel has.

#![allow(missing_docs, dead_code)]

extern crate alloc;

mod socket_tests;
mod standins;
mod tests;

use standins::{console, memory, net, sched, sync, time};

#[path = "../../../src/layout.rs"]
mod layout_of_a_node;
mod layout {
    //! The host has variables where a node has slices: here those are out of the way.

    pub use crate::layout_of_a_node::*;
    pub const SLICES_BIT: u32 = 47;
    pub const SLICES_BASE: u64 = 1 << SLICES_BIT;
}

#[path = "../../../src/abi"]
mod abi {
    pub mod descriptors;
    pub mod event;
    pub mod files;
    mod ram;
    pub mod sockets;
    mod transfer;
    pub mod user;
}
