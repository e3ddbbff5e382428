//! Gaussian pairs, by Marsaglia's polar method, and the count of where they fall.

use std::fmt;

use crate::random::Random;

/// Rings that are counted.
const RINGS: usize = 10;

/// What became of pairs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tally {
    /// Sum of the first numbers of the pairs.
    pub x: f64,
    /// Sum of the second.
    pub y: f64,
    /// How many have their larger coordinate between n and n + 1.
    pub rings: [u64; RINGS],
}

impl Tally {
    /// Of `count` pairs of uniform numbers, those behind the first `before` pairs.
    pub fn of(seed: u64, before: u64, count: u64) -> Self {
        let mut random = Random::at(seed, 2 * before);
        let mut tally = Self::default();
        for _ in 0..count {
            let (u, v) = (2.0 * random.next() - 1.0, 2.0 * random.next() - 1.0);
            let square = u * u + v * v;
            // Outside of the circle no direction would be as likely as another.
            if square <= 1.0 {
                let stretch = (-2.0 * square.ln() / square).sqrt();
                tally.add(u * stretch, v * stretch);
            }
        }
        tally
    }

    fn add(&mut self, x: f64, y: f64) {
        self.x += x;
        self.y += y;
        let ring = x.abs().max(y.abs()) as usize;
        // None of this generator's numbers is so unlikely as to lie further out.
        self.rings[ring.min(RINGS - 1)] += 1;
    }

    /// This and what comes after it.
    pub fn and(mut self, next: Self) -> Self {
        self.x += next.x;
        self.y += next.y;
        for (ring, more) in self.rings.iter_mut().zip(next.rings) {
            *ring += more;
        }
        self
    }

    /// How many pairs lay inside of the circle.
    pub fn accepted(&self) -> u64 {
        self.rings.iter().sum()
    }
}

/// Nine digits of the sums: logarithms may differ in the sixteenth from one library to the next.
impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} pairs, sums {:.8e} {:.8e}",
            self.accepted(),
            self.x,
            self.y
        )?;
        for (ring, count) in self.rings.iter().enumerate() {
            writeln!(f, "{ring:>2} {count:>12}")?;
        }
        Ok(())
    }
}
