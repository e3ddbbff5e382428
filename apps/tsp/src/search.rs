//! The search: a queue of beginnings, and the best trip so far.

use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::cities::Cities;

/// Beginnings in the queue are so many cities long: enough of them that no thread is long without
/// one, and each is enough work to be worth a look at the queue.
const BEGINNING: usize = 4;

/// A trip, or its beginning.
#[derive(Clone, Debug, Default)]
pub struct Trip {
    /// The cities in their order.
    pub cities: Vec<usize>,
    /// Its length; that of a whole one leads back, too.
    pub length: u32,
}

/// What all threads share.
struct Search<'a> {
    cities: &'a Cities,
    /// From each city, the least that leaving it costs.
    least: Vec<u32>,
    beginnings: Vec<Trip>,
    /// The first of them that nobody has taken.
    next: AtomicUsize,
    /// The length of the best trip so far.
    bound: AtomicU32,
    best: Mutex<Trip>,
}

/// The shortest trip, or one of several.
pub fn shortest(cities: &Cities, threads: usize) -> Trip {
    let search = Search {
        cities,
        least: cities.least(),
        beginnings: beginnings(cities),
        next: AtomicUsize::new(0),
        bound: AtomicU32::new(u32::MAX),
        best: Mutex::default(),
    };
    parallel::team(threads, |_| search.work());
    search
        .best
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner)
}

/// All beginnings, those first that are shortest: good trips that are found early spare others.
fn beginnings(cities: &Cities) -> Vec<Trip> {
    let first = Trip {
        cities: vec![0],
        length: 0,
    };
    let mut all = vec![first];
    for _ in 1..BEGINNING.min(cities.count()) {
        all = all.iter().flat_map(|trip| longer(cities, trip)).collect();
    }
    all.sort_by_key(|trip| trip.length);
    all
}

fn longer(cities: &Cities, trip: &Trip) -> Vec<Trip> {
    let others = (0..cities.count()).filter(|city| !trip.cities.contains(city));
    let with = |city| {
        let last = trip.cities[trip.cities.len() - 1];
        Trip {
            cities: [&trip.cities[..], &[city]].concat(),
            length: trip.length + cities.distance(last, city),
        }
    };
    others.map(with).collect()
}

impl Search<'_> {
    fn work(&self) {
        loop {
            let taken = self.next.fetch_add(1, Ordering::Relaxed);
            let Some(beginning) = self.beginnings.get(taken) else {
                return;
            };
            let mut visited = vec![false; self.cities.count()];
            beginning
                .cities
                .iter()
                .for_each(|&city| visited[city] = true);
            let left = (0..visited.len()).filter(|&city| !visited[city]);
            let rest = left.map(|city| self.least[city]).sum();
            self.go_on(&mut beginning.clone(), &mut visited, rest);
        }
    }

    /// Tries all ways to go on. `rest` is the least that leaving all cities costs that are to be
    /// visited still.
    fn go_on(&self, trip: &mut Trip, visited: &mut [bool], rest: u32) {
        let last = trip.cities[trip.cities.len() - 1];
        if trip.cities.len() == self.cities.count() {
            let length = trip.length + self.cities.distance(last, 0);
            return self.found(&trip.cities, length);
        }
        for city in 1..self.cities.count() {
            let length = trip.length + self.cities.distance(last, city);
            if visited[city] || length + rest >= self.bound.load(Ordering::Relaxed) {
                continue;
            }
            let before = std::mem::replace(&mut trip.length, length);
            visited[city] = true;
            trip.cities.push(city);
            self.go_on(trip, visited, rest - self.least[city]);
            trip.cities.pop();
            visited[city] = false;
            trip.length = before;
        }
    }

    /// Keeps a trip, if it is the best.
    fn found(&self, cities: &[usize], length: u32) {
        if length < self.bound.fetch_min(length, Ordering::Relaxed) {
            let mut best = self.best.lock().unwrap_or_else(PoisonError::into_inner);
            // One that was found later may have come here first.
            if best.cities.is_empty() || length < best.length {
                *best = Trip {
                    cities: cities.to_vec(),
                    length,
                };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Cities, shortest};

    /// The length of the best trip, by trying all.
    fn best(cities: &Cities, trip: &mut Vec<usize>) -> u32 {
        if trip.len() == cities.count() {
            return cities.length(trip);
        }
        let mut least = u32::MAX;
        for city in 0..cities.count() {
            if !trip.contains(&city) {
                trip.push(city);
                least = least.min(best(cities, trip));
                trip.pop();
            }
        }
        least
    }

    #[test]
    fn the_shortest_is_found_by_any_number_of_threads() {
        for seed in 0..10 {
            for count in [2, 3, 4, 5, 8] {
                let cities = Cities::random(count, &mut fastrand::Rng::with_seed(seed));
                let expected = best(&cities, &mut vec![0]);
                for threads in [1, 3] {
                    let found = shortest(&cities, threads);
                    assert_eq!(found.length, expected);
                    assert_eq!(cities.length(&found.cities), expected);
                    assert!(cities.is_trip(&found.cities));
                }
            }
        }
    }
}
