//! Guards of a protocol that are taken out one at a time: each must be noticed.

use crate::models::{Explored, violated};
use crate::quiet::quietly;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use std::collections::BTreeSet;
use std::fmt::Debug;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

/// A test of exact steps, and its name.
pub type Row = (&'static str, fn());

/// What fails while a guard is taken out.
pub struct Notice {
    test: String,
    wrong: String,
    /// Does the same again; whether it passes.
    passes: Box<dyn Fn() -> bool>,
}

/// The first row that fails.
#[must_use]
pub fn row_notices(rows: &[Row]) -> Option<Notice> {
    let passes = |row: fn()| catch_unwind(row).is_ok();
    let &(name, row) = rows.iter().find(|&&(_, row)| !passes(row))?;
    Some(Notice {
        test: name.to_owned(),
        wrong: "fails".to_owned(),
        passes: Box::new(move || passes(row)),
    })
}

/// A property that a model violates, or that its code panics.
#[must_use]
pub fn model_notices<M: Explored>(name: &str, model: fn() -> M) -> Option<Notice> {
    let wrong = move || {
        let found = catch_unwind(AssertUnwindSafe(|| violated(&model())));
        found.unwrap_or(Some("a panic"))
    };
    Some(Notice {
        test: name.to_owned(),
        wrong: wrong()?.to_owned(),
        passes: Box::new(move || wrong().is_none()),
    })
}

/// The first of numbered scenarios, each the same each time, of which `play` says that something is
/// wrong, or panics.
///
/// # Panics
///
/// When there is no scenario.
pub fn schedules_notice<S, W>(
    what: &str,
    mut numbers: impl Iterator<Item = u32>,
    scenarios: S,
    play: fn(&S::Value) -> Result<W, String>,
) -> Option<Notice>
where
    S: Strategy<Value: 'static>,
    W: 'static,
{
    let wrong = move |scenario: &S::Value| {
        catch_unwind(AssertUnwindSafe(|| play(scenario).err()))
            .unwrap_or_else(|_| Some("a panic".into()))
    };
    numbers.find_map(|number| {
        let scenario = numbered(&scenarios, number);
        let wrong_here: String = wrong(&scenario)?.chars().take(90).collect();
        Some(Notice {
            test: format!("{what} {number}"),
            wrong: wrong_here,
            passes: Box::new(move || wrong(&scenario).is_none()),
        })
    })
}

/// The scenario of this number, which does not depend on those before.
fn numbered<S: Strategy>(scenarios: &S, number: u32) -> S::Value {
    let mut seed = [7; 32];
    seed[..4].copy_from_slice(&number.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    scenarios
        .new_tree(&mut runner)
        .expect("a scenario")
        .current()
}

/// Those of the mutants that nothing notices. Says what noticed the others, and how soon.
///
/// # Panics
///
/// When what has noticed a mutant fails with all guards in place, too.
pub fn missed<M: Copy + Debug>(
    mutants: &[M],
    take_out: fn(Option<M>),
    notice: impl Fn() -> Option<Notice>,
) -> Vec<M> {
    let mut sound = BTreeSet::new();
    let mut noticed = |&mutant: &M| {
        let start = Instant::now();
        take_out(Some(mutant));
        let notice = quietly(&notice);
        take_out(None);
        let seconds = start.elapsed().as_secs_f64();
        let Some(Notice {
            test,
            wrong,
            passes,
        }) = notice
        else {
            println!("{mutant:?}: NOT NOTICED ({seconds:.2} s)");
            return false;
        };
        println!("{mutant:?}: {test}: {wrong} ({seconds:.2} s)");
        assert!(
            sound.contains(&test) || passes(),
            "{test} fails with all guards in place"
        );
        sound.insert(test);
        true
    };
    let missed = mutants.iter().copied().filter(|mutant| !noticed(mutant));
    missed.collect()
}
