//! Finds the shortest round trip through some cities by branch and bound.
//!
//! ```text
//! cargo xtask cluster --nodes 3 tsp -- --cities 13
//! ```
//!
//! Beginnings of trips wait in a queue that all threads share; who takes one tries all ways to go on
//! that are shorter than the best trip so far. That bound is one atomic number, read very often and
//! written seldom: each machine keeps a copy of its page until somebody finds a better trip. Which trips are
//! tried depends on who is fast; how long the best one is does not.

use std::process::ExitCode;

#[cfg(target_os = "hermit")]
use hermit as _;

mod cities;
mod search;

use cities::Cities;
use parallel::Arguments;

struct Options {
    threads: usize,
    cities: usize,
    seed: u64,
}

impl Options {
    fn read(given: &mut Arguments) -> Self {
        Self {
            threads: given.threads(),
            cities: given.number("cities", "cities to visit", 12, 2..=24),
            seed: given.seed(),
        }
    }
}

fn main() -> ExitCode {
    parallel::main("tsp", Options::read, run)
}

fn run(options: Options) -> Result<(), String> {
    let cities = Cities::random(options.cities, &mut fastrand::Rng::with_seed(options.seed));
    let best = parallel::timed("searched", options.threads, || {
        search::shortest(&cities, options.threads)
    });
    // The trip itself is not shown: of several that are equally long any may be found first.
    let length = cities.length(&best.cities);
    if length != best.length || !cities.is_trip(&best.cities) {
        return Err(format!(
            "{:?} is no trip of length {}",
            best.cities, best.length
        ));
    }
    println!(
        "{} cities, the shortest trip is {length} long",
        options.cities
    );
    Ok(())
}
