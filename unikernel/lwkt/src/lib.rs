//! Light-weight kernel threads, after DragonFly BSD's LWKT (2003): what belongs to
//! a CPU is touched by that CPU alone, and others ask it by message.
//!
//! Nothing here knows a machine. The kernel implements [`Machine`] for the real
//! one; tests implement it for threads of the host, and loom's.
//!
//! Reading order: [`machine`] (what is asked of the machine), [`critical`] (how a
//! CPU keeps its data to itself), [`spin`] (short locks).

#![cfg_attr(not(any(test, loom)), no_std)]

extern crate alloc;

pub mod critical;
pub mod machine;
pub mod spin;
mod sync;

pub use critical::{CpuLocal, Critical};
pub use machine::{Machine, Nanos, Park};
