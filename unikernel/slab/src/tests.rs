//! Tests of the allocator on the host.

mod basics;
mod environment;
#[cfg(feature = "linux")]
mod linux;
mod misuse;
mod oracle;
mod threads;
