//! Locks and conditions under as much contention as there can be. Each part keeps something that
//! must hold at every moment, and looks whether it does.
//!
//! ```text
//! cargo xtask cluster --nodes 3 torture -- --turns 3000
//! ```
//!
//! Each part prints one line; the exit status is 1 if one did not hold. What the locks protect is spread
//! over several pages, and neighbours in memory belong to different locks: so between machines
//! whoever has a lock often finds that what it protects is elsewhere.

use std::process::ExitCode;

#[cfg(target_os = "hermit")]
use hermit as _;

mod bank;
mod book;
mod notify;
mod queue;

use parallel::Arguments;

/// What all threads of a part do together.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// How many threads.
    pub threads: usize,
    /// How many turns, of all threads together.
    pub turns: usize,
    /// What is random comes from it.
    pub seed: u64,
}

impl Load {
    fn read(given: &mut Arguments) -> Self {
        Self {
            threads: given.threads(),
            turns: given.number(
                "turns",
                "of all threads together, in each part",
                6000,
                1..=1 << 40,
            ),
            seed: given.seed(),
        }
    }

    /// The random numbers of one thread.
    fn random(&self, me: usize) -> fastrand::Rng {
        fastrand::Rng::with_seed(self.seed.wrapping_add((me as u64) << 32))
    }
}

/// What a part found: a line about what held, or what did not.
type Outcome = Result<String, String>;

/// A part's name, and what it does.
type Part = (&'static str, fn(Load) -> Outcome);

/// All parts.
const PARTS: [Part; 4] = [
    ("mutex", bank::run),
    ("condvar", queue::run),
    ("notify", notify::run),
    ("rwlock", book::run),
];

fn main() -> ExitCode {
    parallel::main("torture", Load::read, run)
}

fn run(load: Load) -> Result<(), String> {
    let mut failed = 0;
    for (name, part) in PARTS {
        match parallel::timed(name, load.threads, || part(load)) {
            Ok(held) => println!("ok     {name}: {held}"),
            Err(broken) => {
                println!("FAILED {name}: {broken}");
                failed += 1;
            }
        }
    }
    match failed {
        0 => Ok(()),
        _ => Err(format!("{failed} parts did not hold")),
    }
}

/// The first error of several threads.
fn all<T>(results: Vec<Result<T, String>>) -> Result<Vec<T>, String> {
    results.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::{Load, PARTS};

    #[test]
    fn all_parts_hold_and_say_the_same_with_any_number_of_threads() {
        let outcomes = |threads| {
            let load = Load {
                threads,
                turns: 500,
                seed: 1,
            };
            PARTS.map(|(_, part)| part(load).unwrap())
        };
        let one = outcomes(1);
        for threads in [2, 5] {
            assert_eq!(outcomes(threads), one);
        }
    }
}
