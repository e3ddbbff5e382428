//! Light-weight kernel threads, after DragonFly BSD's LWKT (2003): what belongs to
//! a CPU is touched by that CPU alone, and others ask it by message.
//!
//! Nothing here knows a machine. The kernel implements [`Machine`] for the real
//! one; tests implement it for threads of the host, loom's and shuttle's.
//!
//! Reading order: [`machine`] (what is asked of the machine), [`critical`] (how a
//! CPU keeps its data to itself), [`ipi`] (how it is asked), [`spin`] (short locks),
//! [`message`] and [`port`] (how threads ask each other),
//! [`rwlock`] (locks to sleep for), [`token`] (serialised while running),
//! [`list`] (elements linked without memory), [`run_queue`] (who runs next), [`wheel`]
//! (timeouts).

#![cfg_attr(not(any(test, loom, shuttle)), no_std)]

extern crate alloc;

pub mod critical;
pub mod ipi;
pub mod list;
pub mod machine;
pub mod message;
pub mod port;
pub mod run_queue;
pub mod rwlock;
pub mod scheduler;
pub mod spin;
mod sync;
#[cfg(test)]
mod test_machine;
pub mod thread;
pub mod token;
pub mod trace;
pub mod wheel;

pub use critical::{CpuLocal, Critical, MayBlock};
pub use ipi::{Delivery, IpiQueues};
pub use machine::{Machine, Nanos, Park};
pub use run_queue::Priority;
pub use rwlock::RwLock;
pub use scheduler::{Hardware, Scheduler, Wakeup};
pub use thread::Thread;
pub use token::{Holder, Token};
