//! Successive over-relaxation: how heat spreads over a plate, red cells and black ones in turn.
//!
//! ```text
//! cargo xtask cluster --nodes 3 sor -- --size 512 --rounds 20
//! ```
//!
//! Each thread has a band of rows, and reads one row of each neighbour. Cells of one colour depend
//! on those of the other only, so any order within a phase gives the same; a barrier parts the phases.
//! What moves between machines are the rows where bands meet.

use std::process::ExitCode;
use std::sync::Barrier;

#[cfg(target_os = "hermit")]
use hermit as _;

mod grid;

use grid::{Colour, Grid};
use parallel::{Arguments, Checksum};

struct Options {
    threads: usize,
    size: usize,
    rounds: usize,
    seed: u64,
}

impl Options {
    fn read(given: &mut Arguments) -> Self {
        Self {
            threads: given.threads(),
            size: given.number("size", "rows and columns", 256, 3..=8192),
            rounds: given.number("rounds", "rounds of both colours", 20, 1..=1_000_000),
            seed: given.seed(),
        }
    }
}

fn main() -> ExitCode {
    parallel::main("sor", Options::read, run)
}

fn run(options: Options) -> Result<(), String> {
    let Options {
        threads,
        size,
        rounds,
        seed,
    } = options;
    let grid = Grid::random(size, &mut fastrand::Rng::with_seed(seed));
    let change = parallel::timed("relaxed", threads, || relax(&grid, rounds, threads));
    println!("{size} rows, {rounds} rounds, last change {change:.6e}");
    println!("{}", Checksum::of_floats(&grid.cells()));
    Ok(())
}

/// Relaxes with that many threads. The largest change of the last round.
fn relax(grid: &Grid, rounds: usize, threads: usize) -> f64 {
    // Between 1 and 2; the closer to 2, the larger a grid it suits.
    const OMEGA: f64 = 1.5;
    let barrier = Barrier::new(threads);
    let changes = parallel::team(threads, |me| {
        let band = parallel::share(grid.inner_rows(), threads, me);
        let mut change = 0.0;
        for _ in 0..rounds {
            change = 0.0;
            for colour in [Colour::Red, Colour::Black] {
                for row in band.clone() {
                    change = grid.relax(1 + row, colour, OMEGA).max(change);
                }
                barrier.wait();
            }
        }
        change
    });
    changes.into_iter().fold(0.0, f64::max)
}

#[cfg(test)]
mod tests {
    use super::{Grid, relax};

    #[test]
    fn any_number_of_threads_relaxes_the_same() {
        let relaxed = |threads| {
            let grid = Grid::random(30, &mut fastrand::Rng::with_seed(5));
            (relax(&grid, 12, threads), grid.cells())
        };
        let one = relaxed(1);
        for threads in [2, 3, 40] {
            assert_eq!(relaxed(threads), one);
        }
    }

    #[test]
    fn changes_become_smaller() {
        let grid = Grid::random(30, &mut fastrand::Rng::with_seed(5));
        let (first, later) = (relax(&grid, 1, 2), relax(&grid, 60, 2));
        assert!(later < first / 100.0, "{first} {later}");
    }
}
