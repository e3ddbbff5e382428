//! Tests of the allocator on the host.

mod basics;
mod environment;
mod oracle;
mod threads;
