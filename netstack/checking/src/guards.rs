//! Guards of a protocol that are taken out one at a time: each must be noticed.

use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use std::fmt::Debug;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

/// A test of exact steps, and its name.
pub type Row = (&'static str, fn());

/// The first row that fails.
#[must_use]
pub fn row_notices(rows: &[Row]) -> Option<String> {
    let fails = |row: &&Row| catch_unwind(row.1).is_err();
    rows.iter().find(fails).map(|(name, _)| (*name).to_owned())
}

/// The first of `count` scenarios, the same ones each time, of which `play` says that something is
/// wrong, or panics.
///
/// # Panics
///
/// When there is no scenario.
pub fn schedules_notice<S: Strategy, W>(
    what: &str,
    count: u32,
    scenarios: S,
    play: impl Fn(&S::Value) -> Result<W, String>,
) -> Option<String> {
    let mut runner = TestRunner::new_with_rng(
        Config::default(),
        TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]),
    );
    (0..count).find_map(|number| {
        let scenario = scenarios
            .new_tree(&mut runner)
            .expect("a scenario")
            .current();
        let wrong = catch_unwind(AssertUnwindSafe(|| play(&scenario).err()))
            .unwrap_or_else(|_| Some("a panic".into()))?;
        let wrong: String = wrong.chars().take(90).collect();
        Some(format!("{what} {number}: {wrong}"))
    })
}

/// Those of the mutants that nothing notices. Says what noticed the others, and how soon.
pub fn missed<M: Copy + Debug>(
    mutants: &[M],
    take_out: fn(Option<M>),
    notice: impl Fn() -> Option<String>,
) -> Vec<M> {
    let noticed = |&mutant: &M| {
        let start = Instant::now();
        take_out(Some(mutant));
        let by = notice();
        take_out(None);
        println!(
            "{mutant:?}: {} ({:.2} s)",
            by.as_deref().unwrap_or("NOT NOTICED"),
            start.elapsed().as_secs_f64()
        );
        by.is_some()
    };
    let missed = mutants.iter().copied().filter(|mutant| !noticed(mutant));
    missed.collect()
}
