//! The Darner kernel: one node of a cluster, linked into the program it runs.
//!
//! A program and the kernel share one address space and one privilege level;
//! what separates them is that the kernel's sections are pages of their own
//! and that the program enters only through the functions in [`abi`].
//!
//! Reading order: [`boot`] (from the loader to the first thread), [`memory`]
//! (frames, page tables, heaps, stacks), [`arch`] (what only an x86-64 CPU has),
//! [`sched`] (threads and blocking), [`abi`] (what the program calls), [`drivers`] (buses
//! and devices).

#![no_std]
// Without a network, much is there that nobody calls; the linker leaves it out.
#![cfg_attr(not(feature = "net"), allow(dead_code))]

extern crate alloc;

mod abi;
mod arch;
mod boot;
mod cluster;
mod console;
mod control;
mod diag;
mod drivers;
mod layout;
mod logging;
mod memory;
mod net;
mod panic;
mod params;
mod platform;
mod sched;
#[cfg(feature = "selftest")]
mod selftest;
mod stats;
mod sync;
mod time;
mod trace;
