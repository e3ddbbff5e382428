//! A run of frames without a hole, and what is known of each.

use core::ops::Range;

use crate::state::State;
use crate::{Frame, MAX_ORDER, Order, block_start, frames_in};

/// The order of the blocks in which fresh frames are taken from a segment where no larger
/// one is asked for: what the host is likely to back at once (2 MiB in frames of 4 KiB).
pub const FEED_ORDER: Order = 9;

/// Frames `start..end`. Those below `fed` are covered by blocks, each frame by one, and
/// their bytes are valid; the others nobody has needed yet.
pub(crate) struct Segment<'t> {
    start: Frame,
    fed: Frame,
    end: Frame,
    states: &'t mut [u8],
}

impl<'t> Segment<'t> {
    pub const fn empty() -> Self {
        Self::new(0, 0, &mut [])
    }

    /// `states` has a byte for each frame.
    pub const fn new(start: Frame, end: Frame, states: &'t mut [u8]) -> Self {
        Self {
            start,
            fed: start,
            end,
            states,
        }
    }

    pub fn start(&self) -> Frame {
        self.start
    }

    pub fn end(&self) -> Frame {
        self.end
    }

    /// Whether `frame` is one of those with a valid byte.
    pub fn is_fed(&self, frame: Frame) -> bool {
        (self.start..self.fed).contains(&frame)
    }

    /// What starts at `frame`, which is fed.
    pub fn state(&self, frame: Frame) -> State {
        State::from_byte(self.states[(frame - self.start) as usize])
    }

    /// Notes what starts at `frame`, which is fed.
    pub fn set(&mut self, frame: Frame, state: State) {
        self.states[(frame - self.start) as usize] = state.byte();
    }

    /// Whether the whole block of `order` at `frame` is one free block of the segment.
    pub fn is_free_block(&self, frame: Frame, order: Order) -> bool {
        self.is_fed(frame) && self.state(frame) == State::Free(order)
    }

    /// The block that `frame`, which is fed, is in: its start and state.
    pub fn block_around(&self, frame: Frame) -> Option<(Frame, State)> {
        for order in 0..=MAX_ORDER {
            let start = block_start(frame, order);
            if start < self.start {
                break;
            }
            match self.state(start) {
                state @ (State::Allocated(of) | State::Free(of)) if of >= order => {
                    return Some((start, state));
                }
                _ => (),
            }
        }
        None
    }

    /// Makes the allocated blocks that make up `frames`, an aligned block, one that has
    /// no state yet. `false`: not all frames are allocated, and nothing has changed.
    pub fn join(&mut self, frames: Range<Frame>) -> bool {
        let mut at = frames.start;
        while at < frames.end {
            match self.is_fed(at).then(|| self.state(at)) {
                Some(State::Allocated(order)) => at += frames_in(order),
                _ => return false,
            }
        }
        let bytes = (frames.start - self.start) as usize..(frames.end - self.start) as usize;
        self.states[bytes].fill(State::INSIDE);
        true
    }

    /// Takes the next fresh frames: the largest block that is aligned, not larger than
    /// `order` (or [`FEED_ORDER`], if that is larger). Its start and order; it is in no
    /// list and has no state yet. `None`: all frames are fed.
    pub fn feed(&mut self, order: Order) -> Option<(Frame, Order)> {
        let largest = (self.end - self.fed).checked_ilog2()?;
        let order = order
            .clamp(FEED_ORDER, MAX_ORDER)
            .min(self.fed.trailing_zeros())
            .min(largest);
        let first = self.fed;
        self.fed += frames_in(order);
        let bytes = (first - self.start) as usize..(self.fed - self.start) as usize;
        self.states[bytes].fill(State::INSIDE);
        Some((first, order))
    }

    /// The largest order of which fresh frames have an aligned block.
    pub fn largest_fresh(&self) -> Option<Order> {
        (0..=MAX_ORDER).rev().find(|&order| {
            self.fed
                .checked_next_multiple_of(frames_in(order))
                .and_then(|start| self.end.checked_sub(start))
                .is_some_and(|frames| frames >= frames_in(order))
        })
    }
}
