//! Red-black successive over-relaxation on a grid, by bands of rows.
//!
//! Red and black elements are arrays of their own, so that a row of one colour is read while the other is written.

use super::{Program, random, same};
use crate::cpu::{Cpu, sharer};
use crate::engine::Memory;
use crate::shared::{Array, Layout};

/// The program.
pub struct Sor {
    rows: usize,
    /// Elements of one colour in a row.
    half: usize,
    iterations: usize,
    colours: [Array<f32>; 2],
    layout: Layout,
}

impl Sor {
    /// A grid of `rows` by `columns`, relaxed `iterations` times.
    #[must_use]
    pub fn new(nodes: usize, rows: usize, columns: usize, iterations: usize) -> Self {
        let mut layout = Layout::default();
        let half = columns / 2;
        let home = |word: usize| sharer(rows, word / half, nodes);
        let colours = [0, 1].map(|_| layout.array(rows * half, home));
        Self {
            rows,
            half,
            iterations,
            colours,
            layout,
        }
    }

    fn initial(&self, colour: usize, row: usize) -> Vec<f32> {
        let at = |column| ((colour * self.rows + row) * self.half + column) as u64;
        (0..self.half)
            .map(|column| random::unit(1, at(column)) as f32)
            .collect()
    }

    /// A row of one colour anew, from the rows of the other above, beside and below it.
    fn relaxed(
        &self,
        colour: usize,
        row: usize,
        above: &[f32],
        beside: &[f32],
        below: &[f32],
    ) -> Vec<f32> {
        let shifted = (row + colour) % 2 == 1;
        let last = self.half - 1;
        (0..self.half)
            .map(|at| {
                let next = if shifted {
                    beside[(at + 1).min(last)]
                } else {
                    beside[at.saturating_sub(1)]
                };
                (above[at] + below[at] + beside[at] + next) / 4.0
            })
            .collect()
    }

    /// Rows above and below; the first and last row have themselves instead.
    fn neighbours(&self, row: usize) -> (usize, usize) {
        (row.saturating_sub(1), (row + 1).min(self.rows - 1))
    }

    fn sequential(&self) -> [Vec<Vec<f32>>; 2] {
        let mut grid = [0, 1].map(|colour| {
            (0..self.rows)
                .map(|row| self.initial(colour, row))
                .collect::<Vec<_>>()
        });
        for step in 0..2 * self.iterations {
            let colour = step % 2;
            for row in 0..self.rows {
                let (above, below) = self.neighbours(row);
                let other = &grid[1 - colour];
                grid[colour][row] =
                    self.relaxed(colour, row, &other[above], &other[row], &other[below]);
            }
        }
        grid
    }
}

impl Program for Sor {
    const NAME: &'static str = "sor";

    fn input(&self) -> String {
        format!(
            "{}×{} f32, {} iterations",
            self.rows,
            2 * self.half,
            self.iterations
        )
    }

    fn layout(&self) -> &Layout {
        &self.layout
    }

    async fn run<M: Memory>(&self, cpu: Cpu<M>) -> u64 {
        let half = self.half;
        for row in cpu.share(self.rows) {
            for (colour, array) in self.colours.into_iter().enumerate() {
                cpu.write(array, row * half, &self.initial(colour, row))
                    .await;
            }
        }
        cpu.barrier().await;
        for step in 0..2 * self.iterations {
            let colour = step % 2;
            let other = self.colours[1 - colour];
            for row in cpu.share(self.rows) {
                let (above, below) = self.neighbours(row);
                let above = cpu.read(other, above * half, half).await;
                let beside = cpu.read(other, row * half, half).await;
                let below = cpu.read(other, below * half, half).await;
                let new = self.relaxed(colour, row, &above, &beside, &below);
                cpu.write(self.colours[colour], row * half, &new).await;
                cpu.work(half as u64 * 2).await;
            }
            cpu.barrier().await;
        }
        0
    }

    async fn check<M: Memory>(&self, cpu: Cpu<M>, _: Vec<u64>) -> Result<(), String> {
        for (array, expected) in self.colours.into_iter().zip(self.sequential()) {
            let found = cpu.read(array, 0, array.len()).await;
            same("element", &found, &expected.concat())?;
        }
        Ok(())
    }
}
