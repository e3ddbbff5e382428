//! A buddy allocator of physical frames.
//!
//! Knuth, *The Art of Computer Programming*, volume 1, section 2.5, the buddy system:
//! a block of order `n` is `2^n` frames and aligned to its size; its *buddy* is the
//! other half of the block of order `n + 1` around it. As Knuth has it, and unlike
//! allocators that search a free list for the buddy, one look tells whether the buddy is
//! free, and one takes it out of its list: every operation does a number of steps that
//! is bounded by the number of orders, however many blocks are free.
//!
//! What is kept where:
//! * The blocks of an order that are free are a doubly linked list. The [`Links`] of a
//!   block are in the block itself, reached through [`FrameMemory`].
//! * Out of line there is one byte for every frame, which says whether a block starts
//!   there, of which order, and whether it is free. So a free is checked without a look
//!   at memory: one of what is free already or was never handed out is refused, and nothing
//!   has changed ([`FreeError`]). Part of a block may be given back, the rest stays
//!   allocated; and several blocks may be given back as the one that they make up, which
//!   takes one look for each, at its byte.
//! * A [`Buddy`] is given *segments*, runs of frames without a hole, each with its own
//!   bytes. Blocks never cross the end of a segment. Holes between segments need no
//!   bytes, which one table from frame 0 up would.
//!
//! Memory that nobody has asked for stays untouched, so that a host need not back it:
//! a segment's frames get bytes and links only as they are needed, from its start
//! ([`FEED_ORDER`] at a time). For the same reason what is in the bytes does not matter
//! when they are handed over.
//!
//! The crate takes no lock: put the [`Buddy`] behind one. It allocates nothing.

#![no_std]
#![forbid(unsafe_code)]

mod buddy;
mod error;
mod lists;
mod segment;
mod state;

pub use buddy::{Buddy, MOST_SEGMENTS};
pub use error::{AddError, FreeError};
pub use lists::{FrameMemory, Links};
pub use segment::FEED_ORDER;

/// The number of a frame: its physical address divided by the size of a frame.
pub type Frame = u64;

/// The binary logarithm of a block's number of frames.
pub type Order = u32;

/// The order of the largest blocks: 64 GiB in frames of 4 KiB.
pub const MAX_ORDER: Order = 24;

/// The frames in a block of `order`.
const fn frames_in(order: Order) -> u64 {
    1 << order
}

/// The start of the block of `order` that `frame` is in, as orders align it.
const fn block_start(frame: Frame, order: Order) -> Frame {
    frame & !(frames_in(order) - 1)
}
