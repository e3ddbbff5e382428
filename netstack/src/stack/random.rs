//! What is random, and what must not be: all that a stack does follows from its seed and from
//! what it is told, so that a run can be repeated.

use foldhash::fast::FixedState;

/// A map whose order is the same in every run. Where others choose the keys and there may be
/// many, it is given a seed.
pub(super) type Map<K, V> = hashbrown::HashMap<K, V, FixedState>;

/// The same for a set.
pub(super) type Set<K> = hashbrown::HashSet<K, FixedState>;

/// A generator (SplitMix64). For numbers that are hard to guess, not for secrets.
pub(super) struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }
}
