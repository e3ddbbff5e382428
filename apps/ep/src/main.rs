//! EP of the NAS parallel benchmarks: draws pairs of Gaussian random numbers and counts in which
//! square ring each falls.
//!
//! ```text
//! cargo xtask cluster --nodes 2 ep -- --log2-pairs 24
//! ```
//!
//! *Embarrassingly parallel*: each thread knows from its number which part of the random numbers is
//! its own, and nothing is shared until the end. So it shows how fast a number of machines can be
//! at best.

use std::process::ExitCode;

#[cfg(target_os = "hermit")]
use hermit as _;

mod gauss;
mod random;

use gauss::Tally;
use parallel::Arguments;

/// Pairs of one batch. Sums of floating-point numbers depend on the order, so they are taken
/// batch by batch, whoever did which.
const BATCH: u64 = 1 << 12;

struct Options {
    threads: usize,
    pairs: u64,
    seed: u64,
}

impl Options {
    fn read(given: &mut Arguments) -> Self {
        let about = "logarithm of the number of pairs";
        Self {
            threads: given.threads(),
            pairs: 1 << given.number("log2-pairs", about, 22, 1..=40),
            // The benchmark's own.
            seed: given.number("seed", "an odd number", 271_828_183, 1..=(1 << 46) - 1),
        }
    }
}

fn main() -> ExitCode {
    parallel::main("ep", Options::read, run)
}

fn run(options: Options) -> Result<(), String> {
    let Options {
        threads,
        pairs,
        seed,
    } = options;
    if seed.is_multiple_of(2) {
        // The sequence would run into 0, whose successor is 0.
        return Err(format!("--seed: expected an odd number, found {seed}"));
    }
    let tally = parallel::timed("drawn", threads, || draw(pairs, seed, threads));
    print!("{tally}");
    Ok(())
}

/// Draws `pairs` pairs with that many threads.
fn draw(pairs: u64, seed: u64, threads: usize) -> Tally {
    let batches = pairs.div_ceil(BATCH);
    let batch = |number: u64| {
        let before = number * BATCH;
        Tally::of(seed, before, BATCH.min(pairs - before))
    };
    let drawn = parallel::team(threads, |me| {
        let mine = parallel::share(batches as usize, threads, me);
        mine.map(|number| batch(number as u64)).collect::<Vec<_>>()
    });
    let in_order = drawn.into_iter().flatten();
    in_order.fold(Tally::default(), Tally::and)
}

#[cfg(test)]
mod tests {
    use super::draw;

    #[test]
    fn any_number_of_threads_draws_the_same() {
        let one = draw(50_000, 5, 1);
        assert_eq!(one.accepted(), one.rings.iter().sum());
        for threads in 2..6 {
            assert_eq!(draw(50_000, 5, threads), one);
        }
    }

    /// The results that the benchmark gives for its class S.
    #[test]
    fn draws_what_the_benchmark_draws() {
        let tally = draw(1 << 24, 271_828_183, 2);
        assert!((tally.x / -3.247_834_652_034_74e3 - 1.0).abs() < 1e-8);
        assert!((tally.y / -6.958_407_078_382_297e3 - 1.0).abs() < 1e-8);
        assert_eq!(tally.accepted(), 13_176_389);
    }
}
