//! Integer sort: keys are ranked by counting them in buckets that all nodes share.
//!
//! Each repetition, every node counts its own keys, adds its counts to the shared ones under a lock, and
//! reads all of them.

use super::{Program, random, same};
use crate::cpu::{Cpu, share};
use crate::engine::Memory;
use crate::shared::{Array, Layout};

/// The program.
pub struct IntegerSort {
    nodes: usize,
    keys: usize,
    repetitions: usize,
    buckets: Array<u32>,
    layout: Layout,
}

impl IntegerSort {
    /// `keys` keys below `buckets`, ranked `repetitions` times.
    #[must_use]
    pub fn new(nodes: usize, keys: usize, buckets: usize, repetitions: usize) -> Self {
        let mut layout = Layout::default();
        let buckets = layout.array(buckets, |_| 0);
        Self {
            nodes,
            keys,
            repetitions,
            buckets,
            layout,
        }
    }

    /// A node's keys, and how many of them are in each bucket.
    fn counted(&self, node: usize) -> (Vec<usize>, Vec<u32>) {
        let buckets = self.buckets.len();
        let key = |at| (random::at(2, at as u64) % buckets as u64) as usize;
        let keys: Vec<usize> = share(self.keys, node, self.nodes).map(key).collect();
        let mut counts = vec![0; buckets];
        for &key in &keys {
            counts[key] += 1;
        }
        (keys, counts)
    }

    /// The sum of the ranks of the keys.
    fn ranks(keys: &[usize], counts: &[u32]) -> u64 {
        let mut below = 0_u64;
        let ranks: Vec<u64> = counts
            .iter()
            .map(|&count| {
                below += u64::from(count);
                below - u64::from(count)
            })
            .collect();
        keys.iter().map(|&key| ranks[key]).sum()
    }
}

impl Program for IntegerSort {
    const NAME: &'static str = "is";

    fn input(&self) -> String {
        format!(
            "{} keys, {} buckets, {} repetitions",
            self.keys,
            self.buckets.len(),
            self.repetitions
        )
    }

    fn layout(&self) -> &Layout {
        &self.layout
    }

    async fn run<M: Memory>(&self, cpu: Cpu<M>) -> u64 {
        let buckets = self.buckets;
        let mut digest = 0;
        cpu.barrier().await;
        for _ in 0..self.repetitions {
            if cpu.node() == 0 {
                cpu.write(buckets, 0, &vec![0; buckets.len()]).await;
            }
            let (keys, counts) = self.counted(cpu.node());
            cpu.work(keys.len() as u64).await;
            cpu.barrier().await;
            cpu.lock(0).await;
            cpu.update(buckets, 0, buckets.len(), |at, count| count + counts[at])
                .await;
            cpu.work(buckets.len() as u64).await;
            cpu.unlock(0).await;
            cpu.barrier().await;
            let all = cpu.read(buckets, 0, buckets.len()).await;
            digest = Self::ranks(&keys, &all);
            cpu.work(keys.len() as u64).await;
            cpu.barrier().await;
        }
        cpu.barrier().await;
        digest
    }

    async fn check<M: Memory>(&self, cpu: Cpu<M>, found: Vec<u64>) -> Result<(), String> {
        let counted: Vec<_> = (0..self.nodes).map(|node| self.counted(node)).collect();
        let mut all = vec![0; self.buckets.len()];
        for (_, counts) in &counted {
            for (sum, count) in all.iter_mut().zip(counts) {
                *sum += count;
            }
        }
        let ranks: Vec<u64> = counted
            .iter()
            .map(|(keys, _)| Self::ranks(keys, &all))
            .collect();
        same("rank sum of node", &found, &ranks)?;
        same(
            "bucket",
            &cpu.read(self.buckets, 0, self.buckets.len()).await,
            &all,
        )
    }
}
