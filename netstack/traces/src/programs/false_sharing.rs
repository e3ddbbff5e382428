//! Nodes that write words of their own on pages that they share, and now and then read their neighbours'.

use super::{Program, same};
use crate::cpu::Cpu;
use crate::engine::Memory;
use crate::shared::{Array, Layout, PAGE_BYTES};

/// The program.
pub struct FalseSharing {
    nodes: usize,
    pages: usize,
    rounds: usize,
    words: Array<u64>,
    layout: Layout,
}

const PER_PAGE: usize = PAGE_BYTES / 8;

impl FalseSharing {
    /// Each node writes a word on each of `pages` pages, `rounds` times.
    #[must_use]
    pub fn new(nodes: usize, pages: usize, rounds: usize) -> Self {
        let mut layout = Layout::default();
        let words = layout.array(pages * PER_PAGE, |_| 0);
        Self {
            nodes,
            pages,
            rounds,
            words,
            layout,
        }
    }

    fn place(&self, node: usize, page: usize) -> usize {
        page * PER_PAGE + node
    }
}

impl Program for FalseSharing {
    const NAME: &'static str = "false_sharing";

    fn input(&self) -> String {
        format!("{} pages, {} rounds", self.pages, self.rounds)
    }

    fn layout(&self) -> &Layout {
        &self.layout
    }

    async fn run<M: Memory>(&self, cpu: Cpu<M>) -> u64 {
        let neighbour = (cpu.node() + 1) % self.nodes;
        let mut seen = 0;
        for round in 0..self.rounds as u64 {
            for page in 0..self.pages {
                for _ in 0..4 {
                    let at = self.place(cpu.node(), page);
                    let old = cpu.get(self.words, at).await;
                    cpu.set(self.words, at, old + round).await;
                    cpu.work(10_000).await;
                }
            }
            cpu.barrier().await;
            seen += cpu
                .get(self.words, self.place(neighbour, self.pages - 1))
                .await;
            cpu.barrier().await;
        }
        seen
    }

    async fn check<M: Memory>(&self, cpu: Cpu<M>, found: Vec<u64>) -> Result<(), String> {
        let rounds = 0..self.rounds as u64;
        let sums = rounds.map(|round| 4 * round * (round + 1) / 2);
        same(
            "sum, by node",
            &found,
            &vec![sums.clone().sum(); self.nodes],
        )?;
        let last = sums.max().unwrap_or(0);
        for page in 0..self.pages {
            let words = cpu.read(self.words, page * PER_PAGE, self.nodes).await;
            same("word", &words, &vec![last; self.nodes])?;
        }
        Ok(())
    }
}
