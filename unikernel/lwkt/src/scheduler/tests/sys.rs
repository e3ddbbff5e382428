//! Threads and locks: the host's, or those of shuttle and loom, which choose who goes
//! on at every step.

#[cfg(loom)]
pub use loom::{
    sync::{Condvar, Mutex},
    thread, thread_local,
};
#[cfg(shuttle)]
pub use shuttle::{
    sync::{Condvar, Mutex},
    thread, thread_local,
};
#[cfg(not(any(loom, shuttle)))]
pub use std::{
    sync::{Condvar, Mutex},
    thread, thread_local,
};
