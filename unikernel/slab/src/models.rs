//! What loom tries in all orders: chunks freed by other CPUs, against the owner who takes
//! the last chunk, takes what was freed, and gives the zone up.

use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::thread;

use crate::remote::{self, Inbox, NONE, Tally};
use crate::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// A zone of up to three chunks, and its owner's inbox.
struct Zone {
    tally: Tally,
    bits: AtomicU64,
    link: AtomicU32,
    inbox: Inbox,
    /// What the chunks hold. Loom fails the model when uses are not one after the other.
    chunks: [UnsafeCell<u32>; 3],
    /// Read by who uses the zone, written when it is given up.
    bookkeeping: UnsafeCell<()>,
    notified: AtomicU32,
}

/// The number of the only zone.
const ZONE: u32 = 7;

impl Zone {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            tally: Tally::new(),
            bits: AtomicU64::new(0),
            link: AtomicU32::new(NONE),
            inbox: Inbox::new(),
            chunks: [0; 3].map(UnsafeCell::new),
            bookkeeping: UnsafeCell::new(()),
            notified: AtomicU32::new(0),
        })
    }

    fn touch(&self) {
        self.bookkeeping.with(|_| ());
    }

    fn write(&self, chunk: usize) {
        // SAFETY: loom checks that nobody else uses it.
        self.chunks[chunk].with_mut(|content| unsafe { *content += 1 });
    }

    fn queue(&self) {
        if self.inbox.push(ZONE, &self.link) {
            self.notified.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// How another CPU frees a chunk.
type Free = fn(&Zone, usize);

/// As the allocator does.
fn publish_then_check(zone: &Zone, chunk: usize) {
    zone.write(chunk);
    assert_ne!(remote::publish(&zone.bits, 1 << chunk), 0);
    zone.touch();
    if zone.tally.add(1) {
        zone.touch();
        zone.queue();
    }
}

/// As DragonFly does.
fn check_then_publish(zone: &Zone, chunk: usize) {
    zone.write(chunk);
    let away = zone.tally.is_away();
    let first = remote::publish(&zone.bits, 1 << chunk) != 0 && !zone.tally.is_some();
    // What it says now is what DragonFly's zones do not ask.
    let _ = zone.tally.add(1);
    if away && first {
        zone.queue();
    }
}

/// The owner, who starts with `out` chunks not home.
struct Owner {
    zone: Arc<Zone>,
    out: u32,
    free: u64,
    listed: bool,
    retired: bool,
}

impl Owner {
    fn new(zone: Arc<Zone>, out: u32) -> Self {
        Self {
            zone,
            out,
            free: 0,
            listed: true,
            retired: false,
        }
    }

    fn drain(&mut self) {
        self.out -= self.zone.tally.take();
        self.free |= remote::take(&self.zone.bits);
    }

    /// Finds the zone to have no free chunk.
    fn exhaust(&mut self) {
        while self.listed && self.free == 0 {
            if self.zone.tally.is_some() || !self.zone.tally.leave() {
                self.drain();
                // Chunks may have been seen before they were counted.
                if self.free == 0 {
                    thread::yield_now();
                }
            } else {
                self.listed = false;
            }
        }
    }

    /// Uses a free chunk, if there is one, which is out again then.
    fn reuse(&mut self) -> Option<usize> {
        let chunk = (self.free != 0).then(|| self.free.trailing_zeros() as usize)?;
        self.free &= self.free - 1;
        self.out += 1;
        self.zone.write(chunk);
        Some(chunk)
    }

    /// Frees a chunk of its own.
    fn put_back(&mut self, chunk: usize) {
        assert_eq!(self.free & 1 << chunk, 0);
        self.free |= 1 << chunk;
        self.out -= 1;
        if !self.listed && self.zone.tally.come_back() {
            self.listed = true;
        }
        self.retire();
    }

    fn collect(&mut self) {
        if self.zone.inbox.take() == ZONE {
            assert!(!self.listed, "queued, but in the lists");
            assert_eq!(self.zone.link.load(Ordering::Relaxed), NONE);
            self.drain();
            self.listed = true;
        }
        self.retire();
    }

    /// Gives the zone up if nothing is out.
    fn retire(&mut self) {
        if self.out == 0 && self.listed && !self.retired {
            self.zone.bookkeeping.with_mut(|_| ());
            self.retired = true;
        }
    }

    /// All others have ended: all chunks are found, and the zone can be given up.
    fn end(mut self) {
        if !self.retired {
            self.collect();
        }
        if self.listed && !self.retired {
            self.drain();
            self.retire();
        }
        assert!(self.retired, "the zone is stranded");
    }
}

fn model(body: impl Fn() + Sync + Send + 'static) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(4);
    model.check(body);
}

/// `frees` in a thread each, while `own` does what the owner does.
fn against(free: Free, frees: &'static [&'static [usize]], out: u32, own: fn(&mut Owner)) {
    model(move || {
        let zone = Zone::new();
        let threads: Vec<_> = frees
            .iter()
            .map(|chunks| {
                let zone = zone.clone();
                thread::spawn(move || {
                    for &chunk in *chunks {
                        free(&zone, chunk);
                    }
                })
            })
            .collect();
        let mut owner = Owner::new(zone, out);
        own(&mut owner);
        for thread in threads {
            thread.join().unwrap();
        }
        owner.end();
    });
}

#[test]
fn the_last_chunk_is_taken_while_another_is_freed() {
    against(publish_then_check, &[&[0]], 1, Owner::exhaust);
}

#[test]
fn the_last_chunk_is_taken_while_two_are_freed() {
    against(publish_then_check, &[&[0], &[1]], 2, |owner| {
        owner.exhaust();
        owner.collect();
    });
}

#[test]
fn one_frees_several() {
    against(publish_then_check, &[&[0, 1]], 2, |owner| {
        owner.exhaust();
        owner.collect();
        owner.exhaust();
    });
}

#[test]
fn chunks_are_used_again_before_they_are_counted() {
    against(publish_then_check, &[&[0], &[1]], 2, |owner| {
        owner.drain();
        if let Some(chunk) = owner.reuse() {
            owner.drain();
            owner.put_back(chunk);
        }
        if !owner.retired {
            owner.collect();
        }
    });
}

#[test]
fn the_owner_frees_into_a_zone_that_has_left() {
    against(publish_then_check, &[&[0], &[1]], 3, |owner| {
        owner.exhaust();
        owner.put_back(2);
        if !owner.retired {
            owner.collect();
        }
    });
}

#[test]
fn an_owner_is_notified_if_the_zone_has_left() {
    model(|| {
        let zone = Zone::new();
        let mut owner = Owner::new(zone.clone(), 2);
        owner.exhaust();
        let others = [0, 1].map(|chunk| {
            let zone = zone.clone();
            thread::spawn(move || publish_then_check(&zone, chunk))
        });
        for other in others {
            other.join().unwrap();
        }
        assert_eq!(zone.notified.load(Ordering::Relaxed), 1);
        owner.end();
    });
}

/// DragonFly's order strands zones; this keeps it out.
#[test]
#[should_panic(expected = "stranded")]
fn checking_before_publishing_strands_the_zone() {
    against(check_then_publish, &[&[0]], 1, Owner::exhaust);
}

/// Why frees are counted: a zone whose bits are all there may still be in use.
#[test]
#[should_panic(expected = "bookkeeping of a zone in use")]
fn retiring_by_bits_is_too_early() {
    model(|| {
        let zone = Zone::new();
        let other = {
            let zone = zone.clone();
            thread::spawn(move || {
                zone.write(0);
                remote::publish(&zone.bits, 1);
                zone.notified.load(Ordering::Relaxed);
                let retired = zone.link.load(Ordering::Relaxed) != NONE;
                assert!(!retired, "bookkeeping of a zone in use");
                let _ = zone.tally.add(1);
            })
        };
        if remote::take(&zone.bits) == 1 {
            zone.link.store(0, Ordering::Relaxed);
        }
        other.join().unwrap();
    });
}

#[test]
fn an_inbox_loses_no_zone() {
    model(|| {
        let inbox = Arc::new((Inbox::new(), [(); 3].map(|()| AtomicU32::new(NONE))));
        let others = [0, 1].map(|first| {
            let inbox = inbox.clone();
            thread::spawn(move || {
                inbox.0.push(first, &inbox.1[first as usize]);
                if first == 0 {
                    inbox.0.push(2, &inbox.1[2]);
                }
            })
        });
        let mut found = 0_u32;
        let mut take = || {
            let mut zone = inbox.0.take();
            while zone != NONE {
                assert_eq!(found & 1 << zone, 0, "found twice");
                found |= 1 << zone;
                zone = inbox.1[zone as usize].load(Ordering::Relaxed);
            }
        };
        take();
        for other in others {
            other.join().unwrap();
        }
        take();
        assert_eq!(found, 0b111);
    });
}
