//! Multiplies two matrices, each thread some rows.
//!
//! ```text
//! cargo xtask cluster --nodes 2 matmul -- --size 512
//! ```
//!
//! Both factors are read by all threads and written by none: each machine fetches their pages once and
//! keeps them. A thread's rows of the product are its own. That is what cluster memory is best at.

use std::process::ExitCode;

#[cfg(target_os = "hermit")]
use hermit as _;

mod matrix;

use matrix::Matrix;
use parallel::{Arguments, Checksum};

struct Options {
    threads: usize,
    size: usize,
    seed: u64,
}

impl Options {
    fn read(given: &mut Arguments) -> Self {
        Self {
            threads: given.threads(),
            size: given.number("size", "rows and columns", 256, 1..=8192),
            seed: given.seed(),
        }
    }
}

fn main() -> ExitCode {
    parallel::main("matmul", Options::read, run)
}

fn run(options: Options) -> Result<(), String> {
    let Options {
        threads,
        size,
        seed,
    } = options;
    let mut random = fastrand::Rng::with_seed(seed);
    let a = Matrix::random(size, &mut random);
    let b = Matrix::random(size, &mut random);
    let product = parallel::timed("multiplied", threads, || multiply(&a, &b, threads));
    if !is_product(&product, &a, &b, &mut random) {
        return Err("the product is wrong".into());
    }
    println!("{size} rows, {}", Checksum::of_floats(&product.cells));
    Ok(())
}

/// The product of two matrices, by that many threads.
fn multiply(a: &Matrix, b: &Matrix, threads: usize) -> Matrix {
    let size = a.size;
    let mut product = Matrix::zero(size);
    std::thread::scope(|scope| {
        let mut first = 0;
        for rows in parallel::divide(&mut product.cells, size, threads) {
            let next = first + rows.len() / size;
            scope.spawn(move || {
                for (row, cells) in (first..next).zip(rows.chunks_exact_mut(size)) {
                    multiply_row(a.row(row), b, cells);
                }
            });
            first = next;
        }
    });
    product
}

/// Adds to `cells` the product of one row and a matrix, row by row of the matrix: that is how they
/// lie in memory.
fn multiply_row(row: &[f64], matrix: &Matrix, cells: &mut [f64]) {
    for (index, &factor) in row.iter().enumerate() {
        for (cell, &other) in cells.iter_mut().zip(matrix.row(index)) {
            *cell += factor * other;
        }
    }
}

/// Freivalds' check: a matrix that is not the product maps few vectors as the product does. All
/// numbers are whole and small, so there is no rounding.
fn is_product(product: &Matrix, a: &Matrix, b: &Matrix, random: &mut fastrand::Rng) -> bool {
    (0..4).all(|_| {
        let vector: Vec<f64> = (0..a.size).map(|_| random.i32(-8..=8).into()).collect();
        product.apply(&vector) == a.apply(&b.apply(&vector))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn factors(size: usize) -> (Matrix, Matrix, fastrand::Rng) {
        let mut random = fastrand::Rng::with_seed(1);
        let a = Matrix::random(size, &mut random);
        (a, Matrix::random(size, &mut random), random)
    }

    #[test]
    fn any_number_of_threads_multiplies_the_same() {
        let (a, b, mut random) = factors(37);
        let one = multiply(&a, &b, 1);
        assert!(is_product(&one, &a, &b, &mut random));
        for threads in [2, 5, 36, 40] {
            assert_eq!(multiply(&a, &b, threads).cells, one.cells);
        }
    }

    #[test]
    fn a_wrong_cell_is_noticed() {
        let (a, b, mut random) = factors(20);
        let mut product = multiply(&a, &b, 2);
        product.cells[77] += 1.0;
        assert!(!is_product(&product, &a, &b, &mut random));
    }
}
