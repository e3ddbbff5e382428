//! Chunks that go home: to the owner's zones and to others'.

use core::alloc::Layout;
use core::sync::atomic::Ordering;

use super::first_chunk;
use crate::class::{Class, TABLE};
use crate::heap::{Core, Heap};
use crate::part::Part;
use crate::remote;
use crate::source::{Environment, Misuse};
use crate::unit::{Tag, UNIT, Unit};

impl<E: Environment> Part<E> {
    /// Sends home the `count` chunks that have been in a magazine for the longest time.
    #[cold]
    #[inline(never)]
    pub fn flush(&self, class: usize, count: usize) {
        let magazine = self.magazine(class);
        let mut batch = Batch::new(self, class);
        for chunk in &magazine.chunks()[..count] {
            batch.add(chunk.get().addr());
        }
        batch.send();
        let sent = u64::from(batch.sent);
        magazine.forget(count);
        let frees = &self.remote_frees;
        frees.store(frees.load(Ordering::Relaxed) + sent, Ordering::Relaxed);
    }

    /// Takes note of what was freed elsewhere in a zone that is in the lists, or came by
    /// the inbox.
    pub(super) fn drain(&self, class: usize, number: u32, zone: &Unit) {
        let count = zone.tally.take();
        let mut wrong = 0;
        let words = usize::from(TABLE[class].chunks).div_ceil(64);
        for word in 0..words {
            let bits = remote::take(&zone.remote[word]);
            if bits != 0 {
                let new = put_back(zone, word, bits);
                if new != bits {
                    // They were counted, and had been home.
                    wrong += (bits & !new).count_ones();
                    let never = never_out(zone, word);
                    refuse(self.heap(), number, zone, word, bits & !new, never);
                }
            }
        }
        self.came_home(class, zone, count.saturating_sub(wrong));
    }

    fn came_home(&self, class: usize, zone: &Unit, count: u32) {
        zone.own.out.set(zone.own.out.get().saturating_sub(count));
        let out = &self.lists[class].out;
        out.store(
            out.load(Ordering::Relaxed).saturating_sub(count),
            Ordering::Relaxed,
        );
    }

    /// Where the chunk at an address belongs, if there is a chunk of the class.
    pub fn home(&self, address: usize, class: usize) -> Result<Home<'_>, Misuse> {
        let (zone, number) = self.zone_at(address, class)?;
        let first = first_chunk(self.heap(), number, zone).addr();
        let chunk = TABLE[class].chunk_at(address.wrapping_sub(first));
        Ok(Home {
            zone,
            chunk: chunk.ok_or(Misuse::NotTheStart)?,
        })
    }

    /// The zone at an address, if it is of the class, and its number.
    fn zone_at(&self, address: usize, class: usize) -> Result<(&Unit, u32), Misuse> {
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
        Ok((heap.unit(number), number))
    }
}

/// Where a chunk belongs.
pub(crate) struct Home<'a> {
    zone: &'a Unit,
    chunk: usize,
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

/// Chunks of a class on their way home. Those that follow each other and are of one word of
/// bits, or of one zone, are put there together.
struct Batch<'a, E: Environment> {
    part: &'a Part<E>,
    class: usize,
    fixed: &'a Class,
    zone: Option<(u32, &'a Unit)>,
    /// Where the zone's first chunk is.
    first: usize,
    /// Bytes from there to the end of the zone's last chunk; 0 without a zone.
    length: usize,
    /// Whether the zone is the owner's.
    mine: bool,
    word: usize,
    /// Bits of the word that are not there yet.
    bits: u64,
    /// Those of the zone that are, and have not been counted.
    count: u32,
    /// Of other owners' zones.
    sent: u32,
}

impl<'a, E: Environment> Batch<'a, E> {
    fn new(part: &'a Part<E>, class: usize) -> Self {
        Self {
            part,
            class,
            fixed: &TABLE[class],
            zone: None,
            first: 0,
            length: 0,
            mine: false,
            word: 0,
            bits: 0,
            count: 0,
            sent: 0,
        }
    }

    #[inline(always)]
    fn add(&mut self, address: usize) {
        if address.wrapping_sub(self.first) >= self.length
            && let Err(misuse) = self.turn_to(address)
        {
            return self.astray(misuse, address);
        }
        let Some(chunk) = self.fixed.chunk_at(address.wrapping_sub(self.first)) else {
            return self.part.heap().refuse(Misuse::NotTheStart, address);
        };
        let (word, bit) = (chunk / 64, 1 << (chunk % 64));
        if word != self.word {
            self.put();
            self.word = word;
        } else if self.bits & bit != 0 {
            return self.part.heap().refuse(Misuse::Double, address);
        }
        self.bits |= bit;
    }

    /// A chunk that is none of this heap's.
    #[cold]
    fn astray(&self, misuse: Misuse, address: usize) {
        let heap = self.part.heap();
        match Layout::from_size_align(self.fixed.size as usize, 1) {
            Ok(layout) if heap.environment.is_elsewhere(address) => {
                heap.environment.free_elsewhere(address, layout);
            }
            _ => heap.refuse(misuse, address),
        }
    }

    /// Goes on with the zone of the chunk at this address.
    #[inline]
    fn turn_to(&mut self, address: usize) -> Result<(), Misuse> {
        self.send();
        let (zone, number) = self.part.zone_at(address, self.class)?;
        self.zone = Some((number, zone));
        self.first = first_chunk(self.part.heap(), number, zone).addr();
        self.length = usize::from(self.fixed.chunks) * self.fixed.size as usize;
        self.mine = zone.tag().owner() == self.part.owner;
        Ok(())
    }

    /// Sets the bits of a word that are waiting.
    #[inline]
    fn put(&mut self) {
        let bits = core::mem::take(&mut self.bits);
        let Some((number, zone)) = self.zone.filter(|_| bits != 0) else {
            return;
        };
        let new = match self.mine {
            // What is free elsewhere already is not to be so here as well.
            true => {
                let elsewhere = zone.remote[self.word].load(Ordering::Relaxed);
                put_back(zone, self.word, bits & !elsewhere)
            }
            false => remote::publish(&zone.remote[self.word], bits),
        };
        self.count += new.count_ones();
        if new != bits {
            // Of another owner's zone, the owner will see what was never out.
            let never = match self.mine {
                true => never_out(zone, self.word),
                false => 0,
            };
            let heap = self.part.heap();
            refuse(heap, number, zone, self.word, bits & !new, never);
        }
    }

    /// Ends with a zone: counts what was put there, and sees to the lists that it is in.
    #[inline]
    fn send(&mut self) {
        self.put();
        self.length = 0;
        let count = core::mem::take(&mut self.count);
        let Some((number, zone)) = self.zone.take().filter(|_| count > 0) else {
            return;
        };
        if self.mine {
            return self.part.came_back(self.class, number, zone, count);
        }
        self.sent += count;
        if zone.tally.add(count) {
            let heap = self.part.heap();
            let owner = usize::from(zone.tag().owner());
            if heap.shared(owner).inbox.push(number, &zone.link) {
                heap.notifications.fetch_add(1, Ordering::Relaxed);
                heap.environment.owner(owner);
            }
        }
    }
}

impl<E: Environment> Part<E> {
    /// Counts what came back to a zone of the owner's.
    fn came_back(&self, class: usize, number: u32, zone: &Unit, count: u32) {
        self.came_home(class, zone, count);
        if !zone.own.listed.get() && zone.tally.come_back() {
            zone.own.listed.set(true);
            self.link(&self.lists[class], number);
        }
        if zone.own.out.get() == 0 {
            self.retire_if_empty(class, number, zone);
        }
    }
}

/// Sets bits of the owner's zone; those that were out before.
#[inline]
fn put_back(zone: &Unit, word: usize, bits: u64) -> u64 {
    let own = &zone.own;
    let before = zone.bits[word].get();
    let new = bits & !before & !never_out(zone, word);
    zone.bits[word].set(before | new);
    own.free.set(own.free.get() + new.count_ones());
    own.cursor.set(own.cursor.get().min(word as u32));
    new
}

/// The bits of a word whose chunks were never handed out. Owner only.
#[inline]
fn never_out(zone: &Unit, word: usize) -> u64 {
    match zone.own.fresh.get().saturating_sub(word as u32 * 64) {
        out @ 0..64 => u64::MAX << out,
        _ => 0,
    }
}

/// Says that chunks of a word, the bits of `wrong`, were freed that must not be.
#[cold]
fn refuse<E: Environment>(
    heap: &Heap<E>,
    number: u32,
    zone: &Unit,
    word: usize,
    mut wrong: u64,
    never: u64,
) {
    while wrong != 0 {
        let size = TABLE[zone.tag().class()].size as usize;
        let chunk = word * 64 + wrong.trailing_zeros() as usize;
        let address = first_chunk(heap, number, zone).addr() + chunk * size;
        let misuse = match wrong & wrong.wrapping_neg() & never {
            0 => Misuse::Double,
            _ => Misuse::Wild,
        };
        heap.refuse(misuse, address);
        wrong &= wrong - 1;
    }
}
