//! The force between two molecules, by Lennard and Jones.

use crate::molecule::BOX;

/// Units of force: so many are 1.
const UNITS: f64 = (1_u64 << 32) as f64;
/// Further apart, molecules do not feel each other.
const REACH: f64 = 2.5;
/// Nearer than this, the force does not grow any more.
const CORE: f64 = 0.8;

/// A force in whole units: sums of such are the same in any order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Force([i64; 3]);

impl Force {
    /// Adds another.
    pub fn add(&mut self, other: Self) {
        self.0.iter_mut().zip(other.0).for_each(|(a, b)| *a += b);
    }

    /// Adds the opposite of another.
    pub fn subtract(&mut self, other: Self) {
        self.0.iter_mut().zip(other.0).for_each(|(a, b)| *a -= b);
    }

    /// The components.
    pub fn components(self) -> [f64; 3] {
        self.0.map(|component| component as f64 / UNITS)
    }
}

/// The force of the molecule at `other` on the one at `place`. The box goes on at its other side.
pub fn between(place: [f64; 3], other: [f64; 3]) -> Force {
    let mut away = [0.0; 3];
    for (away, (a, b)) in away.iter_mut().zip(place.iter().zip(other)) {
        let straight = a - b;
        *away = match straight.abs() > BOX / 2.0 {
            true => straight - BOX.copysign(straight),
            false => straight,
        };
    }
    let square: f64 = away.iter().map(|component| component * component).sum();
    if square > REACH * REACH {
        return Force::default();
    }
    let inverse = 1.0 / square.max(CORE * CORE);
    let sixth = inverse * inverse * inverse;
    let strength = 24.0 * inverse * sixth * (2.0 * sixth - 1.0);
    Force(away.map(|component| (component * strength * UNITS) as i64))
}

#[cfg(test)]
mod tests {
    use super::{Force, between};
    use crate::molecule::BOX;

    #[test]
    fn is_opposite_for_the_other() {
        let (a, b) = ([1.0, 2.0, 3.0], [1.5, 1.25, 3.5]);
        let mut sum = between(a, b);
        assert_ne!(sum, Force::default());
        sum.add(between(b, a));
        assert_eq!(sum, Force::default());
    }

    #[test]
    fn repels_near_and_attracts_far() {
        let at = |distance| between([1.0 + distance, 1.0, 1.0], [1.0; 3]).components()[0];
        assert!(at(1.0) > 0.0 && at(1.5) < 0.0 && at(2.6) == 0.0);
        // Across the side of the box.
        assert!(between([0.5, 1.0, 1.0], [BOX - 0.5, 1.0, 1.0]).components()[0] > 0.0);
    }
}
