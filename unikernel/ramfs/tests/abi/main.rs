//! The kernel's file and descriptor functions, run on the host: the same source
//! files, over stand-ins for what only the kernel has.

#![allow(missing_docs, dead_code)]

extern crate alloc;

mod standins;
mod tests;

use standins::{console, sched, sync, time};

#[path = "../../../src/layout.rs"]
mod layout;

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
