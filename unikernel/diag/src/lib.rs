//! What a running node tells of itself over HTTP.
//!
//! All but the machine is here: what a report has in it ([`report`]), how it is written as
//! JSON ([`json`]) and for Prometheus ([`metrics`]), and one exchange of HTTP without I/O
//! ([`http`]). The kernel gathers the numbers (it is the [`Source`]), and moves bytes between
//! exchanges and connections.
//!
//! ```text
//!   bytes of a client ──▶ http::Exchange ──▶ Route ──▶ Source ──▶ json, metrics ──▶ bytes
//! ```
//!
//! Whoever asks may be anybody, and memory may be short. So a request has to fit into a
//! fixed head, a list that is too long is cut ([`report::MOST_LISTED`]) and says so, and
//! what memory an answer needs is asked for beforehand: without it the answer is 503.

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod exposition;
pub mod http;
pub mod idle;
pub mod json;
pub mod metrics;
pub mod report;
mod source;

pub use http::{Exchange, Need};
pub use report::Report;
pub use source::{NoMemory, Source};

/// Nanoseconds of the monotonic clock.
pub type Nanos = u64;
