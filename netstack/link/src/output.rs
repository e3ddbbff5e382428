//! Bytes that wait to be sent.

use alloc::vec::Vec;
use core::ops::Range;

/// A queue of bytes in one piece of memory. That grows to what was needed most, and stays.
#[derive(Default)]
pub struct Output {
    bytes: Vec<u8>,
    waiting: Range<usize>,
}

impl Output {
    /// All that wait.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[self.waiting.clone()]
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// The first `count` were sent; no more than there are.
    pub fn sent(&mut self, count: usize) {
        self.waiting.start += count.min(self.waiting.len());
        if self.waiting.is_empty() {
            self.waiting = 0..0;
        }
    }

    /// Adds `count` bytes, for the caller to write.
    pub fn add(&mut self, count: usize) -> &mut [u8] {
        if self.bytes.len() - self.waiting.end < count {
            self.make_room(count);
        }
        let start = self.waiting.end;
        self.waiting.end += count;
        &mut self.bytes[start..self.waiting.end]
    }

    fn make_room(&mut self, count: usize) {
        self.bytes.copy_within(self.waiting.clone(), 0);
        self.waiting = 0..self.waiting.len();
        let end = self.waiting.end + count;
        if end > self.bytes.len() {
            self.bytes.resize(end, 0);
        }
    }
}
