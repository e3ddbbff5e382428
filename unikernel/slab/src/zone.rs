//! An owner's zones: where its magazines are filled from, and where chunks go home.

use core::cell::Cell;
use core::ptr::NonNull;
use core::sync::atomic::Ordering;

use crate::class::{CLASSES, Class, TABLE};
use crate::heap::{Core, Heap, clear};
use crate::part::{List, Part};
use crate::remote::{self, NONE};
use crate::source::{Environment, Misuse, PAGE, PageSource};
use crate::unit::{PAGES, Tag, UNIT, Unit};

/// Bytes of a zone that are committed at a time.
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

    fn came_home(&self, class: usize, zone: &Unit, count: u32) {
        zone.own.out.set(zone.own.out.get().saturating_sub(count));
        let out = &self.lists[class].out;
        out.store(
            out.load(Ordering::Relaxed).saturating_sub(count),
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
        let generous = bytes.next_multiple_of(COMMITTED).min(most);
        let base = number as usize * UNIT;
        for end in [generous, bytes.next_multiple_of(PAGE)] {
            if self.heap().commit_chunks(base + committed..base + end) {
                zone.own.committed.set(end as u32);
                return true;
            }
        }
        false
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

    /// Takes note of what was freed elsewhere in a zone that is in the lists, or came by
    /// the inbox.
    fn drain(&self, class: usize, number: u32, zone: &Unit) {
        let count = zone.tally.take();
        let mut free = zone.own.free.get();
        let mut wrong = 0;
        let words = usize::from(TABLE[class].chunks).div_ceil(64);
        for word in (0..words).rev() {
            let bits = remote::take(&zone.remote[word]);
            if bits != 0 {
                let before = zone.bits[word].get();
                // A bit of both was freed twice; it is free once.
                let handed_out = zone.own.fresh.get().saturating_sub(word as u32 * 64);
                let never = match handed_out {
                    0..64 => bits & u64::MAX << handed_out,
                    _ => 0,
                };
                let doubles = bits & before;
                wrong += (doubles | never).count_ones();
                refuse(self.heap(), number, zone, word, (doubles, Misuse::Double));
                refuse(self.heap(), number, zone, word, (never, Misuse::Wild));
                let bits = bits & !never;
                zone.bits[word].set(before | bits);
                free += (bits & !before).count_ones();
                zone.own.cursor.set(zone.own.cursor.get().min(word as u32));
            }
        }
        zone.own.free.set(free);
        self.came_home(class, zone, count - wrong.min(count));
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

    /// Sends home the `count` chunks that have been in a magazine for the longest time.
    #[cold]
    #[inline(never)]
    pub fn flush(&self, class: usize, count: usize) {
        let magazine = self.magazine(class);
        let mut batch = Batch::new(self.heap());
        let mine = Tag::zone(class, self.owner, 0);
        for chunk in &magazine.chunks()[..count] {
            let address = chunk.get().addr();
            match self.home(address, class) {
                Ok(Home {
                    zone,
                    number,
                    chunk,
                    ..
                }) if zone.tag().is_same(mine) => {
                    self.put_back(class, number, zone, chunk, address);
                }
                Ok(home) => batch.add(home, address),
                Err(misuse) => self.heap().refuse(misuse, address),
            }
        }
        batch.send();
        magazine.forget(count);
        let frees = &self.remote_frees;
        frees.store(
            frees.load(Ordering::Relaxed) + u64::from(batch.sent),
            Ordering::Relaxed,
        );
    }

    /// Puts a chunk into its zone, which is the owner's.
    #[inline]
    fn put_back(&self, class: usize, number: u32, zone: &Unit, chunk: usize, address: usize) {
        let own = &zone.own;
        let (word, bit) = (chunk / 64, 1 << (chunk % 64));
        let bits = zone.bits[word].get();
        if bits & bit != 0 || chunk >= own.fresh.get() as usize {
            let misuse = if bits & bit != 0 {
                Misuse::Double
            } else {
                Misuse::Wild
            };
            return self.heap().refuse(misuse, address);
        }
        zone.bits[word].set(bits | bit);
        own.free.set(own.free.get() + 1);
        own.cursor.set(own.cursor.get().min(word as u32));
        self.came_home(class, zone, 1);
        if !own.listed.get() && zone.tally.come_back() {
            own.listed.set(true);
            self.link(&self.lists[class], number);
        }
        if own.out.get() == 0 {
            self.retire_if_empty(class, number, zone);
        }
    }

    /// Where the chunk at an address belongs, if there is a chunk of the class.
    #[inline]
    pub fn home(&self, address: usize, class: usize) -> Result<Home<'_>, Misuse> {
        let heap = self.heap();
        let (unit, offset) = heap.unit_at(address).ok_or(Misuse::Wild)?;
        let tag = unit.tag();
        if !tag.is_same_class(Tag::zone(class, 0, 0)) {
            return Err(match tag == Tag::NOTHING {
                true => Misuse::Wild,
                false => Misuse::WrongSize,
            });
        }
        let number = (offset / UNIT - tag.place()) as u32;
        let zone = heap.unit(number);
        let start = number as usize * UNIT + zone.start.load(Ordering::Relaxed) as usize;
        let chunk = TABLE[class].chunk_at(offset.wrapping_sub(start));
        Ok(Home {
            zone,
            number,
            chunk: chunk.ok_or(Misuse::NotTheStart)?,
        })
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

/// Where a chunk belongs.
pub(crate) struct Home<'a> {
    pub zone: &'a Unit,
    pub number: u32,
    pub chunk: usize,
}

impl Home<'_> {
    /// Whether the chunk is in its zone, as far as `owner` can know.
    pub fn is_free(&self, owner: u16) -> bool {
        let (word, bit) = (self.chunk / 64, 1 << (self.chunk % 64));
        let here = self.zone.tag().owner() == owner
            && (self.zone.bits[word].get() & bit != 0
                || self.chunk >= self.zone.own.fresh.get() as usize);
        here || self.zone.remote[word].load(Ordering::Relaxed) & bit != 0
    }
}

/// Chunks on their way to other owners: those of one word of bits, of one zone, at a time.
struct Batch<'a, E: Environment> {
    heap: &'a Heap<E>,
    zone: Option<(u32, &'a Unit)>,
    word: usize,
    bits: u64,
    /// Published, and not counted yet.
    count: u32,
    sent: u32,
}

impl<'a, E: Environment> Batch<'a, E> {
    fn new(heap: &'a Heap<E>) -> Self {
        Self {
            heap,
            zone: None,
            word: 0,
            bits: 0,
            count: 0,
            sent: 0,
        }
    }

    fn add(&mut self, home: Home<'a>, address: usize) {
        let (word, bit) = (home.chunk / 64, 1 << (home.chunk % 64));
        let same = self.zone.is_some_and(|(number, _)| number == home.number);
        if !same {
            self.send();
            self.zone = Some((home.number, home.zone));
        } else if word != self.word {
            self.publish();
        }
        if self.bits & bit != 0 {
            return self.heap.refuse(Misuse::Double, address);
        }
        self.word = word;
        self.bits |= bit;
    }

    /// Sets the bits that are waiting.
    fn publish(&mut self) {
        let bits = core::mem::take(&mut self.bits);
        let Some((number, zone)) = self.zone else {
            return;
        };
        if bits == 0 {
            return;
        }
        let new = remote::publish(&zone.remote[self.word], bits);
        self.count += new.count_ones();
        refuse(
            self.heap,
            number,
            zone,
            self.word,
            (bits & !new, Misuse::Double),
        );
    }

    /// Counts what was published, and queues the zone if it must be.
    fn send(&mut self) {
        self.publish();
        let count = core::mem::take(&mut self.count);
        let Some((number, zone)) = self.zone.take().filter(|_| count > 0) else {
            return;
        };
        self.sent += count;
        if zone.tally.add(count) {
            let owner = usize::from(zone.tag().owner());
            if self.heap.shared(owner).inbox.push(number, &zone.link) {
                self.heap.notifications.fetch_add(1, Ordering::Relaxed);
                self.heap.environment.owner(owner);
            }
        }
    }
}

/// Says that chunks were freed that must not be.
#[inline]
fn refuse<E: Environment>(
    heap: &Heap<E>,
    number: u32,
    zone: &Unit,
    word: usize,
    (mut bits, misuse): (u64, Misuse),
) {
    while bits != 0 {
        let size = TABLE[zone.tag().class()].size as usize;
        let chunk = word * 64 + bits.trailing_zeros() as usize;
        let address = first_chunk(heap, number, zone).addr() + chunk * size;
        heap.refuse(misuse, address);
        bits &= bits - 1;
    }
}

/// Where the first chunk of a zone is.
fn first_chunk<E: Environment>(heap: &Heap<E>, number: u32, zone: &Unit) -> *mut u8 {
    let start = zone.start.load(Ordering::Relaxed) as usize;
    heap.base
        .as_ptr()
        .wrapping_add(number as usize * UNIT + start)
}
