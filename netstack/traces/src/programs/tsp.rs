//! The travelling salesman by branch and bound: tours begun are in a pool that all take from under a lock, and the shortest
//! tour is under another.

use super::{Program, random, same};
use crate::cpu::Cpu;
use crate::engine::Memory;
use crate::shared::{Array, Layout};

const POOL: usize = 0;
const SHORTEST: usize = 1;
/// Cities that a tour in the pool has.
const BEGUN: usize = 3;

/// The program.
pub struct Tsp {
    cities: usize,
    /// How many tours of the pool are taken.
    taken: Array<u32>,
    /// The tours begun: written once by node 0.
    pool: Array<u32>,
    shortest: Array<u32>,
    layout: Layout,
}

impl Tsp {
    /// A tour of `cities` cities.
    #[must_use]
    pub fn new(cities: usize) -> Self {
        let mut layout = Layout::default();
        let taken = layout.array(1, |_| 0);
        let begun = (cities - 1) * (cities - 2);
        let pool = layout.array(begun * BEGUN, |_| 0);
        let shortest = layout.array(1, |_| 0);
        Self {
            cities,
            taken,
            pool,
            shortest,
            layout,
        }
    }

    fn distance(&self, one: usize, other: usize) -> u32 {
        let city = |city: usize| {
            let number = random::at(9, city as u64);
            ((number & 0x3ff) as i64, (number >> 10 & 0x3ff) as i64)
        };
        let ((a, b), (c, d)) = (city(one), city(other));
        (((a - c).pow(2) + (b - d).pow(2)) as u64).isqrt() as u32
    }

    fn begun(&self) -> Vec<u32> {
        let cities = 1..self.cities as u32;
        let pairs = cities
            .clone()
            .flat_map(|a| cities.clone().map(move |b| (a, b)));
        pairs
            .filter(|(a, b)| a != b)
            .flat_map(|(a, b)| [0, a, b])
            .collect()
    }

    fn length(&self, tour: &[usize]) -> u32 {
        tour.windows(2)
            .map(|step| self.distance(step[0], step[1]))
            .sum()
    }

    /// The shortest way to end a tour, if it is shorter than `bound`; `tried` counts steps.
    fn best(&self, tour: &mut Vec<usize>, length: u32, bound: u32, tried: &mut u64) -> u32 {
        *tried += 1;
        let last = tour[tour.len() - 1];
        if length >= bound {
            return bound;
        }
        if tour.len() == self.cities {
            return bound.min(length + self.distance(last, tour[0]));
        }
        let mut bound = bound;
        for next in 0..self.cities {
            if !tour.contains(&next) {
                let longer = length + self.distance(last, next);
                tour.push(next);
                bound = self.best(tour, longer, bound, tried);
                tour.pop();
            }
        }
        bound
    }
}

impl Program for Tsp {
    const NAME: &'static str = "tsp";

    fn input(&self) -> String {
        format!("{} cities", self.cities)
    }

    fn layout(&self) -> &Layout {
        &self.layout
    }

    async fn run<M: Memory>(&self, cpu: Cpu<M>) -> u64 {
        if cpu.node() == 0 {
            cpu.set(self.taken, 0, 0).await;
            cpu.write(self.pool, 0, &self.begun()).await;
            cpu.set(self.shortest, 0, u32::MAX).await;
        }
        cpu.barrier().await;
        loop {
            cpu.lock(POOL).await;
            let next = cpu.get(self.taken, 0).await as usize;
            cpu.set(self.taken, 0, next as u32 + 1).await;
            cpu.unlock(POOL).await;
            if next >= self.pool.len() / BEGUN {
                break;
            }
            let tour = cpu.read(self.pool, next * BEGUN, BEGUN).await;
            let mut tour: Vec<usize> = tour.into_iter().map(|city| city as usize).collect();
            cpu.lock(SHORTEST).await;
            let bound = cpu.get(self.shortest, 0).await;
            cpu.unlock(SHORTEST).await;
            let mut tried = 0;
            let length = self.length(&tour);
            let found = self.best(&mut tour, length, bound, &mut tried);
            cpu.work(tried * 100).await;
            if found < bound {
                cpu.lock(SHORTEST).await;
                let shortest = cpu.get(self.shortest, 0).await.min(found);
                cpu.set(self.shortest, 0, shortest).await;
                cpu.unlock(SHORTEST).await;
            }
        }
        cpu.barrier().await;
        0
    }

    async fn check<M: Memory>(&self, cpu: Cpu<M>, _: Vec<u64>) -> Result<(), String> {
        let mut tried = 0;
        let expected = self.best(&mut vec![0], 0, u32::MAX, &mut tried);
        let found = cpu.get(self.shortest, 0).await;
        same("tour", &[found], &[expected])
    }
}
