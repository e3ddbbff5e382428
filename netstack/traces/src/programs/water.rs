//! Bodies that attract each other, as in Water of SPLASH: each pair is computed once, forces are collected in private
//! and added to the shared ones under a lock for each part, and each node moves its own bodies.
//!
//! Numbers are whole, so that the order of additions does not matter.

use super::{Program, random, same};
use crate::cpu::{Cpu, share, sharer};
use crate::engine::Memory;
use crate::shared::{Array, Layout};

/// The program.
pub struct Water {
    nodes: usize,
    bodies: usize,
    steps: usize,
    positions: Array<u64>,
    forces: Array<u64>,
    layout: Layout,
}

impl Water {
    /// `bodies` bodies, moved `steps` times.
    #[must_use]
    pub fn new(nodes: usize, bodies: usize, steps: usize) -> Self {
        let mut layout = Layout::default();
        let home = |word| sharer(bodies, word, nodes);
        let positions = layout.array(bodies, home);
        let forces = layout.array(bodies, home);
        Self {
            nodes,
            bodies,
            steps,
            positions,
            forces,
            layout,
        }
    }

    fn initial(&self, body: usize) -> u64 {
        random::at(7, body as u64)
    }

    /// The forces by pairs of which one of `mine` is the first; the second is among the next half of all.
    fn forces(&self, mine: std::ops::Range<usize>, positions: &[u64]) -> Vec<u64> {
        let mut forces = vec![0_u64; self.bodies];
        for one in mine {
            for distance in 1..=self.bodies / 2 {
                let other = (one + distance) % self.bodies;
                let force = (positions[one] ^ positions[other]) >> 20;
                forces[one] = forces[one].wrapping_add(force);
                forces[other] = forces[other].wrapping_sub(force);
            }
        }
        forces
    }

    fn sequential(&self) -> Vec<u64> {
        let mut positions: Vec<u64> = (0..self.bodies).map(|body| self.initial(body)).collect();
        for _ in 0..self.steps {
            let forces = self.forces(0..self.bodies, &positions);
            for (position, force) in positions.iter_mut().zip(forces) {
                *position = position.wrapping_add(force);
            }
        }
        positions
    }
}

impl Program for Water {
    const NAME: &'static str = "water";

    fn input(&self) -> String {
        format!("{} bodies, {} steps", self.bodies, self.steps)
    }

    fn layout(&self) -> &Layout {
        &self.layout
    }

    async fn run<M: Memory>(&self, cpu: Cpu<M>) -> u64 {
        let mine = cpu.share(self.bodies);
        let first: Vec<u64> = mine.clone().map(|body| self.initial(body)).collect();
        cpu.write(self.positions, mine.start, &first).await;
        cpu.barrier().await;
        for _ in 0..self.steps {
            let none = vec![0; mine.len()];
            cpu.write(self.forces, mine.start, &none).await;
            cpu.barrier().await;
            let positions = cpu.read(self.positions, 0, self.bodies).await;
            let forces = self.forces(mine.clone(), &positions);
            cpu.work((mine.len() * self.bodies) as u64).await;
            for distance in 0..self.nodes {
                let whose = (cpu.node() + distance) % self.nodes;
                let part = share(self.bodies, whose, self.nodes);
                if part.clone().all(|body| forces[body] == 0) {
                    continue;
                }
                cpu.lock(whose).await;
                cpu.update(self.forces, part.start, part.len(), |body, sum| {
                    sum.wrapping_add(forces[body])
                })
                .await;
                cpu.unlock(whose).await;
            }
            cpu.barrier().await;
            let forces = cpu.read(self.forces, mine.start, mine.len()).await;
            cpu.update(self.positions, mine.start, mine.len(), |body, position| {
                position.wrapping_add(forces[body - mine.start])
            })
            .await;
            cpu.barrier().await;
        }
        0
    }

    async fn check<M: Memory>(&self, cpu: Cpu<M>, _: Vec<u64>) -> Result<(), String> {
        let found = cpu.read(self.positions, 0, self.bodies).await;
        same("body", &found, &self.sequential())
    }
}
