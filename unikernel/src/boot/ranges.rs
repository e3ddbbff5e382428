//! Ranges of physical memory, before there is a heap to keep them in.

use x86_64::PhysAddr;
use x86_64::structures::paging::{FrameAllocator, PhysFrame, Size4KiB};

use crate::layout::PAGE;

/// Ranges of physical memory: start and end (exclusive), at most 64.
#[derive(Clone, Copy)]
pub(super) struct Ranges {
    items: [(u64, u64); 64],
    len: usize,
}

impl Ranges {
    pub const fn new() -> Self {
        Self {
            items: [(0, 0); 64],
            len: 0,
        }
    }

    pub fn as_slice(&self) -> &[(u64, u64)] {
        &self.items[..self.len]
    }

    /// Adds `start..end`. Beyond 64 ranges nothing is added: that memory stays
    /// unused.
    pub fn push(&mut self, start: u64, end: u64) {
        if start < end && self.len < self.items.len() {
            self.items[self.len] = (start, end);
            self.len += 1;
        }
    }

    /// Puts them in the order of their addresses, and joins those that touch or overlap.
    pub fn sort(&mut self) {
        self.items[..self.len].sort_unstable();
        let old = *self;
        self.len = 0;
        for &(start, end) in old.as_slice() {
            match self.items[..self.len].last_mut() {
                Some(last) if last.1 >= start => last.1 = last.1.max(end),
                _ => self.push(start, end),
            }
        }
    }

    /// The end of the highest of those below `limit`, or 0.
    pub fn end_below(&self, limit: u64) -> u64 {
        let ends = self.as_slice().iter().map(|&(_, end)| end);
        ends.filter(|&end| end <= limit).max().unwrap_or(0)
    }

    /// Takes `start..end` out of every range.
    pub fn remove(&mut self, start: u64, end: u64) {
        let old = *self;
        self.len = 0;
        for &(from, to) in old.as_slice() {
            self.push(from, to.min(start));
            self.push(from.max(end), to);
        }
    }
}

/// Takes pages from the start of one range: the frames of the first page tables.
pub(super) struct Bump {
    pub start: u64,
    /// The first byte that is still free.
    pub next: u64,
    pub end: u64,
}

// SAFETY: every frame is handed out once, from a range nothing else uses.
unsafe impl FrameAllocator<Size4KiB> for Bump {
    fn allocate_frame(&mut self) -> Option<PhysFrame> {
        let frame = self.next;
        if frame + PAGE > self.end {
            return None;
        }
        self.next += PAGE;
        // SAFETY: the frame is free RAM, identity-mapped by the loader.
        unsafe { core::ptr::write_bytes(frame as *mut u8, 0, PAGE as usize) };
        Some(PhysFrame::containing_address(PhysAddr::new(frame)))
    }
}
