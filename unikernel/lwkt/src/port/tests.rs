//! Ports and messages, on threads of the host, in models, and against a reference.

#[cfg(loom)]
mod model;
#[cfg(loom)]
mod models;
#[cfg(not(loom))]
mod reference;
#[cfg(not(loom))]
mod scenarios;
mod tally;
