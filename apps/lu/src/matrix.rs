//! A matrix of blocks.

use std::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};

/// The numbers of a block, row after row.
pub type Block = Vec<f64>;

/// A square matrix of square blocks.
pub struct Matrix {
    /// Rows and columns of blocks.
    pub blocks: usize,
    /// Rows and columns of a block.
    pub side: usize,
    content: Vec<RwLock<Block>>,
}

impl Matrix {
    /// Random numbers, the largest of which are on the diagonal: so no rows have to be exchanged.
    pub fn random(blocks: usize, side: usize, random: &mut fastrand::Rng) -> Self {
        let rows = blocks * side;
        let mut block = |at: usize| {
            let is_diagonal = at / blocks == at % blocks;
            let mut numbers: Block = (0..side * side).map(|_| random.f64() - 0.5).collect();
            for row in (0..side).filter(|_| is_diagonal) {
                numbers[row * side + row] += rows as f64;
            }
            RwLock::new(numbers)
        };
        Self {
            blocks,
            side,
            content: (0..blocks * blocks).map(&mut block).collect(),
        }
    }

    /// The thread that computes a block. Threads are laid over the blocks as a rectangle, over and
    /// over, so that all have something to do to the end.
    pub fn owner(&self, row: usize, column: usize, threads: usize) -> usize {
        let mut high = threads.isqrt();
        while !threads.is_multiple_of(high) {
            high -= 1;
        }
        let wide = threads / high;
        row % high * wide + column % wide
    }

    /// A block, to read.
    pub fn read(&self, row: usize, column: usize) -> RwLockReadGuard<'_, Block> {
        let block = &self.content[row * self.blocks + column];
        block.read().expect("no thread panics")
    }

    /// A block, to write.
    pub fn write(&self, row: usize, column: usize) -> RwLockWriteGuard<'_, Block> {
        let block = &self.content[row * self.blocks + column];
        block.write().expect("no thread panics")
    }

    /// All rows.
    pub fn rows(&self) -> Vec<Vec<f64>> {
        let row = |row: usize| {
            let part = |column| {
                let start = row % self.side * self.side;
                self.read(row / self.side, column)[start..start + self.side].to_vec()
            };
            (0..self.blocks).flat_map(part).collect()
        };
        (0..self.blocks * self.side).map(row).collect()
    }
}

/// How far the product of both triangles, applied to a vector, is from the original's, relative to
/// the original's.
pub fn error(factors: &[Vec<f64>], original: &[Vec<f64>]) -> f64 {
    let dot = |a: &[f64], b: &[f64]| -> f64 { a.iter().zip(b).map(|(a, b)| a * b).sum() };
    let vector: Vec<f64> = (0..factors.len()).map(|at| 1.0 + (at % 7) as f64).collect();
    let upper: Vec<f64> = (0..)
        .zip(factors)
        .map(|(at, row)| dot(&row[at..], &vector[at..]))
        .collect();
    // The lower triangle's diagonal is all ones, which are not stored.
    let product = (0..)
        .zip(factors)
        .map(|(at, row)| dot(&row[..at], &upper) + upper[at]);
    let expected: Vec<f64> = original.iter().map(|row| dot(row, &vector)).collect();
    let largest = expected
        .iter()
        .fold(0.0_f64, |most, value| most.max(value.abs()));
    let off = product
        .zip(&expected)
        .map(|(found, expected)| (found - expected).abs());
    off.fold(0.0, f64::max) / largest
}
