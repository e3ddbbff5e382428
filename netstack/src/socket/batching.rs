//! When a datagram may wait for others to go with.
//!
//! To wake the protocol thread and to tell a card of a frame takes many times as long as to
//! send a datagram. A card that still has earlier frames gains nothing by being told of
//! another at once; so while it has, programs only put their datagrams, and the protocol thread
//! takes them all when the card interrupts to say that it has got on. A datagram that finds
//! the card with nothing to do leaves at once.
//!
//! The protocol thread alone says which interfaces are busy, and only those whose cards will
//! interrupt: so whoever waits is never forgotten.

use crate::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};

/// What programs and the protocol thread know of waiting datagrams, of all sockets.
pub struct Batching {
    /// The interfaces whose cards have several frames and will interrupt, a bit each.
    busy: AtomicU64,
    /// A program has thought of waiting since the protocol thread looked last.
    is_waiting: AtomicBool,
}

/// The interface by which a socket has sent last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Way(u8);

impl Way {
    /// None that is ever busy.
    pub const NONE: Self = Self(u8::MAX);

    pub(crate) fn of(netif: usize) -> Self {
        u8::try_from(netif).map_or(Self::NONE, Self)
    }

    pub(crate) fn from_number(number: u8) -> Self {
        Self(number)
    }

    pub(crate) fn number(self) -> u8 {
        self.0
    }

    pub(crate) fn bit(self) -> u64 {
        1_u64.checked_shl(self.0.into()).unwrap_or(0)
    }
}

impl Default for Batching {
    fn default() -> Self {
        Self {
            busy: AtomicU64::new(0),
            is_waiting: AtomicBool::new(false),
        }
    }
}

impl Batching {
    /// Whether the protocol thread need not be woken for a datagram that goes that way. To be
    /// asked when the datagram and the request to attend to it are where that thread will find
    /// them.
    #[must_use]
    pub fn may_wait(&self, way: Way) -> bool {
        // Both sides change one word and then look at the other's, so that one of them sees
        // what the other has done.
        self.is_waiting.swap(true, Ordering::AcqRel);
        fence(Ordering::SeqCst);
        self.busy.load(Ordering::Relaxed) & way.bit() != 0
    }

    /// Whether a datagram waits. Who has nothing else to do may wake the protocol thread for
    /// it.
    pub fn is_waiting(&self) -> bool {
        self.is_waiting.load(Ordering::Relaxed)
    }

    /// The protocol thread is about to look at what it has been asked.
    pub fn looks(&self) {
        // What was put before this was set is seen.
        self.is_waiting.swap(false, Ordering::AcqRel);
    }

    /// The protocol thread has looked, and these interfaces' cards are busy. True: it has to
    /// look again, as somebody has waited for one that is not any more.
    #[must_use]
    pub(crate) fn set_busy(&self, busy: u64) -> bool {
        let before = self.busy.load(Ordering::Relaxed);
        if before == busy {
            return false;
        }
        self.busy.store(busy, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        before & !busy != 0 && self.is_waiting.load(Ordering::Relaxed)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn only_what_goes_by_a_busy_card_waits() {
        let batching = Batching::default();
        let (one, other) = (Way::of(1), Way::of(2));
        assert!(!batching.may_wait(one));
        batching.looks();
        assert!(!batching.set_busy(one.bit()));
        assert!(!batching.is_waiting());
        assert!(batching.may_wait(one) && !batching.may_wait(other));
        assert!(!batching.may_wait(Way::NONE) && !batching.may_wait(Way::of(200)));
        assert!(batching.is_waiting());
        // The card is done, and somebody has waited for it.
        assert!(batching.set_busy(0));
        assert!(!batching.may_wait(one));
    }
}

#[cfg(all(test, loom))]
mod models {
    use loom::sync::Arc;
    use loom::sync::atomic::AtomicUsize;
    use loom::thread;

    use super::*;

    /// What the two sides share: requests that have been put, and whether the protocol thread
    /// has been woken.
    #[derive(Default)]
    struct World {
        batching: Batching,
        put: AtomicUsize,
        woken: AtomicBool,
    }

    impl World {
        fn send(&self) {
            self.put.fetch_add(1, Ordering::Release);
            if !self.batching.may_wait(Way::of(1)) {
                self.woken.store(true, Ordering::Release);
            }
        }

        /// A turn of the protocol thread: takes what was put, then says whether the card is
        /// busy. Whether it has to look again.
        fn turn(&self, taken: &mut usize, busy: u64) -> bool {
            self.batching.looks();
            *taken += self.put.swap(0, Ordering::Acquire);
            self.batching.set_busy(busy)
        }
    }

    #[test]
    fn no_datagram_is_left_when_the_card_has_become_idle() {
        loom::model(|| {
            let world = Arc::new(World::default());
            assert!(!world.batching.set_busy(Way::of(1).bit()));
            let program = {
                let world = world.clone();
                thread::spawn(move || {
                    world.send();
                    world.send();
                })
            };
            let mut taken = 0;
            // The card has interrupted, and has nothing more to do.
            while world.turn(&mut taken, 0) {}
            program.join().unwrap();
            if world.woken.swap(false, Ordering::Acquire) {
                while world.turn(&mut taken, 0) {}
            }
            assert_eq!(taken, 2);
        });
    }

    #[test]
    fn what_waits_for_a_busy_card_is_found_when_that_interrupts() {
        loom::model(|| {
            let world = Arc::new(World::default());
            let program = {
                let world = world.clone();
                thread::spawn(move || world.send())
            };
            let mut taken = 0;
            let again = world.turn(&mut taken, Way::of(1).bit());
            assert!(!again, "nothing was busy before");
            program.join().unwrap();
            let is_woken = world.woken.load(Ordering::Acquire);
            assert!(taken == 1 || is_woken || world.batching.is_waiting());
            while world.turn(&mut taken, 0) {}
            assert_eq!(taken, 1);
        });
    }
}
