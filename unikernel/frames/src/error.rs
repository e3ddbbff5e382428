//! What can be wrong with a call.

use core::fmt;

/// Why a segment was not added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddError {
    /// It has no frames.
    Empty,
    /// Some of its frames have been added before.
    Overlap,
    /// It has another number of frames than there are bytes for them.
    StatesLength,
    /// There are [`MOST_SEGMENTS`](crate::MOST_SEGMENTS) already.
    TooMany,
}

impl fmt::Display for AddError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "the segment is empty",
            Self::Overlap => "the segment overlaps another",
            Self::StatesLength => "the segment needs one byte for each frame",
            Self::TooMany => "there are too many segments",
        })
    }
}

impl core::error::Error for AddError {}

/// Why a block was not freed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FreeError {
    /// The order is larger than any block's, or the frame is not aligned to it.
    NotABlock,
    /// The frame was never handed out: it is in no segment, or nobody has needed it yet.
    NotOurs,
    /// The frame is free.
    AlreadyFree,
    /// The frame is allocated, but not all of the block.
    PartlyFree,
}

impl fmt::Display for FreeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotABlock => "no block can start there with that size",
            Self::NotOurs => "the frame was never handed out",
            Self::AlreadyFree => "the frame is free already",
            Self::PartlyFree => "some of its frames are not allocated",
        })
    }
}

impl core::error::Error for FreeError {}
