//! Matrix product: rows of the result are dealt out, and one factor is read by all.

use super::{Program, random, same};
use crate::cpu::{Cpu, sharer};
use crate::engine::Memory;
use crate::shared::{Array, Layout};

/// The program.
pub struct MatMul {
    size: usize,
    /// The factors, and the product.
    matrices: [Array<u32>; 3],
    layout: Layout,
}

impl MatMul {
    /// Matrices of `size` by `size`.
    #[must_use]
    pub fn new(nodes: usize, size: usize) -> Self {
        let mut layout = Layout::default();
        let home = |word: usize| sharer(size, word / size, nodes);
        let matrices = [0, 1, 2].map(|_| layout.array(size * size, home));
        Self {
            size,
            matrices,
            layout,
        }
    }

    fn initial(&self, matrix: usize, row: usize) -> Vec<u32> {
        let place = |column| (row * self.size + column) as u64;
        (0..self.size)
            .map(|column| random::at(5 + matrix as u64, place(column)) as u32)
            .collect()
    }

    fn product(&self, left: &[u32], right: &[u32]) -> Vec<u32> {
        let mut row = vec![0_u32; self.size];
        for (factor, right) in left.iter().zip(right.chunks_exact(self.size)) {
            for (sum, word) in row.iter_mut().zip(right) {
                *sum = sum.wrapping_add(factor.wrapping_mul(*word));
            }
        }
        row
    }
}

impl Program for MatMul {
    const NAME: &'static str = "matmul";

    fn input(&self) -> String {
        format!("{0}×{0} u32", self.size)
    }

    fn layout(&self) -> &Layout {
        &self.layout
    }

    async fn run<M: Memory>(&self, cpu: Cpu<M>) -> u64 {
        let (size, [left, right, product]) = (self.size, self.matrices);
        for row in cpu.share(size) {
            for (which, matrix) in [left, right].into_iter().enumerate() {
                cpu.write(matrix, row * size, &self.initial(which, row))
                    .await;
            }
        }
        cpu.barrier().await;
        for row in cpu.share(size) {
            let factors = cpu.read(left, row * size, size).await;
            let right = cpu.read(right, 0, size * size).await;
            cpu.write(product, row * size, &self.product(&factors, &right))
                .await;
            cpu.work((size * size) as u64).await;
        }
        cpu.barrier().await;
        0
    }

    async fn check<M: Memory>(&self, cpu: Cpu<M>, _: Vec<u64>) -> Result<(), String> {
        let right: Vec<u32> = (0..self.size)
            .flat_map(|row| self.initial(1, row))
            .collect();
        let expected: Vec<u32> = (0..self.size)
            .flat_map(|row| self.product(&self.initial(0, row), &right))
            .collect();
        let found = cpu.read(self.matrices[2], 0, expected.len()).await;
        same("element", &found, &expected)
    }
}
