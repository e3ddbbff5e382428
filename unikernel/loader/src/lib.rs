//! What the loader decides, apart from the machine: which bytes are the program,
//! whether they can run, where everything goes in memory, and what the device
//! tree says.
//!
//! The executable of this package is the bare-metal part: it is entered by a VMM
//! through PVH, asks this library, moves the bytes and enters the program by
//! `hermit-entry`'s protocol.

#![no_std]
#![cfg_attr(not(test), forbid(unsafe_code))]

extern crate alloc;

pub mod cpu;
pub mod initrd;
pub mod options;
pub mod plan;
pub mod program;
pub mod start_info;
pub mod tables;
pub mod tree;
