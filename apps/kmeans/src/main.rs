//! Groups points: each belongs to the nearest of some centres, and each centre is the mean of its
//! points.
//!
//! ```text
//! cargo xtask cluster --nodes 3 kmeans -- --points 100000 --groups 12
//! ```
//!
//! The points stay where they are, and each thread adds up its own. Once in a round everybody adds
//! a few sums to the common ones, under a lock, and one of them makes the new centres. Coordinates are
//! whole numbers, so it does not matter who comes first.

use std::process::ExitCode;
use std::sync::{Barrier, Mutex, RwLock};

#[cfg(target_os = "hermit")]
use hermit as _;

mod points;

use parallel::{Arguments, Checksum};
use points::{Point, Sums, nearest};

struct Options {
    threads: usize,
    points: usize,
    groups: usize,
    rounds: usize,
    seed: u64,
}

impl Options {
    fn read(given: &mut Arguments) -> Self {
        Self {
            threads: given.threads(),
            points: given.number("points", "points", 20_000, 1..=1 << 30),
            groups: given.number("groups", "groups", 8, 1..=1 << 16),
            rounds: given.number("rounds", "rounds at most", 20, 1..=1 << 30),
            seed: given.seed(),
        }
    }
}

fn main() -> ExitCode {
    parallel::main("kmeans", Options::read, run)
}

fn run(options: Options) -> Result<(), String> {
    if options.groups > options.points {
        let Options { groups, points, .. } = options;
        return Err(format!(
            "--groups: expected at most as many as points ({points}), found {groups}"
        ));
    }
    let points = points::random(options.points, options.groups, options.seed);
    let Grouping { centres, rounds } =
        parallel::timed("grouped", options.threads, || group(&points, &options));
    for centre in centres.iter().take(8) {
        println!("{centre:?}");
    }
    let numbers = centres.as_flattened().iter().map(|&number| number as u64);
    println!("{rounds} rounds, {}", Checksum::of_integers(numbers));
    Ok(())
}

/// What came out.
#[derive(Debug, PartialEq)]
struct Grouping {
    centres: Vec<Point>,
    rounds: usize,
}

/// Groups until no centre moves any more.
fn group(points: &[Point], options: &Options) -> Grouping {
    let &Options {
        threads, groups, ..
    } = options;
    let centres = RwLock::new(points[..groups].to_vec());
    let common = Mutex::new(Sums::new(groups));
    let barrier = Barrier::new(threads);
    let rounds = parallel::team(threads, |me| {
        let mine = &points[parallel::share(points.len(), threads, me)];
        for round in 1..=options.rounds {
            let before = centres.read().expect("no thread panics").clone();
            let mut sums = Sums::new(groups);
            for point in mine {
                sums.add(nearest(point, &before), point);
            }
            common.lock().expect("no thread panics").merge(&sums);
            if barrier.wait().is_leader() {
                let mut common = common.lock().expect("no thread panics");
                *centres.write().expect("no thread panics") = common.means(&before);
                *common = Sums::new(groups);
            }
            barrier.wait();
            if *centres.read().expect("no thread panics") == before {
                return round;
            }
        }
        options.rounds
    });
    Grouping {
        centres: centres.into_inner().expect("no thread panics"),
        rounds: rounds[0],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::points::DIMENSIONS;

    #[test]
    fn any_number_of_threads_groups_the_same() {
        let options = |threads| Options {
            threads,
            points: 3000,
            groups: 5,
            rounds: 50,
            seed: 1,
        };
        let points = points::random(3000, 5, 1);
        let one = group(&points, &options(1));
        assert!(one.rounds > 1 && one.centres.len() == 5);
        for threads in [2, 3, 7] {
            assert_eq!(group(&points, &options(threads)), one);
        }
    }

    #[test]
    fn each_centre_is_the_mean_of_its_points() {
        let points: Vec<Point> = [0, 2, 100, 104].map(|at| [at; DIMENSIONS]).to_vec();
        let options = Options {
            threads: 2,
            points: 4,
            groups: 2,
            rounds: 10,
            seed: 0,
        };
        let centres = group(&points, &options).centres;
        assert_eq!(centres, [[1; DIMENSIONS], [102; DIMENSIONS]]);
    }
}
