//! How a chunk that another CPU frees comes home: the protocol, apart from where it is
//! kept.
//!
//! A zone has a bit for each chunk, set by whoever frees it elsewhere, and a [`Tally`]. The
//! freeing CPU *publishes* first, by setting bits, then *checks*, by adding their number
//! to the tally: one operation, which also says whether the owner had taken the zone out of
//! its lists. If so, the first to add queues the zone in the owner's [`Inbox`]. As leaving
//! the lists and adding are both changes of the same word, each comes before or after
//! the other, and a zone cannot leave while something is in it.
//!
//! Adding is also the last thing that a freeing CPU does to a zone that it need not queue.
//! The owner may take bits before they have been counted, and hand the chunks out again; it
//! retires a zone when as many frees have been *counted* as chunks were handed out, when
//! therefore nobody is about to touch it. A zone on its way to the inbox has counted
//! frees that the owner does not know of, and so is not retired either.
//!
//! DragonFly's zones did it the other way round: they checked whether the owner listens,
//! then published. A zone that left the lists in between was stranded.

use crate::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// No zone.
pub const NONE: u32 = u32::MAX;

/// Set in a tally while the zone is not in its owner's lists.
const AWAY: u32 = 1 << 31;

/// The number of chunks freed elsewhere that the owner does not know of, and whether it
/// will look.
#[derive(Debug)]
pub struct Tally(AtomicU32);

impl Tally {
    /// Nothing freed, and in the owner's lists.
    #[cfg(loom)]
    pub fn new() -> Self {
        Self(AtomicU32::new(0))
    }

    /// Adds `count` frees, at least one, whose bits are set. Whether the caller has to queue
    /// the zone with its owner. Any CPU; unless it has to queue it, the zone may be gone now.
    #[inline]
    #[must_use = "the zone may have to be queued"]
    pub fn add(&self, count: u32) -> bool {
        self.0.fetch_add(count, Ordering::AcqRel) == AWAY
    }

    /// Whether there is something to take. Owner only.
    #[inline]
    pub fn is_some(&self) -> bool {
        self.0.load(Ordering::Relaxed) & !AWAY != 0
    }

    /// Whether the owner has left: what a CPU that frees must not ask first.
    #[cfg(loom)]
    pub fn is_away(&self) -> bool {
        self.0.load(Ordering::SeqCst) & AWAY != 0
    }

    /// Takes the count, and is in the lists from now on. The bits are to be taken
    /// after it. Owner only, of a zone that is in its lists or came by the inbox.
    #[inline]
    pub fn take(&self) -> u32 {
        self.0.swap(0, Ordering::Acquire) & !AWAY
    }

    /// Leaves the lists, unless something was freed meanwhile. Owner only.
    #[inline]
    pub fn leave(&self) -> bool {
        self.0
            .compare_exchange(0, AWAY, Ordering::AcqRel, Ordering::Relaxed)
            .is_ok()
    }

    /// Comes back to the lists without having been queued; not if it is being queued.
    /// Owner only, of a zone that has left.
    #[inline]
    pub fn come_back(&self) -> bool {
        self.0
            .compare_exchange(AWAY, 0, Ordering::AcqRel, Ordering::Relaxed)
            .is_ok()
    }
}

/// Sets `bits`; which of them were not set before. Any CPU.
#[inline]
pub fn publish(word: &AtomicU64, bits: u64) -> u64 {
    bits & !word.fetch_or(bits, Ordering::Release)
}

/// Takes all bits. Owner only.
#[inline]
pub fn take(word: &AtomicU64) -> u64 {
    match word.load(Ordering::Relaxed) {
        0 => 0,
        _ => word.swap(0, Ordering::Acquire),
    }
}

/// Zones that had left their owner's lists when something was freed in them: a stack.
/// Numbers are kept inverted, so that memory of zeros is an empty one.
#[derive(Debug)]
pub struct Inbox(AtomicU32);

impl Inbox {
    /// An empty one.
    #[cfg(loom)]
    pub fn new() -> Self {
        Self(AtomicU32::new(!NONE))
    }

    /// Queues `zone`, whose link is `link`. Whether the inbox was empty, and the owner
    /// is to be told. Any CPU.
    pub fn push(&self, zone: u32, link: &AtomicU32) -> bool {
        let mut first = self.0.load(Ordering::Relaxed);
        loop {
            link.store(!first, Ordering::Relaxed);
            let pushed =
                self.0
                    .compare_exchange_weak(first, !zone, Ordering::AcqRel, Ordering::Relaxed);
            match pushed {
                Ok(_) => return first == !NONE,
                Err(now) => first = now,
            }
        }
    }

    /// Takes all; the first, whose link leads to the next. Owner only.
    pub fn take(&self) -> u32 {
        // Most often there is nothing, which needs no write.
        match self.0.load(Ordering::Relaxed) == !NONE {
            true => NONE,
            false => !self.0.swap(!NONE, Ordering::Acquire),
        }
    }
}
