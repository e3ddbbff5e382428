//! Moves molecules that attract and repel each other, as Water of SPLASH: with a lock for each molecule.
//!
//! ```text
//! cargo xtask cluster --nodes 2 molecules -- --molecules 512 --steps 10
//! ```
//!
//! A thread computes the forces between its molecules and half of all others, and adds them to both: its
//! own ones and those of other threads, so each molecule's sum has a lock. Sums of floating-point numbers
//! would depend on who adds first. These are sums of whole numbers, in units of a tiny force, so the
//! molecules are at the same places to the last bit, however many threads there are.

use std::process::ExitCode;
use std::sync::{Barrier, Mutex, RwLock};

#[cfg(target_os = "hermit")]
use hermit as _;

mod force;
mod molecule;

use force::{Force, between};
use molecule::Molecule;
use parallel::{Arguments, Checksum};

struct Options {
    threads: usize,
    molecules: usize,
    steps: usize,
    seed: u64,
}

impl Options {
    fn read(given: &mut Arguments) -> Self {
        Self {
            threads: given.threads(),
            molecules: given.number("molecules", "molecules", 128, 2..=1 << 20),
            steps: given.number("steps", "steps of time", 5, 1..=1 << 30),
            seed: given.seed(),
        }
    }
}

fn main() -> ExitCode {
    parallel::main("molecules", Options::read, run)
}

fn run(options: Options) -> Result<(), String> {
    let start = molecule::lattice(options.molecules, options.seed);
    let momentum = molecule::momentum(&start);
    let end = parallel::timed("moved", options.threads, || {
        simulate(start, options.steps, options.threads)
    });
    let drift = molecule::momentum(&end)
        .iter()
        .zip(momentum)
        .fold(0.0_f64, |most, (end, start)| most.max((end - start).abs()));
    if drift > 1e-6 {
        return Err(format!(
            "all together have got a momentum of {drift:e} from nowhere"
        ));
    }
    let energy = molecule::kinetic_energy(&end);
    println!("{} molecules, kinetic energy {energy:.9e}", end.len());
    println!(
        "{}",
        Checksum::of_floats(end.iter().flat_map(Molecule::numbers))
    );
    Ok(())
}

/// The molecules after some steps, computed by that many threads.
fn simulate(start: Vec<Molecule>, steps: usize, threads: usize) -> Vec<Molecule> {
    let forces: Vec<Mutex<Force>> = start.iter().map(|_| Mutex::default()).collect();
    let molecules: Vec<RwLock<Molecule>> = start.into_iter().map(RwLock::new).collect();
    let barrier = Barrier::new(threads);
    parallel::team(threads, |me| {
        let mine = parallel::share(molecules.len(), threads, me);
        for _ in 0..steps {
            let places = places(&molecules);
            for first in mine.clone() {
                add_forces(first, &places, &forces);
            }
            barrier.wait();
            for one in mine.clone() {
                let force = std::mem::take(&mut *forces[one].lock().expect("no thread panics"));
                molecules[one]
                    .write()
                    .expect("no thread panics")
                    .advance(force);
            }
            barrier.wait();
        }
    });
    molecules
        .into_iter()
        .map(|one| one.into_inner().expect("no thread panics"))
        .collect()
}

/// Where all are, for as long as nobody moves.
fn places(molecules: &[RwLock<Molecule>]) -> Vec<[f64; 3]> {
    let place = |one: &RwLock<Molecule>| one.read().expect("no thread panics").place;
    molecules.iter().map(place).collect()
}

/// Adds the forces between one molecule and those of the half of all that come after it, around the
/// circle: so each pair is one thread's, and all have as much to do.
fn add_forces(first: usize, places: &[[f64; 3]], forces: &[Mutex<Force>]) {
    let count = places.len();
    // Of an even number, opposite ones would meet twice.
    let half = match count.is_multiple_of(2) && first >= count / 2 {
        true => count / 2 - 1,
        false => count / 2,
    };
    let mut sum = Force::default();
    for second in (first + 1..=first + half).map(|second| second % count) {
        let force = between(places[first], places[second]);
        if force != Force::default() {
            sum.add(force);
            forces[second]
                .lock()
                .expect("no thread panics")
                .subtract(force);
        }
    }
    forces[first].lock().expect("no thread panics").add(sum);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_number_of_threads_moves_them_the_same() {
        for count in [2, 3, 40, 41] {
            let moved = |threads| simulate(molecule::lattice(count, 3), 4, threads);
            let one = moved(1);
            assert_ne!(one, molecule::lattice(count, 3));
            for threads in [2, 3, 7] {
                assert_eq!(moved(threads), one);
            }
        }
    }

    #[test]
    fn each_pair_meets_once() {
        for count in [2, 3, 8, 9] {
            // So near to each other that all act on all.
            let places: Vec<[f64; 3]> = (0..count)
                .map(|at| [1.0 + 0.01 * at as f64 * at as f64, 0.0, 0.0])
                .collect();
            let forces: Vec<Mutex<Force>> = places.iter().map(|_| Mutex::default()).collect();
            (0..count).for_each(|first| add_forces(first, &places, &forces));
            for (one, found) in forces.into_iter().enumerate() {
                let mut expected = Force::default();
                for other in (0..count).filter(|&other| other != one) {
                    expected.add(between(places[one], places[other]));
                }
                assert_eq!(found.into_inner().unwrap(), expected);
            }
        }
    }
}
