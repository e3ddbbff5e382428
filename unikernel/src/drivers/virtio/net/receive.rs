//! Frames that come in.
//!
//! A frame stays in its buffer until it is released; then the buffer is offered again, and the
//! device told of several at once.
//!
//! A device that joins segments gives frames that are longer than a buffer, in several.
//! These are copied together, and the buffers go back at once.

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;
use core::ptr::NonNull;
use core::slice;

use darner_netstack::nic::{Counters, Receive, RxChecksum};

use super::header::{self, HEADER, Header};
use super::{ENTRIES, ETHERNET, TAG};
use crate::drivers::dma::Dma;
use crate::drivers::virtio::queue::{FromDevice, Queue, Used};

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
    queue: Queue<FromDevice, ENTRIES>,
    buffers: Buffers,
    /// So many go back before the device is told.
    batch: usize,
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
    Buffer(NonNull<[u8]>),
    /// Where it was put together.
    Joined,
}

// SAFETY: the buffer is the receiver's alone while it has the frame.
unsafe impl Send for Place {}

impl Receiver {
    /// A half with so many buffers of `bytes` each, at most as many as the queue has entries.
    /// `None`: there is no memory.
    pub fn new(
        mut queue: Queue<FromDevice, ENTRIES>,
        count: u16,
        bytes: usize,
        spread: Spread,
    ) -> Option<Self> {
        let buffers = Buffers::new(usize::from(count), bytes)?;
        for index in 0..usize::from(count) {
            // SAFETY: the buffers are never dropped while the device runs, and each is used
            // only between `pop` and the next `offer`.
            unsafe { queue.offer(buffers.get(index)) }?;
        }
        queue.be_quiet();
        let longest = match spread {
            Spread::Joined => LONGEST_JOINED,
            Spread::One | Spread::Several => 0,
        };
        Some(Self {
            queue,
            buffers,
            batch: usize::from(count / 4),
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
        self.queue.announce();
    }

    /// See [`darner_netstack::Nic::set_interrupts`].
    pub fn set_interrupts(&mut self, on: bool) -> bool {
        if !on {
            self.queue.be_quiet();
            return false;
        }
        self.queue.call() || self.held.is_some()
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
            let Some(used) = self.queue.pop() else {
                self.queue.announce();
                return None;
            };
            match self.frame(used) {
                Some(held) => return Some(held),
                None => self.errors += 1,
            }
        }
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
        let header = unsafe { used.buffer.cast::<Header>().read() };
        let checksum = header::checksum(&header);
        let others = match self.spread {
            Spread::One => 0,
            _ => header.buffers.saturating_sub(1),
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
            let used = self.queue.pop()?;
            length = self.append(length, used, 0);
        }
        length
    }

    /// Appends what is in a buffer from `offset` on to the `length` bytes of a frame, and gives
    /// the buffer back. The new length; `None`: it is too long, or was already.
    fn append(&mut self, length: Option<usize>, used: Used, offset: usize) -> Option<usize> {
        let end = (used.bytes as usize).min(self.buffers.bytes);
        // SAFETY: the device has given the buffer back, which has so many bytes.
        let bytes = unsafe { slice::from_raw_parts(used.buffer.cast::<u8>().as_ptr(), end) };
        let bytes = bytes.get(offset..).unwrap_or_default();
        let appended = length.and_then(|length| {
            let end = length + bytes.len();
            self.joined.get_mut(length..end)?.copy_from_slice(bytes);
            Some(end)
        });
        self.give_back(used.buffer);
        appended
    }

    fn give_back(&mut self, buffer: NonNull<[u8]>) {
        // SAFETY: as in `new`; what was read there was copied, or is not borrowed any more.
        let offered = unsafe { self.queue.offer(buffer) };
        debug_assert!(offered.is_some(), "there is an entry for each buffer");
        if self.queue.unannounced() >= self.batch {
            self.queue.announce();
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
                let start = buffer.cast::<u8>().add(HEADER);
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

    fn get(&self, index: usize) -> NonNull<[u8]> {
        let offset = index % self.per_block * self.bytes;
        let block = &self.blocks[index / self.per_block];
        // SAFETY: in the block.
        let start = unsafe { block.start().add(offset) };
        NonNull::slice_from_raw_parts(start, self.bytes)
    }
}
