//! Frames that go out.
//!
//! A frame and its header are one buffer, at the next free place of a ring of bytes. What
//! the device has sent is taken back when there is much of it, and when there is no room; the
//! device is asked to interrupt only when that does not help either.

use alloc::boxed::Box;
use alloc::vec;
use core::ptr::NonNull;

use darner_netstack::nic::{Counters, Transmit, TxOffload};

use super::ENTRIES;
use super::arena::Arena;
use super::header::{self, HEADER, Header};
use crate::drivers::dma::Dma;
use crate::drivers::virtio::queue::{Queue, ToDevice};

/// As many frames with the device as it takes for others to wait for them.
const SEVERAL: usize = 2;

/// The transmitting half of a card.
pub struct Transmitter {
    queue: Queue<ToDevice, ENTRIES>,
    memory: Dma,
    arena: Arena,
    /// By the number that the queue gave it, the room of each frame that is with the device.
    rooms: Box<[usize]>,
    /// How many frames are with the device, or were not taken back.
    flying: usize,
    /// Bytes of the longest frame, with its header.
    longest: usize,
    frames: u64,
    bytes: u64,
}

impl Transmitter {
    /// A half with `bytes` of memory for frames that are, with their header, not longer than
    /// `longest`. `None`: there is no memory.
    pub fn new(mut queue: Queue<ToDevice, ENTRIES>, bytes: u64, longest: usize) -> Option<Self> {
        let memory = Dma::new(bytes)?;
        queue.be_quiet();
        Some(Self {
            arena: Arena::new(memory.bytes() as u64, ENTRIES),
            rooms: vec![0; ENTRIES].into(),
            flying: 0,
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
        self.flying < ENTRIES && self.arena.has_room(self.longest)
    }

    /// Takes back what the device has sent.
    fn reclaim(&mut self) {
        while let Some(used) = self.queue.pop() {
            self.arena.give_back(self.rooms[usize::from(used.token)]);
            self.flying -= 1;
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
            self.queue.announce();
            if !self.queue.call() {
                return false;
            }
            self.reclaim();
        }
        self.queue.be_quiet();
        true
    }

    fn send(&mut self, length: usize, fill: &mut dyn FnMut(&mut [u8]) -> TxOffload) {
        debug_assert!(HEADER + length <= self.longest, "as long as was agreed");
        let Some(room) = self.arena.take(HEADER + length) else {
            debug_assert!(false, "frames are sent only when there is room");
            return;
        };
        // SAFETY: the room is in the memory, aligned for a header, and belongs to this frame
        // until the device has sent it.
        let offered = unsafe {
            let start = self.memory.start().add(room.offset);
            let mut frame = NonNull::slice_from_raw_parts(start.add(HEADER), length);
            let offload = fill(frame.as_mut());
            start.cast::<Header>().write(header::of(offload));
            let whole = NonNull::slice_from_raw_parts(start, HEADER + length);
            self.queue.offer(whole)
        };
        let Some(token) = offered else {
            debug_assert!(false, "there is an entry for each room");
            return;
        };
        self.rooms[usize::from(token)] = room.number;
        self.flying += 1;
        self.frames += 1;
        self.bytes += length as u64;
    }

    fn kick(&mut self) {
        // So that what is cached is used again, rather than all of the memory.
        if self.flying >= ENTRIES / 4 {
            self.reclaim();
        }
        self.queue.announce();
    }

    fn call_when_taken(&mut self) -> bool {
        self.reclaim();
        // Without events it interrupts for the first, and is asked again.
        let will_call = self.flying >= SEVERAL && !self.queue.call();
        if !will_call {
            self.queue.be_quiet();
        }
        will_call
    }
}
