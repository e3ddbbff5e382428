//! Chance, all of it from one seed.
//!
//! Everything that draws has a stream of its own: each thread, each link, each node, the
//! faults. So what is left out of a schedule does not change what the others draw, and a
//! failing schedule can be reduced part by part.

use std::ops::Range;

/// A stream of draws.
#[derive(Clone, Debug)]
pub struct Chance(fastrand::Rng);

/// What draws.
#[derive(Clone, Copy, Debug)]
pub enum Stream {
    /// The plan of an episode.
    Plan,
    /// The faults of an episode.
    Faults,
    /// What a thread does.
    Thread(u32),
    /// How long packets take from one node to another.
    Link(u16, u16),
    /// How long a node's CPUs take.
    Node(u16),
}

impl Chance {
    /// The stream of `stream` under a seed.
    #[must_use]
    pub fn new(seed: u64, stream: Stream) -> Self {
        let place = match stream {
            Stream::Plan => 0,
            Stream::Faults => 1,
            Stream::Thread(thread) => 1 << 32 | u64::from(thread),
            Stream::Link(from, to) => 2 << 32 | u64::from(from) << 16 | u64::from(to),
            Stream::Node(node) => 3 << 32 | u64::from(node),
        };
        Self(fastrand::Rng::with_seed(mixed(seed ^ mixed(place))))
    }

    /// A number of the range, which must not be empty.
    pub fn within(&mut self, range: Range<u64>) -> u64 {
        self.0.u64(range)
    }

    /// Whether something of this many in a hundred happens.
    pub fn percent(&mut self, percent: u32) -> bool {
        self.0.u32(0..100) < percent
    }

    /// One of these, which must not be none.
    pub fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.0.usize(0..all.len())]
    }

    /// One of these, each as often as its weight says; they must not all be 0.
    pub fn weighted<T: Copy>(&mut self, all: &[(u32, T)]) -> T {
        let sum: u32 = all.iter().map(|&(weight, _)| weight).sum();
        let mut left = self.0.u32(0..sum);
        let hit = all.iter().find(|&&(weight, _)| {
            let hit = left < weight;
            left = left.saturating_sub(weight);
            hit
        });
        hit.map_or(all[0].1, |&(_, one)| one)
    }
}

/// Spreads a number over all bits (the finalizer of SplitMix64: Steele, Lea and Flood, 2014).
fn mixed(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ mixed >> 31
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_differ_and_repeat() {
        let drawn = |seed, stream| Chance::new(seed, stream).within(0..u64::MAX);
        assert_eq!(drawn(1, Stream::Thread(3)), drawn(1, Stream::Thread(3)));
        assert_ne!(drawn(1, Stream::Thread(3)), drawn(1, Stream::Thread(4)));
        assert_ne!(drawn(1, Stream::Thread(3)), drawn(2, Stream::Thread(3)));
        assert_ne!(drawn(1, Stream::Link(0, 1)), drawn(1, Stream::Link(1, 0)));
    }

    #[test]
    fn weights_are_kept_to() {
        let mut chance = Chance::new(1, Stream::Plan);
        let drawn: Vec<char> = (0..4000)
            .map(|_| chance.weighted(&[(1, 'a'), (0, 'b'), (3, 'c')]))
            .collect();
        let count = |letter| drawn.iter().filter(|&&one| one == letter).count();
        assert!((800..1200).contains(&count('a')), "{}", count('a'));
        assert_eq!(count('b'), 0);
    }
}
