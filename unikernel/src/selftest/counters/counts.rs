//! The counters that are updated.

use super::shape::Shape;

/// Counters that belong together: each update changes all of them, so none of them
/// could be kept by one atomic operation of its own.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq)]
pub struct Counts {
    updates: u64,
    sum: u64,
    parity: u64,
    largest: u64,
}

impl Counts {
    /// Counts `value`, after it has been stirred as often as the shape says: each time
    /// is nine instructions. The order of updates makes no difference to the counters.
    #[inline(always)]
    pub fn update<S: Shape>(&mut self, value: u64) {
        let mut stirred = value;
        for _ in 0..S::STIRS {
            // Marsaglia, "Xorshift RNGs" (2003): a bijection, so no value gets lost.
            stirred ^= stirred << 13;
            stirred ^= stirred >> 7;
            stirred ^= stirred << 17;
        }
        self.updates += 1;
        self.sum = self.sum.wrapping_add(stirred);
        self.parity ^= stirred;
        self.largest = self.largest.max(stirred);
    }

    /// Counts all that `other` has counted.
    pub fn add(&mut self, other: &Self) {
        self.updates += other.updates;
        self.sum = self.sum.wrapping_add(other.sum);
        self.parity ^= other.parity;
        self.largest = self.largest.max(other.largest);
    }
}

/// Something of a CPU or a lock, in cache lines of its own.
#[derive(Default)]
#[repr(align(128))]
pub struct Apart<T>(pub T);
