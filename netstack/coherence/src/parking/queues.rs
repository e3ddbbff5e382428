//! Threads that wait at a home, in the order in which they came, in memory that is taken once.

use super::place::{Place, Ticket};
use crate::ids::NodeId;
use alloc::vec::Vec;

/// What a thread waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    /// A wake-up.
    Wake,
    /// So many threads, itself among them, at a barrier.
    Barrier { parties: u32 },
}

/// A thread that waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Waiter {
    pub place: Place,
    pub node: NodeId,
    pub ticket: Ticket,
    pub kind: Kind,
}

/// There is no room for one more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Full;

/// Lists in one array, by the hash of their places.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Queues {
    lists: Vec<List>,
    slots: Vec<Slot>,
    free: Option<u32>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct List {
    first: Option<u32>,
    last: Option<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Slot {
    waiter: Option<Waiter>,
    next: Option<u32>,
}

impl Queues {
    /// Room for `most` threads.
    pub(super) fn new(most: u32) -> Self {
        let slots = (0..most).map(|index| Slot {
            waiter: None,
            next: (index + 1 < most).then_some(index + 1),
        });
        Self {
            lists: alloc::vec![List::default(); (most as usize).max(1)],
            slots: slots.collect(),
            free: (most > 0).then_some(0),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lists.iter().all(|list| list.first.is_none())
    }

    /// Adds a thread behind the others.
    pub(super) fn push(&mut self, waiter: Waiter) -> Result<(), Full> {
        let index = self.free.ok_or(Full)?;
        let slot = &mut self.slots[index as usize];
        self.free = slot.next.take();
        slot.waiter = Some(waiter);
        let bucket = waiter.place.bucket(self.lists.len());
        let list = &mut self.lists[bucket];
        match list.last.replace(index) {
            Some(last) => self.slots[last as usize].next = Some(index),
            None => list.first = Some(index),
        }
        Ok(())
    }

    /// Those that wait at a place, longest first, among others whose places share a list.
    pub(super) fn near(&self, place: Place) -> impl Iterator<Item = Waiter> {
        self.list(place.bucket(self.lists.len()))
    }

    /// All of them.
    pub(super) fn iter(&self) -> impl Iterator<Item = Waiter> {
        (0..self.lists.len()).flat_map(|bucket| self.list(bucket))
    }

    /// Takes out at most `most` of those that share a list with `place`, and puts them into `taken`.
    pub(super) fn take(
        &mut self,
        place: Place,
        most: usize,
        wanted: impl Fn(&Waiter) -> bool,
        taken: &mut Vec<Waiter>,
    ) {
        let bucket = place.bucket(self.lists.len());
        self.take_from(bucket, most, wanted, taken);
    }

    /// Takes out all that are wanted, wherever they wait.
    pub(super) fn take_all(&mut self, wanted: impl Fn(&Waiter) -> bool, taken: &mut Vec<Waiter>) {
        for bucket in 0..self.lists.len() {
            self.take_from(bucket, usize::MAX, &wanted, taken);
        }
    }

    fn list(&self, bucket: usize) -> impl Iterator<Item = Waiter> {
        let slot = |&index: &u32| self.slots[index as usize].next;
        let indices = core::iter::successors(self.lists[bucket].first, slot);
        indices.filter_map(|index| self.slots[index as usize].waiter)
    }

    fn take_from(
        &mut self,
        bucket: usize,
        most: usize,
        wanted: impl Fn(&Waiter) -> bool,
        taken: &mut Vec<Waiter>,
    ) {
        let (mut before, mut next, mut left) = (None, self.lists[bucket].first, most);
        while let Some(index) = next.filter(|_| left > 0) {
            let slot = self.slots[index as usize];
            next = slot.next;
            let Some(waiter) = slot.waiter.filter(|waiter| wanted(waiter)) else {
                before = Some(index);
                continue;
            };
            self.unlink(bucket, before, index);
            taken.push(waiter);
            left -= 1;
        }
    }

    fn unlink(&mut self, bucket: usize, before: Option<u32>, index: u32) {
        let next = self.slots[index as usize].next;
        let list = &mut self.lists[bucket];
        match before {
            Some(before) => self.slots[before as usize].next = next,
            None => list.first = next,
        }
        if list.last == Some(index) {
            list.last = before;
        }
        self.slots[index as usize] = Slot {
            waiter: None,
            next: self.free.replace(index),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::VecDeque;
    use proptest::prelude::*;

    fn waiter(place: u64, ticket: u32) -> Waiter {
        Waiter {
            place: Place(place),
            node: NodeId(0),
            ticket: Ticket(ticket),
            kind: Kind::Wake,
        }
    }

    proptest! {
        /// Against one plain queue: pushed, or taken from a place.
        #[test]
        fn each_place_is_a_queue(ops in proptest::collection::vec((0..4_u64, 0..5_usize), 0..80)) {
            let mut queues = Queues::new(6);
            let mut oracle: VecDeque<Waiter> = VecDeque::new();
            for (number, (place, take)) in ops.into_iter().enumerate() {
                if take < 2 {
                    let added = waiter(place, number as u32);
                    prop_assert_eq!(queues.push(added).is_ok(), oracle.len() < 6);
                    if oracle.len() < 6 {
                        oracle.push_back(added);
                    }
                    continue;
                }
                let mut taken = Vec::new();
                let here = |waiter: &Waiter| waiter.place == Place(place);
                queues.take(Place(place), take, here, &mut taken);
                let expected: Vec<Waiter> = oracle.iter().copied().filter(here).take(take).collect();
                prop_assert_eq!(&taken, &expected);
                oracle.retain(|waiter| !expected.contains(waiter));
                prop_assert_eq!(queues.iter().count(), oracle.len());
                prop_assert_eq!(queues.is_empty(), oracle.is_empty());
            }
        }
    }
}
