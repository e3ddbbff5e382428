//! Embarrassingly parallel: Gaussian deviates are counted by square annuli, and the counts added up under a lock.

use super::{Program, close, random};
use crate::cpu::{Cpu, share};
use crate::engine::Memory;
use crate::shared::{Array, Layout};

/// How many annuli there are; sums of the deviates follow them.
const ANNULI: usize = 10;

/// The program.
pub struct Ep {
    nodes: usize,
    pairs: usize,
    sums: Array<f64>,
    layout: Layout,
}

impl Ep {
    /// `pairs` pairs of numbers.
    #[must_use]
    pub fn new(nodes: usize, pairs: usize) -> Self {
        let mut layout = Layout::default();
        let sums = layout.array(ANNULI + 2, |_| 0);
        Self {
            nodes,
            pairs,
            sums,
            layout,
        }
    }

    fn counted(&self, node: usize) -> Vec<f64> {
        let mut sums = vec![0.0; ANNULI + 2];
        for pair in share(self.pairs, node, self.nodes) {
            let number = |which| 2.0 * random::unit(4, (2 * pair + which) as u64) - 1.0;
            let (x, y) = (number(0), number(1));
            let square = x * x + y * y;
            if square <= 1.0 && square > 0.0 {
                let by = (-2.0 * square.ln() / square).sqrt();
                let (x, y) = (x * by, y * by);
                sums[(x.abs().max(y.abs()) as usize).min(ANNULI - 1)] += 1.0;
                sums[ANNULI] += x;
                sums[ANNULI + 1] += y;
            }
        }
        sums
    }
}

impl Program for Ep {
    const NAME: &'static str = "ep";

    fn input(&self) -> String {
        format!("{} pairs", self.pairs)
    }

    fn layout(&self) -> &Layout {
        &self.layout
    }

    async fn run<M: Memory>(&self, cpu: Cpu<M>) -> u64 {
        let sums = self.sums;
        if cpu.node() == 0 {
            cpu.write(sums, 0, &vec![0.0; sums.len()]).await;
        }
        cpu.barrier().await;
        let counted = self.counted(cpu.node());
        cpu.work(share(self.pairs, cpu.node(), self.nodes).len() as u64 * 50)
            .await;
        cpu.lock(0).await;
        cpu.update(sums, 0, sums.len(), |at, sum| sum + counted[at])
            .await;
        cpu.unlock(0).await;
        cpu.barrier().await;
        let all = cpu.read(sums, 0, ANNULI).await;
        cpu.barrier().await;
        all.iter().sum::<f64>() as u64
    }

    async fn check<M: Memory>(&self, cpu: Cpu<M>, found: Vec<u64>) -> Result<(), String> {
        let mut all = vec![0.0; self.sums.len()];
        for node in 0..self.nodes {
            for (sum, count) in all.iter_mut().zip(self.counted(node)) {
                *sum += count;
            }
        }
        let pairs = all[..ANNULI].iter().sum::<f64>() as u64;
        super::same("pairs, by node", &found, &vec![pairs; self.nodes])?;
        close("sum", &cpu.read(self.sums, 0, self.sums.len()).await, &all)
    }
}
