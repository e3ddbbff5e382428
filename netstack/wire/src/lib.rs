//! What nodes of a cluster say to each other, as bytes.
//!
//! A *packet* is a header of a fixed layout, at most [`LONGEST_HEADER`] bytes, and behind it the pages that it
//! brings, if any, as they are in memory. A link carries packets as *frames*: each behind its
//! length (see [`Deframer`]). `docs/wire.md` shows every header byte by byte.
//!
//! Whatever bytes come, [`parse`] returns what was said, or a [`Refusal`] that names the rule that they break.
//! It accepts one spelling of each message only: what is parsed and encoded again is the
//! same bytes. What is not used must be zero, so that later versions can use it.
//!
//! Nothing is copied: pages are borrowed from where the link has them, and a sender writes the header
//! and then the frames that hold the pages.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod coherence;
mod fields;
mod frame;
mod header;
mod kind;
mod layout;
mod packet;
mod refusal;
mod rules;

pub use frame::{Deframer, LENGTH_BYTES, LONGEST_PACKET};
pub use header::{Header, encode};
pub use kind::Kind;
pub use layout::LONGEST_HEADER;
pub use packet::{Parsed, parse};
pub use refusal::Refusal;
pub use rules::PAGES;

/// The version of what is described here, 1 to 15.
pub const VERSION: u8 = 1;

/// The bytes of a page.
pub const PAGE_BYTES: usize = 4096;
