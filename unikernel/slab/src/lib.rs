//! The slab allocator.

#![cfg_attr(not(any(test, loom, feature = "std")), no_std)]

#[cfg(not(loom))]
pub mod class;
#[cfg(not(loom))]
mod heap;
#[cfg(all(feature = "linux", not(loom)))]
mod linux;
#[cfg(not(loom))]
mod local;
#[cfg(not(loom))]
mod lock;
#[cfg(all(test, loom))]
mod models;
#[cfg(not(loom))]
mod part;
#[cfg(not(loom))]
mod range;
mod remote;
#[cfg(not(loom))]
mod run;
#[cfg(not(loom))]
mod source;
#[cfg(not(loom))]
mod statistics;
mod sync;
#[cfg(all(test, not(loom)))]
mod tests;
#[cfg(not(loom))]
mod unit;
#[cfg(not(loom))]
mod zone;

#[cfg(not(loom))]
pub use self::{
    heap::{Error, Heap, bookkeeping_bytes},
    local::Local,
    source::{Environment, Misuse, Notify, PAGE, PageSource},
    statistics::{ClassStatistics, Statistics},
    unit::UNIT,
};

#[cfg(all(feature = "linux", not(loom)))]
pub use self::linux::Slab;
