//! Guards of range records, range locks and waiting places taken out one at a time: each must
//! be noticed.
#![cfg(feature = "mutants")]

mod locking;
mod waiting;

use darner_coherence::mutants::{Mutant, take_out};
use locking::fairness::FAIRNESS;
use locking::rows::ROWS;
use locking::schedule::{
    Scenario, play, scenario, scenario_short_of_records, scenario_with_deaths,
};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use stateright::{Checker, Expectation, HasDiscoveries, Model};
use std::fmt::Debug;
use std::hash::Hash;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

const SCHEDULES: u32 = 3_000;

fn notices(rows: &[(&str, fn())]) -> Option<String> {
    let fails = |row: &&(&str, fn())| catch_unwind(row.1).is_err();
    let noticed = rows.iter().find(fails);
    noticed.map(|(name, _)| (*name).to_owned())
}

fn rows_notice() -> Option<String> {
    notices(ROWS).or_else(|| notices(FAIRNESS))
}

fn schedules_notice(
    what: &str,
    schedules: u32,
    scenarios: impl Strategy<Value = Scenario>,
) -> Option<String> {
    let mut runner = TestRunner::new_with_rng(
        Config::default(),
        TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]),
    );
    (0..schedules).find_map(|number| {
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

fn model_notices<M>(model: M) -> Option<String>
where
    M: Model<
            State: Clone + Debug + Hash + PartialEq + Send + Sync,
            Action: Clone + Debug + PartialEq + Send + Sync,
        > + Send
        + Sync
        + 'static,
{
    let checker = model
        .checker()
        .finish_when(HasDiscoveries::AnyFailures)
        .spawn_dfs()
        .join();
    let names = checker.discoveries();
    let violated = checker.model().properties().into_iter().find(|property| {
        property.expectation != Expectation::Sometimes && names.contains_key(property.name)
    });
    violated.map(|property| format!("the model: {}", property.name))
}

fn locks_notice() -> Option<String> {
    rows_notice()
        .or_else(|| model_notices(locking::model::Cluster::a_thread_each(2, 1)))
        .or_else(|| schedules_notice("schedule", SCHEDULES, scenario()))
        .or_else(|| schedules_notice("schedule with deaths", SCHEDULES, scenario_with_deaths()))
        .or_else(|| {
            let scenarios = scenario_short_of_records();
            schedules_notice("schedule short of records", SCHEDULES / 30, scenarios)
        })
}

fn parking_notices() -> Option<String> {
    use waiting::model::Cluster;
    notices(waiting::rows::ROWS)
        .or_else(|| model_notices(Cluster::again_and_again(2)))
        .or_else(|| model_notices(Cluster::takers_and_putters()))
        .or_else(|| model_notices(Cluster::moved()))
        .or_else(|| model_notices(Cluster::a_death()))
}

/// Those of the mutants that nothing notices.
fn missed(mutants: &[Mutant], notice: fn() -> Option<String>) -> Vec<Mutant> {
    let noticed = |&mutant: &Mutant| {
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

#[test]
fn every_guard_of_locks_and_waiting_is_needed() {
    assert_eq!(locks_notice(), None, "with all guards in place");
    assert_eq!(parking_notices(), None, "with all guards in place");
    std::panic::set_hook(Box::new(|_| {}));
    let mut missed_by_all = missed(Mutant::LOCKS, locks_notice);
    missed_by_all.extend(missed(Mutant::PARKING, parking_notices));
    drop(std::panic::take_hook());
    assert!(missed_by_all.is_empty(), "not noticed: {missed_by_all:?}");
    assert!(Mutant::LOCKS.len() + Mutant::PARKING.len() >= 20);
}
