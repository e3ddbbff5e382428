//! A grid of numbers that threads read and write at the same time.

use std::sync::atomic::{AtomicU64, Ordering};

/// A square grid. Its cells are atomic, so that threads may share it without a lock; loads and
/// stores that are only `Relaxed` cost what plain ones do. What orders them is the barrier between
/// the phases.
pub struct Grid {
    size: usize,
    cells: Vec<AtomicU64>,
}

/// The colour of a cell, as on a chess board: all neighbours of one have the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colour {
    /// Row and column together are even.
    Red,
    /// They are odd.
    Black,
}

impl Grid {
    /// A grid of random numbers from 0 to 1.
    pub fn random(size: usize, random: &mut fastrand::Rng) -> Self {
        let cell = |_| AtomicU64::new(random.f64().to_bits());
        Self {
            size,
            cells: (0..size * size).map(cell).collect(),
        }
    }

    /// The rows that are not at the edge.
    pub fn inner_rows(&self) -> usize {
        self.size - 2
    }

    /// All cells, row after row.
    pub fn cells(&self) -> Vec<f64> {
        (0..self.size * self.size).map(|at| self.get(at)).collect()
    }

    /// Brings the cells of one colour in a row nearer to the mean of their neighbours, and past it by
    /// `omega` - 1. By how much the cell changed that changed most.
    pub fn relax(&self, row: usize, colour: Colour, omega: f64) -> f64 {
        let mut most = 0.0_f64;
        let start = 1 + (row + 1 + colour as usize) % 2;
        for column in (start..self.size - 1).step_by(2) {
            let at = row * self.size + column;
            let (left, right) = (self.get(at - 1), self.get(at + 1));
            let (above, below) = (self.get(at - self.size), self.get(at + self.size));
            let change = omega * ((left + right + above + below) / 4.0 - self.get(at));
            self.set(at, self.get(at) + change);
            most = most.max(change.abs());
        }
        most
    }

    fn get(&self, at: usize) -> f64 {
        f64::from_bits(self.cells[at].load(Ordering::Relaxed))
    }

    fn set(&self, at: usize, value: f64) {
        self.cells[at].store(value.to_bits(), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::{Colour, Grid};

    #[test]
    fn a_row_of_one_colour_changes_and_nothing_else() {
        let size = 9;
        let grid = Grid::random(size, &mut fastrand::Rng::with_seed(3));
        for (row, colour) in [(3, Colour::Red), (3, Colour::Black), (4, Colour::Red)] {
            let before = grid.cells();
            assert!(grid.relax(row, colour, 1.5) > 0.0);
            for (at, (old, new)) in before.iter().zip(grid.cells()).enumerate() {
                let is_edge = at % size == 0 || at % size == size - 1;
                let is_colour = (at / size + at % size) % 2 == colour as usize;
                let may_change = at / size == row && !is_edge && is_colour;
                assert_eq!(*old != new, may_change, "{row} {colour:?} {at}");
            }
        }
    }
}
