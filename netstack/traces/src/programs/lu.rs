//! LU factorisation of a dense matrix without pivoting, by blocks, after SPLASH-2: blocks are contiguous, they
//! are dealt out to a grid of nodes, and those of a node lie together.

use super::{Program, random, same};
use crate::cpu::Cpu;
use crate::engine::Memory;
use crate::shared::{Array, Layout};
use std::ops::Range;

/// The program.
pub struct Lu {
    nodes: usize,
    size: usize,
    block: usize,
    matrix: Array<f64>,
    /// Where each block is, in blocks.
    places: Vec<usize>,
    layout: Layout,
}

impl Lu {
    /// A matrix of `size` by `size`, in blocks of `block` by `block`.
    #[must_use]
    pub fn new(nodes: usize, size: usize, block: usize) -> Self {
        let across = size / block;
        let blocks = 0..across * across;
        let mut order: Vec<usize> = blocks.clone().collect();
        order.sort_by_key(|&at| owner(nodes, at / across, at % across));
        let mut places = vec![0; blocks.len()];
        for (place, &at) in order.iter().enumerate() {
            places[at] = place;
        }
        let mut layout = Layout::default();
        let home = |word: usize| {
            let at = order[word / (block * block)];
            owner(nodes, at / across, at % across)
        };
        let matrix = layout.array(size * size, home);
        Self {
            nodes,
            size,
            block,
            matrix,
            places,
            layout,
        }
    }

    fn across(&self) -> usize {
        self.size / self.block
    }

    fn owns<M: Memory>(&self, cpu: &Cpu<M>, row: usize, column: usize) -> bool {
        owner(self.nodes, row, column) == cpu.node()
    }

    /// The words of a block.
    fn words(&self, row: usize, column: usize) -> Range<usize> {
        let words = self.block * self.block;
        let start = self.places[row * self.across() + column] * words;
        start..start + words
    }

    /// A block at first; the diagonal is large, so that no pivots are needed.
    fn initial(&self, row: usize, column: usize) -> Vec<f64> {
        let block = self.block;
        let word = |at: usize| {
            let (row, column) = (row * block + at / block, column * block + at % block);
            let value = random::unit(3, (row * self.size + column) as u64);
            if row == column {
                value + self.size as f64
            } else {
                value
            }
        };
        (0..block * block).map(word).collect()
    }

    async fn load<M: Memory>(&self, cpu: &Cpu<M>, row: usize, column: usize) -> Vec<f64> {
        let words = self.words(row, column);
        cpu.read(self.matrix, words.start, words.len()).await
    }

    async fn store<M: Memory>(&self, cpu: &Cpu<M>, row: usize, column: usize, block: &[f64]) {
        let words = self.words(row, column);
        cpu.write(self.matrix, words.start, block).await;
        cpu.work(self.block.pow(3) as u64).await;
    }

    fn sequential(&self) -> Vec<Vec<f64>> {
        let (across, n) = (self.across(), self.block);
        let at = |row: usize, column: usize| row * across + column;
        let mut blocks: Vec<Vec<f64>> = (0..across * across)
            .map(|at| self.initial(at / across, at % across))
            .collect();
        for k in 0..across {
            factor(&mut blocks[at(k, k)], n);
            let diagonal = blocks[at(k, k)].clone();
            for other in k + 1..across {
                divide_right(&mut blocks[at(other, k)], &diagonal, n);
                divide_left(&mut blocks[at(k, other)], &diagonal, n);
            }
            for row in k + 1..across {
                for column in k + 1..across {
                    let (left, up) = (blocks[at(row, k)].clone(), blocks[at(k, column)].clone());
                    subtract(&mut blocks[at(row, column)], &left, &up, n);
                }
            }
        }
        blocks
    }
}

impl Program for Lu {
    const NAME: &'static str = "lu";

    fn input(&self) -> String {
        format!("{0}×{0} f64, blocks of {1}×{1}", self.size, self.block)
    }

    fn layout(&self) -> &Layout {
        &self.layout
    }

    async fn run<M: Memory>(&self, cpu: Cpu<M>) -> u64 {
        let (across, n) = (self.across(), self.block);
        for row in 0..across {
            for column in 0..across {
                if self.owns(&cpu, row, column) {
                    let block = self.initial(row, column);
                    self.store(&cpu, row, column, &block).await;
                }
            }
        }
        cpu.barrier().await;
        for k in 0..across {
            if self.owns(&cpu, k, k) {
                let mut block = self.load(&cpu, k, k).await;
                factor(&mut block, n);
                self.store(&cpu, k, k, &block).await;
            }
            cpu.barrier().await;
            for other in k + 1..across {
                if self.owns(&cpu, other, k) {
                    let diagonal = self.load(&cpu, k, k).await;
                    let mut block = self.load(&cpu, other, k).await;
                    divide_right(&mut block, &diagonal, n);
                    self.store(&cpu, other, k, &block).await;
                }
                if self.owns(&cpu, k, other) {
                    let diagonal = self.load(&cpu, k, k).await;
                    let mut block = self.load(&cpu, k, other).await;
                    divide_left(&mut block, &diagonal, n);
                    self.store(&cpu, k, other, &block).await;
                }
            }
            cpu.barrier().await;
            for row in k + 1..across {
                for column in k + 1..across {
                    if self.owns(&cpu, row, column) {
                        let left = self.load(&cpu, row, k).await;
                        let up = self.load(&cpu, k, column).await;
                        let mut block = self.load(&cpu, row, column).await;
                        subtract(&mut block, &left, &up, n);
                        self.store(&cpu, row, column, &block).await;
                    }
                }
            }
        }
        cpu.barrier().await;
        0
    }

    async fn check<M: Memory>(&self, cpu: Cpu<M>, _: Vec<u64>) -> Result<(), String> {
        let across = self.across();
        for (at, expected) in self.sequential().iter().enumerate() {
            let found = self.load(&cpu, at / across, at % across).await;
            same(&format!("block {at}, element"), &found, expected)?;
        }
        Ok(())
    }
}

/// The node of a block: nodes are a grid, as square as can be.
fn owner(nodes: usize, row: usize, column: usize) -> usize {
    let rows = (1..=nodes.isqrt())
        .rev()
        .find(|rows| nodes.is_multiple_of(*rows))
        .unwrap_or(1);
    let columns = nodes / rows;
    (row % rows) * columns + column % columns
}

/// L and U of a block, in its place; L has ones on its diagonal.
fn factor(block: &mut [f64], n: usize) {
    for k in 0..n {
        for row in k + 1..n {
            block[row * n + k] /= block[k * n + k];
            let by = block[row * n + k];
            for column in k + 1..n {
                block[row * n + column] -= by * block[k * n + column];
            }
        }
    }
}

/// A block below the diagonal one: times the inverse of U.
fn divide_right(block: &mut [f64], diagonal: &[f64], n: usize) {
    for row in 0..n {
        for k in 0..n {
            block[row * n + k] /= diagonal[k * n + k];
            let by = block[row * n + k];
            for column in k + 1..n {
                block[row * n + column] -= by * diagonal[k * n + column];
            }
        }
    }
}

/// A block to the right of the diagonal one: the inverse of L times it.
fn divide_left(block: &mut [f64], diagonal: &[f64], n: usize) {
    for k in 0..n {
        for row in k + 1..n {
            let by = diagonal[row * n + k];
            for column in 0..n {
                block[row * n + column] -= by * block[k * n + column];
            }
        }
    }
}

/// A block, less the product of two.
fn subtract(block: &mut [f64], left: &[f64], up: &[f64], n: usize) {
    for row in 0..n {
        for k in 0..n {
            let by = left[row * n + k];
            for column in 0..n {
                block[row * n + column] -= by * up[k * n + column];
            }
        }
    }
}
