//! The allocator.

use core::ops::Range;

use crate::error::{AddError, FreeError};
use crate::lists::{FrameMemory, Lists};
use crate::segment::Segment;
use crate::state::State;
use crate::{Frame, MAX_ORDER, Order, block_start, frames_in};

/// How many segments there can be.
pub const MOST_SEGMENTS: usize = 64;

/// Free and allocated frames; see the crate.
pub struct Buddy<'t, M> {
    memory: M,
    lists: Lists,
    /// By address; the first `count` are in use.
    segments: [Segment<'t>; MOST_SEGMENTS],
    count: usize,
    /// No segment before this one has fresh frames.
    fresh: usize,
    total: u64,
    free: u64,
}

impl<'t, M> Buddy<'t, M> {
    /// An allocator without frames.
    pub const fn new(memory: M) -> Self {
        Self {
            memory,
            lists: Lists::new(),
            segments: [const { Segment::empty() }; MOST_SEGMENTS],
            count: 0,
            fresh: 0,
            total: 0,
            free: 0,
        }
    }

    /// Adds a segment of free frames. `states` has a byte for each of them, with any
    /// content. Touches neither the frames nor the bytes.
    ///
    /// # Errors
    /// As [`AddError`] says; nothing has changed then.
    pub fn add(&mut self, frames: Range<Frame>, states: &'t mut [u8]) -> Result<(), AddError> {
        let Range { start, end } = frames;
        let Some(length) = end.checked_sub(start).filter(|&length| length > 0) else {
            return Err(AddError::Empty);
        };
        if states.len() as u64 != length {
            return Err(AddError::StatesLength);
        }
        if self.count == MOST_SEGMENTS {
            return Err(AddError::TooMany);
        }
        let known = &self.segments[..self.count];
        let at = known.partition_point(|segment| segment.start() < start);
        let below = at.checked_sub(1).and_then(|below| known.get(below));
        if below.is_some_and(|below| below.end() > start)
            || known.get(at).is_some_and(|above| above.start() < end)
        {
            return Err(AddError::Overlap);
        }
        self.segments[self.count] = Segment::new(start, end, states);
        self.segments[at..=self.count].rotate_right(1);
        self.count += 1;
        self.fresh = self.fresh.min(at);
        self.total += length;
        self.free += length;
        Ok(())
    }

    /// How many frames were added.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// How many frames are free.
    pub fn free_frames(&self) -> u64 {
        self.free
    }

    /// An order with which [`Buddy::allocate`] succeeds now: that of the largest block
    /// that is free or fresh. A larger one may succeed where fresh frames complete a
    /// block. `None`: no frame is free.
    pub fn largest_free(&self) -> Option<Order> {
        self.segments[self.fresh..self.count]
            .iter()
            .map(Segment::largest_fresh)
            .fold(self.lists.largest(), Option::max)
    }

    /// The index of the segment in which `frame` is fed.
    fn segment_of(&self, frame: Frame) -> Option<usize> {
        let known = &self.segments[..self.count];
        let above = known.partition_point(|segment| segment.start() <= frame);
        let at = above.checked_sub(1)?;
        known[at].is_fed(frame).then_some(at)
    }
}

impl<M: FrameMemory> Buddy<'_, M> {
    /// A block of `order`, aligned to its size; content undefined. `None`: there is none.
    ///
    /// # Panics
    /// When somebody has written to a free frame and it shows.
    pub fn allocate(&mut self, order: Order) -> Option<Frame> {
        if order > MAX_ORDER {
            return None;
        }
        let (frame, mut rest) = loop {
            if let Some(block) = self.lists.smallest(order) {
                break block;
            }
            if !self.feed(order) {
                return None;
            }
        };
        self.remove(frame, rest);
        let at = self
            .segment_of(frame)
            .expect("a free block is in a segment");
        while rest > order {
            rest -= 1;
            self.put(at, frame + frames_in(rest), rest);
        }
        self.segments[at].set(frame, State::Allocated(order));
        self.free -= frames_in(order);
        Some(frame)
    }

    /// Gives back the block of `order` at `frame`. [`Buddy::allocate`] has handed it out,
    /// alone, as part of a larger one, or in parts; those it takes one look at each.
    ///
    /// # Errors
    /// As [`FreeError`] says; nothing has changed then.
    ///
    /// # Panics
    /// As [`Buddy::allocate`].
    pub fn free(&mut self, frame: Frame, order: Order) -> Result<(), FreeError> {
        if order > MAX_ORDER || block_start(frame, order) != frame {
            return Err(FreeError::NotABlock);
        }
        let at = self.segment_of(frame).ok_or(FreeError::NotOurs)?;
        let segment = &mut self.segments[at];
        let (mut start, mut whole) = match segment.block_around(frame) {
            Some((start, State::Allocated(whole))) if whole >= order => (start, whole),
            Some((_, State::Allocated(_))) if segment.join(frame..frame + frames_in(order)) => {
                (frame, order)
            }
            Some((_, State::Allocated(_))) => return Err(FreeError::PartlyFree),
            Some(_) => return Err(FreeError::AlreadyFree),
            None => return Err(FreeError::NotOurs),
        };
        // What is not given back stays allocated, in halves.
        while whole > order {
            whole -= 1;
            let middle = start + frames_in(whole);
            let kept = if frame < middle { middle } else { start };
            segment.set(kept, State::Allocated(whole));
            if kept == start {
                start = middle;
            }
        }
        self.merge(at, frame, order);
        self.free += frames_in(order);
        Ok(())
    }

    /// Takes fresh frames into the lists. Whether there were any.
    fn feed(&mut self, order: Order) -> bool {
        while let Some(segment) = self.segments[..self.count].get_mut(self.fresh) {
            if let Some((frame, order)) = segment.feed(order) {
                self.merge(self.fresh, frame, order);
                return true;
            }
            self.fresh += 1;
        }
        false
    }

    /// Makes a block of segment `at` free, together with its buddy where that is free,
    /// and so on. The block is in no list.
    fn merge(&mut self, at: usize, frame: Frame, order: Order) {
        let (mut frame, mut order) = (frame, order);
        while order < MAX_ORDER {
            let buddy = frame ^ frames_in(order);
            if !self.segments[at].is_free_block(buddy, order) {
                break;
            }
            self.remove(buddy, order);
            self.segments[at].set(frame.max(buddy), State::Inside);
            frame = frame.min(buddy);
            order += 1;
        }
        self.put(at, frame, order);
    }

    /// Makes a block of segment `at`, which is in no list, free as it is.
    fn put(&mut self, at: usize, frame: Frame, order: Order) {
        self.segments[at].set(frame, State::Free(order));
        self.lists.push(&mut self.memory, frame, order);
    }

    /// Takes a free block out of its list. Its state is the caller's to change.
    fn remove(&mut self, frame: Frame, order: Order) {
        let links = self.memory.read_links(frame);
        // Whoever writes to a frame after it was freed breaks its links. Following them
        // would spread the damage to any frame.
        for neighbour in links.neighbours() {
            let is_free = self
                .segment_of(neighbour)
                .is_some_and(|at| self.segments[at].is_free_block(neighbour, order));
            assert!(
                is_free,
                "the free frame {frame:#x} was written to: its links are broken"
            );
        }
        self.lists.remove(&mut self.memory, links, order);
    }
}
