//! Frames that go out.
//!
//! A frame and its header are one buffer, at the next free place of a ring of bytes. What
//! the device has sent is taken back when there is much of it, and when there is no room; the
//! device is asked to interrupt only when that does not help either.

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;
use core::slice;

use darner_netstack::nic::{Counters, Transmit, TxOffload};
use virtio_spec::net::Hdr;

use super::arena::Arena;
use super::header::{self, HEADER};
use crate::drivers::dma::Dma;
use crate::drivers::virtio::queue::{Queue, Writer};

/// As many frames with the device as it takes for others to wait for them.
const SEVERAL: u16 = 2;

/// The transmitting half of a card.
pub struct Transmitter {
    queue: Queue,
    memory: Dma,
    arena: Arena,
    /// Buffers that are not with the device.
    free: Vec<u16>,
    /// The room of each buffer that is with the device.
    rooms: Box<[Option<usize>]>,
    /// Bytes of the longest frame, with its header.
    longest: usize,
    frames: u64,
    bytes: u64,
}

impl Transmitter {
    /// A half with `bytes` of memory for frames that are, with their header, not longer than
    /// `longest`. `None`: there is no memory.
    pub fn new(mut queue: Queue, bytes: u64, longest: usize) -> Option<Self> {
        let memory = Dma::new(bytes)?;
        queue.be_quiet();
        let entries = usize::from(queue.entries());
        Some(Self {
            arena: Arena::new(memory.bytes() as u64, entries),
            free: (0..queue.entries()).rev().collect(),
            rooms: vec![None; entries].into(),
            queue,
            memory,
            longest,
            frames: 0,
            bytes: 0,
        })
    }

    /// Adds what was counted here.
    pub fn count(&self, others: Counters) -> Counters {
        Counters {
            tx_frames: self.frames,
            tx_bytes: self.bytes,
            ..others
        }
    }

    fn is_room(&self) -> bool {
        !self.free.is_empty() && self.arena.has_room(self.longest)
    }

    /// How many buffers are with the device, or were not taken back.
    fn flying(&self) -> u16 {
        self.queue.entries() - self.free.len() as u16
    }

    /// Takes back what the device has sent.
    fn reclaim(&mut self) {
        while let Some(next) = self.queue.next() {
            self.queue.advance();
            // A number that is not with the device is the device's mistake.
            if let Ok(used) = next
                && let Some(room) = self.rooms[usize::from(used.buffer)].take()
            {
                self.arena.give_back(room);
                self.free.push(used.buffer);
            }
        }
    }
}

impl Transmit for Transmitter {
    fn has_room(&mut self) -> bool {
        if self.is_room() {
            return true;
        }
        self.reclaim();
        while !self.is_room() {
            // What waits for the doorbell would never be sent.
            self.queue.publish();
            if !self.queue.call_after((self.flying() / 2).max(1)) {
                return false;
            }
            self.reclaim();
        }
        self.queue.be_quiet();
        true
    }

    fn send(&mut self, length: usize, fill: &mut dyn FnMut(&mut [u8]) -> TxOffload) {
        debug_assert!(HEADER + length <= self.longest, "as long as was agreed");
        let (Some(&buffer), Some(room)) = (self.free.last(), self.arena.take(HEADER + length))
        else {
            debug_assert!(false, "frames are sent only when there is room");
            return;
        };
        self.free.pop();
        self.rooms[usize::from(buffer)] = Some(room.number);
        // SAFETY: the room is in the memory, aligned for a header, and belongs to this frame
        // until the device has sent it.
        unsafe {
            let start = self.memory.start().add(room.offset);
            let frame = start.add(HEADER).as_ptr();
            let offload = fill(slice::from_raw_parts_mut(frame, length));
            start.cast::<Hdr>().write(header::of(offload));
        }
        let physical = self.memory.physical() + room.offset as u64;
        let bytes = (HEADER + length) as u32;
        self.queue.describe(buffer, physical, bytes, Writer::Driver);
        self.queue.offer(buffer);
        self.frames += 1;
        self.bytes += length as u64;
    }

    fn kick(&mut self) {
        // So that what is cached is used again, rather than all of the memory.
        if self.flying() >= self.queue.entries() / 4 {
            self.reclaim();
        }
        self.queue.publish();
    }

    fn call_when_taken(&mut self) -> bool {
        self.reclaim();
        let flying = self.flying();
        let will_call = flying >= SEVERAL && !self.queue.call_after(flying.div_ceil(2));
        if !will_call {
            self.queue.be_quiet();
        }
        will_call
    }
}
