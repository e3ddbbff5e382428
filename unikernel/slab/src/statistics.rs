//! What a heap has and what it has done, in numbers.
//!
//! They are counted where something happens that takes many times as long, never when a
//! chunk is handed out from what is at hand.

use core::sync::atomic::Ordering;

use crate::class::{CLASSES, TABLE};
use crate::heap::Heap;
use crate::source::{Environment, PAGE};
use crate::unit::UNIT;

/// A class in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClassStatistics {
    /// Bytes of a chunk.
    pub size: usize,
    /// Zones of all owners.
    pub zones: usize,
    /// Chunks of these zones.
    pub chunks: usize,
    /// Chunks that are handed out; for a moment after they were freed elsewhere, those as well.
    pub in_use: usize,
    /// Free chunks at hand in owners' magazines.
    pub at_hand: usize,
}

/// A heap in numbers. While owners are at work, they are of slightly different moments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statistics {
    /// The classes.
    pub classes: [ClassStatistics; CLASSES],
    /// Bytes of runs of pages in use.
    pub run_bytes: usize,
    /// Bytes of committed pages, the bookkeeping's not counted.
    pub committed: usize,
    /// The most that these were.
    pub peak_committed: usize,
    /// Bytes of committed pages that belong to no zone and no run.
    pub idle: usize,
    /// Bytes of addresses that were ever used.
    pub reached: usize,
    /// Chunks freed by others than the owners of their zones.
    pub remote_frees: u64,
    /// How often an owner was told that such chunks wait for it.
    pub notifications: u64,
    /// Wrong frees that were noticed.
    pub refused: u64,
}

impl Statistics {
    /// Bytes that are handed out.
    pub fn in_use(&self) -> usize {
        let chunks: usize = self
            .classes
            .iter()
            .map(|class| class.in_use * class.size)
            .sum();
        chunks + self.run_bytes
    }

    /// Committed bytes that are not handed out.
    pub fn waste(&self) -> usize {
        self.committed.saturating_sub(self.in_use())
    }
}

impl<E: Environment> Heap<E> {
    /// The heap in numbers. Any context, a panic's included: takes no lock and no memory.
    pub fn statistics(&self) -> Statistics {
        let mut classes = [ClassStatistics::default(); CLASSES];
        let mut remote_frees = 0;
        for part in (0..self.owners()).filter_map(|owner| self.part(owner)) {
            let part = part.as_ptr();
            for (class, statistics) in classes.iter_mut().enumerate() {
                // SAFETY: the part is there for good; only atomics of it are borrowed.
                let (list, at_hand) = unsafe {
                    let list = &raw const (*part).lists[class];
                    let at_hand = crate::part::length_of(part, class).load(Ordering::Relaxed);
                    ((&(*list).zones, &(*list).out), at_hand as usize)
                };
                statistics.zones += list.0.load(Ordering::Relaxed) as usize;
                statistics.in_use += list.1.load(Ordering::Relaxed) as usize;
                statistics.at_hand += at_hand;
            }
            // SAFETY: as above.
            remote_frees += unsafe { &(*part).remote_frees }.load(Ordering::Relaxed);
        }
        for (statistics, class) in classes.iter_mut().zip(&TABLE) {
            statistics.size = class.size as usize;
            statistics.chunks = statistics.zones * usize::from(class.chunks);
            // All owners' zones take a chunk at hand as handed out.
            statistics.in_use = statistics.in_use.saturating_sub(statistics.at_hand);
        }
        Statistics {
            classes,
            run_bytes: self.run_pages.load(Ordering::Relaxed) * PAGE,
            committed: self.committed.now() * PAGE,
            peak_committed: self.committed.most() * PAGE,
            idle: self.idle_pages.load(Ordering::Relaxed) * PAGE,
            reached: self.reached.load(Ordering::Relaxed) as usize * UNIT,
            remote_frees,
            notifications: self.notifications.load(Ordering::Relaxed),
            refused: self.refused.load(Ordering::Relaxed),
        }
    }
}
