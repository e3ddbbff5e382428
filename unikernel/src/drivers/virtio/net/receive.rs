//! Frames that come in.
//!
//! The buffers' numbers and places never change: buffer `n` is descriptor `n`. A frame
//! stays in its buffer until it is released; then the buffer is offered again, and the device
//! told of several at once.
//!
//! A device that joins segments gives frames that are longer than a buffer, in several.
//! These are copied together, and the buffers go back at once.

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;
use core::ptr::NonNull;
use core::slice;

use darner_netstack::nic::{Counters, Receive, RxChecksum};
use virtio_spec::net::Hdr;

use super::header::{self, HEADER};
use super::{ETHERNET, TAG};
use crate::drivers::dma::Dma;
use crate::drivers::virtio::queue::{Queue, Unknown, Used, Writer};

/// Buffers are of a multiple of these bytes.
const LINE: usize = 64;
/// Buffers are cut from blocks of this size.
const BLOCK: usize = 64 << 10;
/// Bytes of the longest frame that a device makes of segments.
const LONGEST_JOINED: usize = ETHERNET + TAG + u16::MAX as usize;

/// How the device may spread a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spread {
    /// Over one buffer; what the header says of their number means nothing.
    One,
    /// Over several, which no frame of the right length needs.
    Several,
    /// Over several, and it makes one frame of the segments of a connection.
    Joined,
}

/// The receiving half of a card.
pub struct Receiver {
    queue: Queue,
    buffers: Buffers,
    spread: Spread,
    /// Where frames in several buffers are put together; empty where there are none.
    joined: Box<[u8]>,
    /// The first frame, while there is one.
    held: Option<Held>,
    frames: u64,
    bytes: u64,
    errors: u64,
}

/// A frame.
#[derive(Clone, Copy)]
struct Held {
    place: Place,
    length: usize,
    checksum: RxChecksum,
}

#[derive(Clone, Copy)]
enum Place {
    /// In this buffer, after the header.
    Buffer(u16),
    /// Where it was put together.
    Joined,
}

impl Receiver {
    /// Buffers for the queue's entries, of `bytes` each. `None`: there is no memory.
    pub fn new(mut queue: Queue, bytes: usize, spread: Spread) -> Option<Self> {
        let buffers = Buffers::new(usize::from(queue.entries()), bytes)?;
        for buffer in 0..queue.entries() {
            let physical = buffers.physical(buffer);
            queue.describe(buffer, physical, buffers.bytes as u32, Writer::Device);
            queue.offer(buffer);
        }
        queue.be_quiet();
        let longest = match spread {
            Spread::Joined => LONGEST_JOINED,
            Spread::One | Spread::Several => 0,
        };
        Some(Self {
            queue,
            buffers,
            spread,
            joined: vec![0; longest].into(),
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

    /// Takes the next frame out of the queue. Those that are of no use are counted.
    fn take(&mut self) -> Option<Held> {
        loop {
            let Some(next) = self.pop() else {
                self.queue.publish();
                return None;
            };
            match next.ok().and_then(|used| self.frame(used)) {
                Some(held) => return Some(held),
                None => self.errors += 1,
            }
        }
    }

    /// The next used buffer, which is the caller's to give back.
    fn pop(&mut self) -> Option<Result<Used, Unknown>> {
        let next = self.queue.next()?;
        self.queue.advance();
        Some(next)
    }

    /// The frame that begins in a used buffer. `None`: there is no whole one.
    fn frame(&mut self, used: Used) -> Option<Held> {
        let written = used.bytes as usize;
        if !(HEADER + ETHERNET..=self.buffers.bytes).contains(&written) {
            self.give_back(used.buffer);
            return None;
        }
        // SAFETY: buffers begin with a header, are aligned for it, and the device has
        // given this one back.
        let header = unsafe { self.buffers.start(used.buffer).cast::<Hdr>().read() };
        let checksum = header::checksum(&header);
        let others = match self.spread {
            Spread::One => 0,
            _ => header.num_buffers.to_ne().saturating_sub(1),
        };
        if others > 0 {
            let length = self.join(used, others)?;
            return Some(Held {
                place: Place::Joined,
                length,
                checksum,
            });
        }
        Some(Held {
            place: Place::Buffer(used.buffer),
            length: written - HEADER,
            checksum,
        })
    }

    /// Puts a frame together that is in `first`, after the header, and in so many `others`.
    /// Its length. `None`: it is too long, or not all of it is there.
    fn join(&mut self, first: Used, others: u16) -> Option<usize> {
        let mut length = self.append(Some(0), first, HEADER);
        for _ in 0..others {
            // All of a frame's buffers are used at the same time (5.1.6.4).
            length = match self.pop()? {
                Ok(used) => self.append(length, used, 0),
                Err(Unknown) => None,
            };
        }
        length
    }

    /// Appends what is in a buffer from `offset` on to the `length` bytes of a frame, and gives
    /// the buffer back. The new length; `None`: it is too long, or was already.
    fn append(&mut self, length: Option<usize>, used: Used, offset: usize) -> Option<usize> {
        let end = (used.bytes as usize).min(self.buffers.bytes);
        // SAFETY: the device has given the buffer back, which has so many bytes.
        let bytes = unsafe {
            let start = self.buffers.start(used.buffer);
            slice::from_raw_parts(start.as_ptr(), end)
        };
        let bytes = bytes.get(offset..).unwrap_or_default();
        let appended = length.and_then(|length| {
            let end = length + bytes.len();
            self.joined.get_mut(length..end)?.copy_from_slice(bytes);
            Some(end)
        });
        self.give_back(used.buffer);
        appended
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
        let Held {
            place,
            length,
            checksum,
        } = self.held?;
        let frame = match place {
            Place::Joined => &mut self.joined[..length],
            // SAFETY: the device has given the buffer back, with so many bytes after the
            // header, and gets it again in `release`, for which this borrow has to end.
            Place::Buffer(buffer) => unsafe {
                let start = self.buffers.start(buffer).add(HEADER);
                slice::from_raw_parts_mut(start.as_ptr(), length)
            },
        };
        Some((frame, checksum))
    }

    fn release(&mut self) {
        if let Some(Held {
            place: Place::Buffer(buffer),
            ..
        }) = self.held.take()
        {
            self.give_back(buffer);
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
