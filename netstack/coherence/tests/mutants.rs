//! Guards taken out one at a time: each must be noticed, by the rows, by random schedules, by
//! deaths, or by the model. Those that change what a program sees are noticed by litmus tests too.
#![cfg(feature = "mutants")]

mod common;

use common::model::Cluster;
use common::rows::ROWS;
use common::schedule::{Scenario, play, scenario, scenario_with_deaths};
use darner_coherence::mutants::{Mutant, take_out};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use stateright::{Checker, HasDiscoveries, Model};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

const SCHEDULES: u32 = 30_000;

fn runner() -> TestRunner {
    TestRunner::new_with_rng(
        Config::default(),
        TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]),
    )
}

fn rows_notice() -> Option<String> {
    let fails = |row: &&(&str, fn())| catch_unwind(row.1).is_err();
    ROWS.iter().find(fails).map(|(name, _)| (*name).to_owned())
}

fn schedules_notice(what: &str, scenarios: impl Strategy<Value = Scenario>) -> Option<String> {
    let mut runner = runner();
    (0..SCHEDULES).find_map(|number| {
        let scenario = scenarios
            .new_tree(&mut runner)
            .expect("a scenario")
            .current();
        let wrong = catch_unwind(AssertUnwindSafe(|| play(&scenario).err()))
            .unwrap_or_else(|_| Some("a panic".into()))?;
        Some(format!(
            "{what} {number}: {}",
            wrong.chars().take(90).collect::<String>()
        ))
    })
}

fn model_notices(name: &str, cluster: Cluster) -> Option<String> {
    let checker = cluster
        .checker()
        .finish_when(HasDiscoveries::AnyFailures)
        .spawn_dfs()
        .join();
    let properties = ["many read", "a third node writes"];
    let found = checker
        .discoveries()
        .into_keys()
        .find(|property| !properties.contains(property));
    found.map(|property| format!("{name}: {property}"))
}

fn noticed() -> Option<String> {
    rows_notice()
        .or_else(|| model_notices("the model", Cluster::one_page(3, 1)))
        .or_else(|| model_notices("the model of everything", Cluster::everything(2, 0)))
        .or_else(|| schedules_notice("schedule", scenario()))
        .or_else(|| schedules_notice("schedule with deaths", scenario_with_deaths()))
}

#[test]
fn every_guard_is_needed() {
    assert_eq!(noticed(), None, "with all guards in place");
    std::panic::set_hook(Box::new(|_| {}));
    let mut missed = Vec::new();
    for &mutant in Mutant::PAGES {
        let start = Instant::now();
        take_out(Some(mutant));
        let by = noticed();
        take_out(None);
        println!(
            "{mutant:?}: {} ({:.2} s)",
            by.as_deref().unwrap_or("NOT NOTICED"),
            start.elapsed().as_secs_f64()
        );
        if by.is_none() {
            missed.push(mutant);
        }
    }
    let missed_by_programs = common::guards::missed();
    drop(std::panic::take_hook());
    assert!(missed.is_empty(), "not noticed: {missed:?}");
    assert!(
        missed_by_programs.is_empty(),
        "not noticed by programs: {missed_by_programs:?}"
    );
    assert!(Mutant::PAGES.len() >= 20);
}
