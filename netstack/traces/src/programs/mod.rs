//! The programs.
//!
//! Four are those of the literature, at its sizes: [`Sor`], [`IntegerSort`], [`Lu`], [`Ep`]. The others are there so that
//! what makes these four cheap does not make others dear.

mod ep;
mod false_sharing;
mod integer_sort;
mod k_means;
mod lu;
mod matmul;
mod random;
mod sor;
mod tsp;
mod water;

pub use ep::Ep;
pub use false_sharing::FalseSharing;
pub use integer_sort::IntegerSort;
pub use k_means::KMeans;
pub use lu::Lu;
pub use matmul::MatMul;
pub use sor::Sor;
pub use tsp::Tsp;
pub use water::Water;

use crate::cpu::Cpu;
use crate::engine::Memory;
use crate::shared::Layout;

/// A program: the same code for every node.
pub trait Program {
    /// Its name in figures.
    const NAME: &'static str;

    /// Its input, in words.
    fn input(&self) -> String;

    /// Its arrays.
    fn layout(&self) -> &Layout;

    /// A node's part; the answer is what it found out by itself.
    fn run<M: Memory>(&self, cpu: Cpu<M>) -> impl Future<Output = u64>;

    /// Whether the result is that of a sequential run; `found` are the answers of the nodes.
    fn check<M: Memory>(
        &self,
        cpu: Cpu<M>,
        found: Vec<u64>,
    ) -> impl Future<Output = Result<(), String>>;
}

/// Whether two results are the same.
fn same<T: PartialEq + std::fmt::Debug>(
    what: &str,
    found: &[T],
    expected: &[T],
) -> Result<(), String> {
    if found.len() != expected.len() {
        return Err(format!(
            "{what}: found {} of them, expected {}",
            found.len(),
            expected.len()
        ));
    }
    match found.iter().zip(expected).position(|(a, b)| a != b) {
        None => Ok(()),
        Some(at) => Err(format!(
            "{what} {at}: found {:?}, expected {:?}",
            found[at], expected[at]
        )),
    }
}

/// Whether two results are the same, but for the order of additions.
fn close(what: &str, found: &[f64], expected: &[f64]) -> Result<(), String> {
    let far = |(a, b): (&f64, &f64)| (a - b).abs() > 1e-9 * b.abs().max(1.0);
    match found.iter().zip(expected).position(far) {
        None if found.len() == expected.len() => Ok(()),
        None => same(what, found, expected),
        Some(at) => Err(format!(
            "{what} {at}: found {}, expected about {}",
            found[at], expected[at]
        )),
    }
}
