//! What happens most often, counted in a fixed amount of memory.
//!
//! This is *space-saving* (Metwally, Agrawal, El Abbadi, "Efficient computation of frequent and
//! top-k elements in data streams", 2005). There are so many places. What has none takes the place
//! of what was counted least, and its count with it: so a count is never too low, and by how much it may
//! be too high is known. What makes up more than one part in `PLACES` of all surely has a place.

/// What was counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    /// What it is.
    pub key: u64,
    /// How often it happened, at most.
    pub count: u64,
    /// So many of these may have been others.
    pub error: u64,
    /// What was said of it the last time.
    pub last: u64,
}

/// The keys that were noted most often.
#[derive(Clone, Debug)]
pub struct TopK<const PLACES: usize> {
    entries: [Entry; PLACES],
    used: usize,
}

impl<const PLACES: usize> Default for TopK<PLACES> {
    fn default() -> Self {
        Self {
            entries: [Entry::default(); PLACES],
            used: 0,
        }
    }
}

impl<const PLACES: usize> TopK<PLACES> {
    /// It has happened once; `last` is what there is to say of this time.
    pub fn note(&mut self, key: u64, last: u64) {
        let used = &mut self.entries[..self.used];
        if let Some(entry) = used.iter_mut().find(|entry| entry.key == key) {
            entry.count += 1;
            entry.last = last;
            return;
        }
        let new = |error: u64| Entry {
            key,
            count: error + 1,
            error,
            last,
        };
        if let Some(free) = self.entries.get_mut(self.used) {
            *free = new(0);
            self.used += 1;
        } else if let Some(least) = self.entries.iter_mut().min_by_key(|entry| entry.count) {
            *least = new(least.count);
        }
    }

    /// All that have a place, what was counted most first; everything is forgotten.
    pub fn take(&mut self) -> &[Entry] {
        let used = &mut self.entries[..core::mem::take(&mut self.used)];
        used.sort_unstable_by_key(|entry| core::cmp::Reverse(entry.count));
        used
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::collections::HashMap;
    use std::vec::Vec;

    use proptest::prelude::*;

    use super::{Entry, TopK};

    #[test]
    fn what_fits_is_counted_exactly() {
        let mut top = TopK::<3>::default();
        for (key, last) in [(7, 1), (8, 2), (7, 3), (9, 4), (7, 5), (9, 6)] {
            top.note(key, last);
        }
        let entry = |key, count, last| Entry {
            key,
            count,
            error: 0,
            last,
        };
        assert_eq!(top.take(), [entry(7, 3, 5), entry(9, 2, 6), entry(8, 1, 2)]);
        assert_eq!(top.take(), []);
        top.note(8, 9);
        assert_eq!(top.take(), [entry(8, 1, 9)]);
    }

    #[test]
    fn without_a_place_nothing_is_counted() {
        let mut top = TopK::<0>::default();
        top.note(1, 1);
        assert_eq!(top.take(), []);
    }

    /// Some keys often, and many seldom.
    fn stream() -> impl Strategy<Value = Vec<u64>> {
        let key = prop_oneof![0..4_u64, 0..12_u64, 0..500_u64];
        proptest::collection::vec(key, 0..2000)
    }

    proptest! {
        #[test]
        fn counts_are_not_too_low_and_known_to_their_errors(keys in stream()) {
            const PLACES: usize = 8;
            let mut top = TopK::<PLACES>::default();
            let mut truth: HashMap<u64, (u64, u64)> = HashMap::new();
            for (place, &key) in keys.iter().enumerate() {
                top.note(key, place as u64);
                let (count, last) = truth.entry(key).or_default();
                *count += 1;
                *last = place as u64;
            }
            let entries = top.take();
            prop_assert!(entries.is_sorted_by(|a, b| a.count >= b.count));
            prop_assert_eq!(entries.len(), truth.len().min(PLACES));
            for entry in entries {
                let (count, last) = truth[&entry.key];
                prop_assert!(entry.count >= count && entry.count - entry.error <= count);
                prop_assert_eq!(entry.last, last);
                prop_assert!(entry.error <= keys.len() as u64 / PLACES as u64);
            }
            // Each note has raised one count by one.
            prop_assert_eq!(entries.iter().map(|entry| entry.count).sum::<u64>(), keys.len() as u64);
            for (key, (count, _)) in truth {
                let is_there = entries.iter().any(|entry| entry.key == key);
                prop_assert!(is_there || count <= keys.len() as u64 / PLACES as u64);
            }
        }
    }
}
