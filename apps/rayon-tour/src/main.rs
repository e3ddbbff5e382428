//! Has rayon do what it offers, as on any machine: its threads are the standard library's, so they
//! run wherever those do.
//!
//! ```text
//! cargo xtask cluster --nodes 3 rayon-tour
//! ```
//!
//! Each result is checked against what one thread gets, or against what is known of it.

use std::process::ExitCode;

#[cfg(target_os = "hermit")]
use hermit as _;

mod joins;
mod loops;
mod tasks;

use parallel::Arguments;
use rayon::ThreadPoolBuilder;

/// How much there is to do, and from what it is made.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// Elements of what is sorted or added.
    pub elements: usize,
    /// Rows of the chess board.
    pub queens: u32,
    /// What is random comes from it.
    pub seed: u64,
}

impl Size {
    /// The elements.
    fn numbers(&self) -> Vec<u64> {
        let mut random = fastrand::Rng::with_seed(self.seed);
        (0..self.elements).map(|_| random.u64(..)).collect()
    }
}

/// A part: what it found, or what is wrong.
type Outcome = Result<String, String>;

/// A part's name, and what it does.
type Part = (&'static str, fn(Size) -> Outcome);

/// All parts.
const PARTS: [Part; 6] = [
    ("map and sum", loops::sum),
    ("filter and collect", loops::collect),
    ("chunks", loops::chunks),
    ("sort", loops::sort),
    ("join", joins::queens),
    ("scope", tasks::scope),
];

fn main() -> ExitCode {
    let read = |given: &mut Arguments| {
        let size = Size {
            elements: given.number("elements", "elements of lists", 20_000, 1..=1 << 32),
            queens: given.number("queens", "rows of the chess board", 8, 1..=16),
            seed: given.seed(),
        };
        (given.threads(), size)
    };
    parallel::main("rayon-tour", read, |(threads, size)| run(threads, size))
}

fn run(threads: usize, size: Size) -> Result<(), String> {
    let pool = ThreadPoolBuilder::new().num_threads(threads).build();
    let pool = pool.map_err(|error| format!("cannot start {threads} threads: {error}"))?;
    for (name, part) in PARTS {
        let found = parallel::timed(name, threads, || pool.install(|| part(size)));
        let found = found.map_err(|error| format!("{name}: {error}"))?;
        println!("{name}: {found}");
    }
    Ok(())
}

/// An error unless the two are equal.
fn same<T: PartialEq>(found: &T, expected: &T) -> Result<(), String> {
    match found == expected {
        true => Ok(()),
        false => Err("several threads found something else than one".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::{Size, run};

    #[test]
    fn all_parts_are_right() {
        for threads in [1, 4] {
            run(
                threads,
                Size {
                    elements: 3000,
                    queens: 6,
                    seed: 2,
                },
            )
            .unwrap();
        }
    }
}
