//! Filling magazines from an owner's zones.

use core::cell::Cell;
use core::ptr::NonNull;
use core::sync::atomic::Ordering;

use super::first_chunk;
use crate::class::{Class, TABLE};
use crate::heap::Core;
use crate::part::Part;
use crate::source::{Environment, PAGE, PageSource};
use crate::unit::{UNIT, Unit};

/// The most bytes of a zone that are committed before they are needed.
const COMMITTED: usize = 4 * PAGE;
/// Chunks of at least so many bytes are looked for where they are zero already.
const ZEROED: usize = 1024;

impl<E: Environment> Part<E> {
    /// Takes a chunk for the caller and as many as suit the magazine, which is empty.
    #[cold]
    #[inline(never)]
    pub fn refill(&self, class: usize) -> Option<NonNull<u8>> {
        let magazine = self.magazine(class);
        let wanted = (magazine.capacity.get() / 2).max(1);
        magazine.grow(class);
        let zone = self.zone_with_room(class)?;
        magazine.fill(wanted as usize, |slots| self.take(class, zone, slots))
    }

    /// A chunk that was never used and is zero, if the magazine has none or the chunk is
    /// large, and there is one.
    pub fn take_zero(&self, class: usize) -> Option<NonNull<u8>> {
        let size = TABLE[class].size as usize;
        if !<E::Chunks as PageSource>::ZEROED
            || size < ZEROED
            || size < PAGE && self.magazine(class).length() > 0
        {
            return None;
        }
        let number = self.zone_with_room(class)?;
        let zone = self.heap().unit(number);
        let next = zone.start.load(Ordering::Relaxed) + zone.own.fresh.get() * size as u32;
        if next < zone.own.clean.get() || size < PAGE && zone.own.free.get() > 0 {
            return None;
        }
        let chunk = [const { Cell::new(core::ptr::null_mut()) }];
        match self.take_fresh(class, number, &chunk) {
            0 => None,
            _ => NonNull::new(chunk[0].get()),
        }
    }

    /// Takes chunks from a zone, up to as many as there is room for, and puts them at the end
    /// of it, the one to be used first last; how many.
    fn take(&self, class: usize, number: u32, into: &[Cell<*mut u8>]) -> usize {
        let heap = self.heap();
        let zone = heap.unit(number);
        let own = &zone.own;
        let first = first_chunk(heap, number, zone);
        let size = TABLE[class].size as usize;
        let mut got = 0;
        while own.free.get() > 0 && got < into.len() {
            let word = own.cursor.get() as usize;
            let mut bits = zone.bits[word].get();
            let before = got;
            while bits != 0 && got < into.len() {
                let chunk = word * 64 + bits.trailing_zeros() as usize;
                got += 1;
                into[into.len() - got].set(first.wrapping_add(chunk * size));
                bits &= bits - 1;
            }
            zone.bits[word].set(bits);
            own.free.set(own.free.get() - (got - before) as u32);
            if bits == 0 {
                own.cursor.set(word as u32 + 1);
            }
        }
        self.took(class, zone, got);
        got + self.take_fresh(class, number, &into[..into.len() - got])
    }

    /// Takes chunks that were never used from a zone, as `take` does.
    fn take_fresh(&self, class: usize, number: u32, into: &[Cell<*mut u8>]) -> usize {
        let heap = self.heap();
        let zone = heap.unit(number);
        let Class { size, chunks, .. } = TABLE[class];
        let fresh = zone.own.fresh.get();
        let wanted = into.len().min((u32::from(chunks) - fresh) as usize);
        if wanted == 0 {
            return 0;
        }
        let start = zone.start.load(Ordering::Relaxed);
        let room = |count: usize| (start + (fresh + count as u32) * size) as usize;
        let count = match self.commit(class, number, room(wanted)) {
            true => wanted,
            // Memory is short; what there is may do.
            false => {
                let there = zone
                    .own
                    .committed
                    .get()
                    .saturating_sub(start + fresh * size)
                    / size;
                wanted.min(there as usize)
            }
        };
        let first = first_chunk(heap, number, zone);
        for (place, chunk) in into.iter().rev().take(count).enumerate() {
            chunk.set(first.wrapping_add((fresh as usize + place) * size as usize));
        }
        zone.own.fresh.set(fresh + count as u32);
        self.took(class, zone, count);
        count
    }

    fn took(&self, class: usize, zone: &Unit, count: usize) {
        zone.own.out.set(zone.own.out.get() + count as u32);
        let out = &self.lists[class].out;
        out.store(
            out.load(Ordering::Relaxed) + count as u32,
            Ordering::Relaxed,
        );
    }

    /// Has the first `bytes` bytes of a zone be committed.
    fn commit(&self, class: usize, number: u32, bytes: usize) -> bool {
        let zone = self.heap().unit(number);
        let committed = zone.own.committed.get() as usize;
        if bytes <= committed {
            return true;
        }
        let most = usize::from(TABLE[class].units) * UNIT;
        // Twice what there is: a heap of few blocks in many classes stays small.
        let step = committed.next_power_of_two().clamp(PAGE, COMMITTED);
        let generous = bytes.next_multiple_of(step).min(most);
        let base = number as usize * UNIT;
        for end in [generous, bytes.next_multiple_of(PAGE)] {
            if self.heap().commit_chunks(base + committed..base + end) {
                zone.own.committed.set(end as u32);
                return true;
            }
        }
        false
    }
}
