//! Tests of the allocator on the host.

mod basics;
mod environment;
mod kernel;
#[cfg(feature = "linux")]
mod linux;
mod misuse;
mod oracle;
mod threads;
