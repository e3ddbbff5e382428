//! What the program calls: the `sys_*` functions of `hermit-abi`, and those of Darner's own
//! (`sys_darner_*`), which the crate `darner` calls for it.
//!
//! They are plain functions of the C ABI and run as part of the caller's thread, on its kernel
//! stack ([`entry`]). Results are 0 or more, or a negative error number,
//! which is also kept as the thread's last error. None may be called from an
//! interrupt handler; a program has none.

mod cluster;
mod descriptors;
pub mod entropy;
mod entry;
pub mod event;
pub mod files;
pub mod malloc;
mod memory;
pub mod process;
mod queues;
mod ram;
mod semaphores;
#[cfg_attr(not(feature = "net"), path = "no_sockets.rs")]
mod sockets;
mod stats;
mod sync;
mod threads;
pub mod time;
mod transfer;
pub mod user;
