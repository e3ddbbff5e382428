//! What touches the machine.

mod boot;
mod entry;
mod fail;
mod heap;
mod identity;
mod physical;
