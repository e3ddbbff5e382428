//! Cities, and how far they are from each other.

/// Cities are on a square map, so wide.
const MAP: i32 = 1000;

/// Distances between cities.
pub struct Cities {
    count: usize,
    distances: Vec<u32>,
}

impl Cities {
    /// Cities anywhere on the map.
    pub fn random(count: usize, random: &mut fastrand::Rng) -> Self {
        let places: Vec<(i32, i32)> = (0..count)
            .map(|_| (random.i32(0..MAP), random.i32(0..MAP)))
            .collect();
        let distance = |(from, to): (usize, usize)| {
            let (x, y) = (places[from].0 - places[to].0, places[from].1 - places[to].1);
            ((x * x + y * y) as u32).isqrt()
        };
        let pairs = (0..count).flat_map(|from| (0..count).map(move |to| (from, to)));
        Self {
            count,
            distances: pairs.map(distance).collect(),
        }
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.count
    }

    /// How far it is from one to another.
    pub fn distance(&self, from: usize, to: usize) -> u32 {
        self.distances[from * self.count + to]
    }

    /// How far it is from each to the nearest other: no trip leaves a city with less.
    pub fn least(&self) -> Vec<u32> {
        let least = |from| {
            let others = (0..self.count).filter(|&to| to != from);
            others.map(|to| self.distance(from, to)).min().unwrap_or(0)
        };
        (0..self.count).map(least).collect()
    }

    /// The length of a round trip.
    pub fn length(&self, trip: &[usize]) -> u32 {
        let next = trip.iter().cycle().skip(1);
        trip.iter()
            .zip(next)
            .map(|(&from, &to)| self.distance(from, to))
            .sum()
    }

    /// Whether each city is visited once.
    pub fn is_trip(&self, trip: &[usize]) -> bool {
        let mut sorted = trip.to_vec();
        sorted.sort_unstable();
        sorted.into_iter().eq(0..self.count)
    }
}
