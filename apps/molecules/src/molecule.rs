//! Molecules: points with a velocity, in a box that goes on at its other side.

use crate::force::Force;

/// How wide the box is.
pub const BOX: f64 = 12.0;
/// How long a step is.
const STEP: f64 = 0.002;

/// A molecule, of mass 1.
#[derive(Clone, Debug, PartialEq)]
pub struct Molecule {
    /// Where it is.
    pub place: [f64; 3],
    velocity: [f64; 3],
}

impl Molecule {
    /// Moves it for one step under a force.
    pub fn advance(&mut self, force: Force) {
        let axes = self.place.iter_mut().zip(&mut self.velocity);
        for ((place, velocity), component) in axes.zip(force.components()) {
            *velocity += STEP * component;
            *place = (*place + STEP * *velocity).rem_euclid(BOX);
        }
    }

    /// All its numbers.
    pub fn numbers(&self) -> impl Iterator<Item = &f64> {
        self.place.iter().chain(&self.velocity)
    }
}

/// Molecules in rows, with velocities in any direction.
pub fn lattice(count: usize, seed: u64) -> Vec<Molecule> {
    let mut random = fastrand::Rng::with_seed(seed);
    let side = (1..).find(|side| side * side * side >= count).unwrap_or(1);
    let spacing = BOX / side as f64;
    let mut molecule = |number: usize| Molecule {
        place: [number % side, number / side % side, number / side / side]
            .map(|row| (row as f64 + 0.3 + 0.4 * random.f64()) * spacing),
        velocity: [(); 3].map(|()| random.f64() - 0.5),
    };
    (0..count).map(&mut molecule).collect()
}

/// The momentum of all together.
pub fn momentum(molecules: &[Molecule]) -> [f64; 3] {
    let add = |sum: [f64; 3], one: &Molecule| [0, 1, 2].map(|axis| sum[axis] + one.velocity[axis]);
    molecules.iter().fold([0.0; 3], add)
}

/// The energy of their movement.
pub fn kinetic_energy(molecules: &[Molecule]) -> f64 {
    let square = |one: &Molecule| one.velocity.iter().map(|speed| speed * speed).sum::<f64>();
    molecules.iter().map(square).sum::<f64>() / 2.0
}
