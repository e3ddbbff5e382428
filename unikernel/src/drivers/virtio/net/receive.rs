//! Frames that come in.
//!
//! The buffers' numbers and places never change: buffer `n` is descriptor `n`. A frame
//! stays in its buffer until it is released; then the buffer is offered again, and the device
//! told of several at once.

use alloc::vec::Vec;
use core::ptr::NonNull;
use core::slice;

use darner_netstack::nic::{Counters, Receive, RxChecksum};
use virtio_spec::net::Hdr;

use super::ETHERNET;
use super::header::{self, HEADER};
use crate::drivers::dma::Dma;
use crate::drivers::virtio::queue::{Queue, Used, Writer};

/// Buffers are of a multiple of these bytes.
const LINE: usize = 64;
/// Buffers are cut from blocks of this size.
const BLOCK: usize = 64 << 10;

/// The receiving half of a card.
pub struct Receiver {
    queue: Queue,
    buffers: Buffers,
    /// Whether the device may use several buffers for a frame; the header's field means
    /// nothing where it may not.
    merges: bool,
    /// The first frame, while there is one.
    held: Option<Held>,
    frames: u64,
    bytes: u64,
    errors: u64,
}

/// A frame in a buffer.
#[derive(Clone, Copy)]
struct Held {
    buffer: u16,
    length: usize,
    checksum: RxChecksum,
}

impl Receiver {
    /// Buffers for the queue's entries, of `bytes` each. `None`: there is no memory.
    pub fn new(mut queue: Queue, bytes: usize, merges: bool) -> Option<Self> {
        let buffers = Buffers::new(usize::from(queue.entries()), bytes)?;
        for buffer in 0..queue.entries() {
            let physical = buffers.physical(buffer);
            queue.describe(buffer, physical, buffers.bytes as u32, Writer::Device);
            queue.offer(buffer);
        }
        queue.be_quiet();
        Some(Self {
            queue,
            buffers,
            merges,
            held: None,
            frames: 0,
            bytes: 0,
            errors: 0,
        })
    }

    /// Gives the device all buffers, once it has begun.
    pub fn fill(&mut self) {
        self.queue.publish();
    }

    /// See [`darner_netstack::Nic::set_interrupts`].
    pub fn set_interrupts(&mut self, on: bool) -> bool {
        if !on {
            self.queue.be_quiet();
            return false;
        }
        self.queue.call_after(1) || self.held.is_some()
    }

    /// What was counted here.
    pub fn count(&self) -> Counters {
        Counters {
            rx_frames: self.frames,
            rx_bytes: self.bytes,
            rx_errors: self.errors,
            ..Counters::default()
        }
    }

    /// Takes the next frame out of the queue.
    fn take(&mut self) -> Option<Held> {
        loop {
            let Some(next) = self.queue.next() else {
                self.queue.publish();
                return None;
            };
            self.queue.advance();
            let Ok(used) = next else {
                self.errors += 1;
                continue;
            };
            match self.frame(used) {
                Some(held) => return Some(held),
                None => {
                    self.errors += 1;
                    self.give_back(used.buffer);
                }
            }
        }
    }

    /// The frame in a used buffer. `None`: there is no whole one.
    fn frame(&self, used: Used) -> Option<Held> {
        let written = used.bytes as usize;
        if !(HEADER + ETHERNET..=self.buffers.bytes).contains(&written) {
            return None;
        }
        // SAFETY: buffers begin with a header, are aligned for it, and the device has
        // given this one back.
        let header = unsafe { self.buffers.start(used.buffer).cast::<Hdr>().read() };
        if self.merges && header.num_buffers.to_ne() > 1 {
            return None;
        }
        Some(Held {
            buffer: used.buffer,
            length: written - HEADER,
            checksum: header::checksum(&header),
        })
    }

    fn give_back(&mut self, buffer: u16) {
        self.queue.offer(buffer);
        if self.queue.unpublished() >= self.queue.entries() / 4 {
            self.queue.publish();
        }
    }
}

impl Receive for Receiver {
    fn first(&mut self) -> Option<(&mut [u8], RxChecksum)> {
        if self.held.is_none() {
            let held = self.take()?;
            self.frames += 1;
            self.bytes += held.length as u64;
            self.held = Some(held);
        }
        let held = self.held?;
        // SAFETY: the device has given the buffer back, with so many bytes after the
        // header, and gets it again in `release`, for which this borrow has to end.
        let frame = unsafe {
            let start = self.buffers.start(held.buffer).add(HEADER);
            slice::from_raw_parts_mut(start.as_ptr(), held.length)
        };
        Some((frame, held.checksum))
    }

    fn release(&mut self) {
        if let Some(held) = self.held.take() {
            self.give_back(held.buffer);
        }
    }
}

/// Buffers of one size.
struct Buffers {
    blocks: Vec<Dma>,
    bytes: usize,
    per_block: usize,
}

impl Buffers {
    fn new(count: usize, bytes: usize) -> Option<Self> {
        let bytes = bytes.next_multiple_of(LINE);
        let per_block = BLOCK / bytes;
        let mut blocks = Vec::new();
        for first in (0..count).step_by(per_block) {
            let here = per_block.min(count - first);
            blocks.push(Dma::new((here * bytes) as u64)?);
        }
        Some(Self {
            blocks,
            bytes,
            per_block,
        })
    }

    fn place(&self, buffer: u16) -> (&Dma, usize) {
        let buffer = usize::from(buffer);
        let offset = buffer % self.per_block * self.bytes;
        (&self.blocks[buffer / self.per_block], offset)
    }

    fn physical(&self, buffer: u16) -> u64 {
        let (block, offset) = self.place(buffer);
        block.physical() + offset as u64
    }

    fn start(&self, buffer: u16) -> NonNull<u8> {
        let (block, offset) = self.place(buffer);
        // SAFETY: in the block.
        unsafe { block.start().add(offset) }
    }
}
