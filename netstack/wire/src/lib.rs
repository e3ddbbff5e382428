//! What nodes of a cluster say to each other, as bytes.
//!
//! A *packet* of the coherence protocol is a header of a fixed layout, at most [`LONGEST_HEADER`] bytes, and behind it the pages that it
//! brings, if any, as they are in memory. One about membership, transactions, ports, range locks or waiting places is a
//! header and parts of fixed layouts behind it. A link carries packets as *frames*: each behind its
//! length (see [`Deframer`]). `docs/wire.md` shows them byte by byte.
//!
//! Whatever bytes come, [`parse`] returns what was said, or a [`Refusal`] that names the rule that they break.
//! It accepts one spelling of each message only: what is parsed and encoded again is the
//! same bytes. What is not used must be zero, so that later versions can use it.
//!
//! No page is copied: pages are borrowed from where the link has them, and a sender writes the header
//! and then the frames that hold the pages.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod cluster;
mod coherence;
mod fields;
mod frame;
mod header;
mod kind;
mod layout;
mod locks;
mod packet;
mod parking;
mod parts;
mod refusal;
mod rules;

pub use cluster::{ClusterKind, encode_cluster, parse_cluster};
pub use coherence::kind_of;
pub use frame::{Deframer, LENGTH_BYTES, LONGEST_PACKET};
pub use header::{Header, encode};
pub use kind::Kind;
pub use layout::LONGEST_HEADER;
pub use locks::{LockKind, encode_locks, parse_locks};
pub use packet::{Parsed, Said, parse, parse_coherence};
pub use parking::{ParkingKind, encode_parking, parse_parking};
pub use parts::Whole;
pub use refusal::Refusal;
pub use rules::PAGES;

/// The version of what is described here, 1 to 15.
pub const VERSION: u8 = 1;

/// The bytes of a page.
pub const PAGE_BYTES: usize = 4096;
