//! Room for frames on their way out: a ring of bytes, taken in order and given back in
//! any.

use alloc::boxed::Box;
use alloc::vec;

/// Where room begins, as bytes from the ring's start, is a multiple of this.
const LINE: u64 = 64;

/// A ring of bytes. Positions count on from one round to the next, until the ring is empty.
pub struct Arena {
    bytes: u64,
    /// Where the next room begins, at the earliest.
    head: u64,
    /// Before this all room was given back.
    tail: u64,
    /// Rooms that were taken and not forgotten yet: where they end, and whether they were
    /// given back. Of number `n`, at `n` modulo the length.
    rooms: Box<[Room]>,
    /// The number of the oldest of these.
    oldest: usize,
    /// The number that the next will have.
    next: usize,
}

#[derive(Clone, Copy, Default)]
struct Room {
    end: u64,
    is_free: bool,
}

/// A room that was taken.
#[derive(Clone, Copy, Debug)]
pub struct Taken {
    /// Its number, to give it back with.
    pub number: usize,
    /// Where it begins, as bytes from the ring's start.
    pub offset: usize,
}

impl Arena {
    /// An empty ring of `bytes`, for `rooms` at a time; both are powers of two.
    pub fn new(bytes: u64, rooms: usize) -> Self {
        debug_assert!(bytes.is_power_of_two() && rooms.is_power_of_two());
        Self {
            bytes,
            head: 0,
            tail: 0,
            rooms: vec![Room::default(); rooms].into(),
            oldest: 0,
            next: 0,
        }
    }

    /// Where room for `length` bytes would begin and end, as positions. `None`: there is none.
    fn place(&self, length: usize) -> Option<(u64, u64)> {
        let length = (length as u64).next_multiple_of(LINE);
        let left = self.bytes - self.offset(self.head);
        // What is left at the ring's end is skipped if it is too short.
        let start = match length <= left {
            true => self.head,
            false => self.head + left,
        };
        let end = start + length;
        (end - self.tail <= self.bytes).then_some((start, end))
    }

    /// A position, as bytes from the ring's start.
    fn offset(&self, position: u64) -> u64 {
        position & (self.bytes - 1)
    }

    /// Whether there is room for `length` bytes.
    pub fn has_room(&self, length: usize) -> bool {
        self.next - self.oldest < self.rooms.len() && self.place(length).is_some()
    }

    /// Takes room for `length` bytes.
    pub fn take(&mut self, length: usize) -> Option<Taken> {
        if self.next - self.oldest >= self.rooms.len() {
            return None;
        }
        let (start, end) = self.place(length)?;
        let number = self.next;
        self.next += 1;
        self.head = end;
        *self.room(number) = Room {
            end,
            is_free: false,
        };
        Some(Taken {
            number,
            offset: self.offset(start) as usize,
        })
    }

    /// Gives a room back.
    pub fn give_back(&mut self, number: usize) {
        self.room(number).is_free = true;
        while self.oldest < self.next && self.room(self.oldest).is_free {
            self.tail = self.room(self.oldest).end;
            self.oldest += 1;
        }
        if self.oldest == self.next {
            // The same memory again, while the processor has it in its cache.
            self.head = 0;
            self.tail = 0;
        }
    }

    fn room(&mut self, number: usize) -> &mut Room {
        let index = number & (self.rooms.len() - 1);
        &mut self.rooms[index]
    }
}
