//! Factors a matrix into a lower and an upper triangle, block by block, as LU of SPLASH-2.
//!
//! ```text
//! cargo xtask cluster --nodes 2 lu -- --blocks 16 --side 32
//! ```
//!
//! Each block has one owner, who alone writes to it; blocks lie in memory one by one, so one that is
//! 23 numbers wide or more has pages of its own. Of what others have done in a step, a thread reads one row and one
//! column of blocks. Three barriers a step part who writes from who reads; the locks are never
//! waited for, but they are how the compiler knows.

use std::process::ExitCode;
use std::sync::Barrier;

#[cfg(target_os = "hermit")]
use hermit as _;

mod block;
mod matrix;

use matrix::Matrix;
use parallel::{Arguments, Checksum};

struct Options {
    threads: usize,
    blocks: usize,
    side: usize,
    seed: u64,
}

impl Options {
    fn read(given: &mut Arguments) -> Self {
        Self {
            threads: given.threads(),
            blocks: given.number("blocks", "rows and columns of blocks", 8, 1..=256),
            side: given.number("side", "rows and columns of a block", 24, 1..=256),
            seed: given.seed(),
        }
    }
}

fn main() -> ExitCode {
    parallel::main("lu", Options::read, run)
}

fn run(options: Options) -> Result<(), String> {
    let Options {
        threads,
        blocks,
        side,
        seed,
    } = options;
    let matrix = Matrix::random(blocks, side, &mut fastrand::Rng::with_seed(seed));
    let original = matrix.rows();
    parallel::timed("factored", threads, || factor(&matrix, threads));
    let factors = matrix.rows();
    let error = matrix::error(&factors, &original);
    if error > 1e-10 {
        return Err(format!("the product of the factors is off by {error:e}"));
    }
    println!("{} rows", factors.len());
    println!("{}", Checksum::of_floats(factors.iter().flatten()));
    Ok(())
}

/// Puts both triangles in the matrix's place, with that many threads.
fn factor(matrix: &Matrix, threads: usize) {
    let barrier = Barrier::new(threads);
    parallel::team(threads, |me| {
        for step in 0..matrix.blocks {
            let is_mine = |row: usize, column: usize| matrix.owner(row, column, threads) == me;
            if is_mine(step, step) {
                block::factor(&mut matrix.write(step, step), matrix.side);
            }
            barrier.wait();
            for other in step + 1..matrix.blocks {
                if is_mine(step, other) {
                    let diagonal = matrix.read(step, step);
                    block::divide_lower(&mut matrix.write(step, other), &diagonal, matrix.side);
                }
                if is_mine(other, step) {
                    let diagonal = matrix.read(step, step);
                    block::divide_upper(&mut matrix.write(other, step), &diagonal, matrix.side);
                }
            }
            barrier.wait();
            for row in step + 1..matrix.blocks {
                for column in (step + 1..matrix.blocks).filter(|&column| is_mine(row, column)) {
                    let (left, above) = (matrix.read(row, step), matrix.read(step, column));
                    let mut block = matrix.write(row, column);
                    block::subtract_product(&mut block, &left, &above, matrix.side);
                }
            }
            barrier.wait();
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn factors(threads: usize) -> (Vec<Vec<f64>>, Vec<Vec<f64>>) {
        let matrix = Matrix::random(5, 7, &mut fastrand::Rng::with_seed(2));
        let original = matrix.rows();
        factor(&matrix, threads);
        (matrix.rows(), original)
    }

    #[test]
    fn any_number_of_threads_factors_the_same() {
        let (one, original) = factors(1);
        assert!(matrix::error(&one, &original) < 1e-12);
        for threads in [2, 3, 6, 30] {
            assert_eq!(factors(threads).0, one, "{threads} threads");
        }
    }

    #[test]
    fn wrong_factors_are_noticed() {
        let (mut factors, original) = factors(1);
        factors[20][3] += 1e-6;
        assert!(matrix::error(&factors, &original) > 1e-8);
    }
}
