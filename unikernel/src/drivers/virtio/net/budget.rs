//! How much memory a card's buffers may take: a small part of what is free.

use crate::memory::frames;

/// The most buffers that a queue has.
pub const MOST_BUFFERS: u16 = 256;
/// The fewest that a card can do with.
const FEWEST_BUFFERS: u16 = 16;
/// Memory for frames on their way out.
const MOST_TRANSMIT: u64 = 512 << 10;
const LEAST_TRANSMIT: u64 = 64 << 10;
/// With less than that, frames of 64 KiB would wait for each other.
const SEGMENTATION: u64 = 256 << 10;
/// Each half of a card gets that part of what is free.
const PART: u64 = 64;

/// What a card may take.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    /// Bytes for each half.
    half: u64,
}

impl Budget {
    /// As memory is now.
    pub fn now() -> Self {
        Self {
            half: frames::free() / PART,
        }
    }

    /// How many buffers of `bytes` to receive with: a power of two.
    pub fn receive_buffers(self, bytes: usize) -> u16 {
        let fit = self.half / bytes as u64;
        let count = fit.clamp(u64::from(FEWEST_BUFFERS), u64::from(MOST_BUFFERS));
        1 << count.ilog2()
    }

    /// Bytes for frames to send: a power of two.
    pub fn transmit_bytes(self) -> u64 {
        let bytes = self.half.clamp(LEAST_TRANSMIT, MOST_TRANSMIT);
        1 << bytes.ilog2()
    }

    /// Whether there is room for frames that the card has to cut up.
    pub fn allows_segmentation(self) -> bool {
        self.transmit_bytes() >= SEGMENTATION
    }
}
