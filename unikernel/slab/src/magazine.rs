//! How magazines are laid out, for code that takes chunks from them and puts them there by
//! itself: the fast paths of a kernel's entry, which an interrupt restarts.
//!
//! A magazine is [`LENGTH`], how many chunks there are, and [`CAPACITY`], how many there
//! may be, both of 32 bits, and [`SLOTS`], their addresses: the last is at `length - 1`.
//! [`Local::magazines`](crate::Local::magazines) says where they are. Such code
//!
//! * runs on the owner's CPU, and nothing else of the owner's runs between its first look and
//!   the one store of the length that it ends with;
//! * takes a chunk by storing a length that is one less, or puts one there by writing
//!   it to the slot at the length and then storing one more, up to the capacity;
//! * leaves everything else to [`Local`](crate::Local).

use core::mem::offset_of;

use crate::class::STEP;
use crate::part::Magazine;

/// Bytes from a magazine's start to its length.
pub const LENGTH: usize = offset_of!(Magazine, length);
/// Bytes from a magazine's start to its capacity.
pub const CAPACITY: usize = offset_of!(Magazine, capacity);
/// Bytes from a magazine's start to its first slot; slots have 8.
pub const SLOTS: usize = offset_of!(Magazine, slots);
/// [Masks](crate::class::mask) below this are in the table that
/// [`Local::magazines`](crate::Local::magazines) fills.
pub const MASKS: usize = 1024;
/// Entries of that table: one for each 8 masks.
pub const ENTRIES: usize = MASKS / STEP;
