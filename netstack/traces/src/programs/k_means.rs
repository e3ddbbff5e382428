//! Clustering: each node sums up its own points by nearest centre, the sums are added under a lock, and all read the new centres.

use super::{Program, random, same};
use crate::cpu::{Cpu, share};
use crate::engine::Memory;
use crate::shared::{Array, Layout};

/// Numbers of a point.
const DIMENSIONS: usize = 8;

/// The program.
pub struct KMeans {
    nodes: usize,
    points: usize,
    clusters: usize,
    rounds: usize,
    centres: Array<u64>,
    /// Sums of each cluster, and after them how many points it has.
    sums: Array<u64>,
    layout: Layout,
}

impl KMeans {
    /// `points` points in `clusters` clusters, `rounds` times.
    #[must_use]
    pub fn new(nodes: usize, points: usize, clusters: usize, rounds: usize) -> Self {
        let mut layout = Layout::default();
        let centres = layout.array(clusters * DIMENSIONS, |_| 0);
        let sums = layout.array(clusters * (DIMENSIONS + 1), |_| 0);
        Self {
            nodes,
            points,
            clusters,
            rounds,
            centres,
            sums,
            layout,
        }
    }

    fn point(&self, point: usize) -> [u64; DIMENSIONS] {
        std::array::from_fn(|at| random::at(8, (point * DIMENSIONS + at) as u64) >> 44)
    }

    fn initial(&self) -> Vec<u64> {
        (0..self.clusters)
            .flat_map(|cluster| self.point(cluster))
            .collect()
    }

    fn summed(&self, points: std::ops::Range<usize>, centres: &[u64]) -> Vec<u64> {
        let mut sums = vec![0; self.sums.len()];
        for point in points {
            let point = self.point(point);
            let distance = |centre: &[u64]| -> u64 {
                let squares = point.iter().zip(centre);
                squares.map(|(a, b)| a.abs_diff(*b).pow(2)).sum()
            };
            let nearest = centres
                .chunks_exact(DIMENSIONS)
                .map(distance)
                .enumerate()
                .min_by_key(|&(_, distance)| distance)
                .map_or(0, |(cluster, _)| cluster);
            let sums = &mut sums[nearest * (DIMENSIONS + 1)..][..DIMENSIONS + 1];
            for (sum, value) in sums.iter_mut().zip(point.into_iter().chain([1])) {
                *sum += value;
            }
        }
        sums
    }

    fn centres(sums: &[u64], before: &[u64]) -> Vec<u64> {
        sums.chunks_exact(DIMENSIONS + 1)
            .zip(before.chunks_exact(DIMENSIONS))
            .flat_map(|(sums, before)| match sums[DIMENSIONS] {
                0 => before.to_vec(),
                points => sums[..DIMENSIONS].iter().map(|sum| sum / points).collect(),
            })
            .collect()
    }
}

impl Program for KMeans {
    const NAME: &'static str = "kmeans";

    fn input(&self) -> String {
        format!(
            "{} points, {} clusters, {} rounds",
            self.points, self.clusters, self.rounds
        )
    }

    fn layout(&self) -> &Layout {
        &self.layout
    }

    async fn run<M: Memory>(&self, cpu: Cpu<M>) -> u64 {
        let mine = cpu.share(self.points);
        if cpu.node() == 0 {
            cpu.write(self.centres, 0, &self.initial()).await;
        }
        for _ in 0..self.rounds {
            if cpu.node() == 0 {
                cpu.write(self.sums, 0, &vec![0; self.sums.len()]).await;
            }
            cpu.barrier().await;
            let centres = cpu.read(self.centres, 0, self.centres.len()).await;
            let sums = self.summed(mine.clone(), &centres);
            cpu.work((mine.len() * self.clusters * DIMENSIONS) as u64)
                .await;
            cpu.lock(0).await;
            cpu.update(self.sums, 0, self.sums.len(), |at, sum| sum + sums[at])
                .await;
            cpu.unlock(0).await;
            cpu.barrier().await;
            if cpu.node() == 0 {
                let sums = cpu.read(self.sums, 0, self.sums.len()).await;
                let new = Self::centres(&sums, &centres);
                cpu.write(self.centres, 0, &new).await;
            }
        }
        cpu.barrier().await;
        0
    }

    async fn check<M: Memory>(&self, cpu: Cpu<M>, _: Vec<u64>) -> Result<(), String> {
        let mut centres = self.initial();
        for _ in 0..self.rounds {
            let mut sums = vec![0; self.sums.len()];
            for node in 0..self.nodes {
                let part = self.summed(share(self.points, node, self.nodes), &centres);
                for (sum, part) in sums.iter_mut().zip(part) {
                    *sum += part;
                }
            }
            centres = Self::centres(&sums, &centres);
        }
        let found = cpu.read(self.centres, 0, centres.len()).await;
        same("centre", &found, &centres)
    }
}
