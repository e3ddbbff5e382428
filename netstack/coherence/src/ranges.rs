//! Range records: what is known of the bytes of objects, in a fixed number of entries.
//!
//! An object is a file, or anything else that has bytes and a home. Neighbouring bytes of which the
//! same is known are one record; of bytes in no record, nothing is known. A table never grows: when it is
//! full it first says less exactly what it knows ([`RangeState::merged`]), and then names a
//! record to be thrown away, which its owner must first get back from whoever relies on it.
//!
//! Homes keep in them which nodes have leases ([`locks`](crate::locks)), agents what their node has.

mod span;
mod table;

pub use span::{ObjectId, Span};
pub use table::{Full, Gap, RangeState, RangeTable, Room};
