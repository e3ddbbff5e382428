//! An owner's zones: which there are, and in which lists.

mod home;
mod take;

use core::sync::atomic::Ordering;

use crate::class::{CLASSES, Class, TABLE};
use crate::heap::{Core, Heap, clear};
use crate::part::{List, Part};
use crate::remote::{self, NONE};
use crate::source::{Environment, PAGE};
use crate::unit::{PAGES, Tag, UNIT, Unit};

impl<E: Environment> Part<E> {
    /// The zone to take chunks from: one that has some.
    fn zone_with_room(&self, class: usize) -> Option<u32> {
        let list = &self.lists[class];
        loop {
            let current = list.current.get();
            if current == NONE {
                let partial = list.partial.get();
                if partial != NONE {
                    self.unlink(list, partial);
                    list.current.set(partial);
                } else if !self.collect_class(class) {
                    list.current.set(self.make_zone(class)?);
                }
                continue;
            }
            let zone = self.heap().unit(current);
            if zone.own.free.get() > 0 || zone.own.fresh.get() < u32::from(TABLE[class].chunks) {
                return Some(current);
            }
            if zone.tally.is_some() || !zone.tally.leave() {
                self.drain(class, current, zone);
            } else {
                zone.own.listed.set(false);
                list.current.set(NONE);
            }
        }
    }

    /// A new zone, in no list, with none of its chunks handed out.
    fn make_zone(&self, class: usize) -> Option<u32> {
        let heap = self.heap();
        let Class {
            units,
            colours,
            colour_step,
            ..
        } = TABLE[class];
        let list = &self.lists[class];
        let number = heap.take_units(u32::from(units), 1)?;
        let colour = list.colour.get();
        list.colour
            .set(if colour + 1 < colours { colour + 1 } else { 0 });
        let zone = heap.unit(number);
        zone.start.store(
            u32::from(colour) * u32::from(colour_step),
            Ordering::Relaxed,
        );
        let committed = heap.contiguous(number, u32::from(units)) * PAGE;
        let own = &zone.own;
        own.out.set(0);
        own.free.set(0);
        own.cursor.set(0);
        own.fresh.set(0);
        own.committed.set(committed as u32);
        own.clean.set(committed as u32);
        own.listed.set(true);
        for place in 0..u32::from(units) {
            let tag = Tag::zone(class, self.owner, place as usize);
            heap.unit(number + place).set_tag(tag);
        }
        list.zones
            .store(list.zones.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        Some(number)
    }

    /// Gives up a zone that is in no list and whose chunks are all home.
    fn retire(&self, class: usize, number: u32) {
        let heap = self.heap();
        let zone = heap.unit(number);
        debug_assert!(zone.own.out.get() == 0 && !zone.tally.is_some());
        let units = u32::from(TABLE[class].units);
        let words = usize::from(TABLE[class].chunks).div_ceil(64);
        for (bits, remote) in zone.bits[..words].iter().zip(&zone.remote) {
            bits.set(0);
            // There are some only if chunks were freed twice.
            remote::take(remote);
        }
        let mut pages = zone.own.committed.get() as usize / PAGE;
        for unit in number..number + units {
            let here = pages.min(PAGES);
            heap.committed(unit).set(here as u8);
            pages -= here;
        }
        clear(heap, number, units);
        let zones = &self.lists[class].zones;
        zones.store(zones.load(Ordering::Relaxed) - 1, Ordering::Relaxed);
        heap.give_units(number, units);
    }

    /// Takes note of what was freed elsewhere in zones that had left the lists. Whether
    /// there was something of this class.
    pub fn collect_class(&self, class: usize) -> bool {
        let heap = self.heap();
        let mut found = false;
        let mut number = heap.shared(usize::from(self.owner)).inbox.take();
        while number != NONE {
            let zone = heap.unit(number);
            let next = zone.link.load(Ordering::Relaxed);
            let of = zone.tag().class();
            self.drain(of, number, zone);
            zone.own.listed.set(true);
            self.link(&self.lists[of], number);
            found |= of == class;
            if of != class {
                self.retire_if_empty(of, number, zone);
            }
            number = next;
        }
        found
    }

    /// Gives up a zone of the partial list if nothing of it is out.
    fn retire_if_empty(&self, class: usize, number: u32, zone: &Unit) {
        let list = &self.lists[class];
        if zone.own.out.get() == 0 && zone.own.listed.get() && list.current.get() != number {
            self.unlink(list, number);
            self.retire(class, number);
        }
    }

    /// Takes note of all that was freed elsewhere, and gives up all empty zones.
    pub fn retire_empty(&self) {
        self.collect_class(CLASSES);
        for class in 0..CLASSES {
            let list = &self.lists[class];
            let current = list.current.replace(NONE);
            if current != NONE {
                self.link(list, current);
            }
            let mut number = list.partial.get();
            while number != NONE {
                let zone = self.heap().unit(number);
                let next = zone.next.get();
                if zone.tally.is_some() {
                    self.drain(class, number, zone);
                }
                self.retire_if_empty(class, number, zone);
                number = next;
            }
        }
    }

    fn link(&self, list: &List, number: u32) {
        let zone = self.heap().unit(number);
        let next = list.partial.get();
        zone.next.set(next);
        zone.previous.set(NONE);
        if next != NONE {
            self.heap().unit(next).previous.set(number);
        }
        list.partial.set(number);
    }

    fn unlink(&self, list: &List, number: u32) {
        let zone = self.heap().unit(number);
        let (next, previous) = (zone.next.get(), zone.previous.get());
        if next != NONE {
            self.heap().unit(next).previous.set(previous);
        }
        match previous {
            NONE => list.partial.set(next),
            _ => self.heap().unit(previous).next.set(next),
        }
    }
}

/// Where the first chunk of a zone is.
fn first_chunk<E: Environment>(heap: &Heap<E>, number: u32, zone: &Unit) -> *mut u8 {
    let start = zone.start.load(Ordering::Relaxed) as usize;
    heap.base
        .as_ptr()
        .wrapping_add(number as usize * UNIT + start)
}
