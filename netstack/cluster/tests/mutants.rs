//! Guards taken out one at a time: each must be noticed, by the rows, by random schedules, or by
//! the model.
#![cfg(feature = "mutants")]

mod common;

use common::model::Cluster;
use common::rows::ROWS;
use common::schedule::{play, scenario};
use darner_cluster::mutants::{Mutant, plant};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use stateright::{Checker, HasDiscoveries, Model};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

/// The most that are tried; all of them with all guards in place.
fn schedules() -> u32 {
    let wanted = std::env::var("CLUSTER_CASES").ok();
    wanted.and_then(|cases| cases.parse().ok()).unwrap_or(600)
}

fn rows_notice() -> Option<String> {
    let fails = |row: &&(&str, fn())| catch_unwind(row.1).is_err();
    ROWS.iter().find(fails).map(|(name, _)| (*name).to_owned())
}

fn schedules_notice() -> Option<String> {
    let mut runner = TestRunner::new_with_rng(
        Config::default(),
        TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]),
    );
    (0..schedules()).find_map(|number| {
        let scenario = scenario()
            .new_tree(&mut runner)
            .expect("a scenario")
            .current();
        let wrong = catch_unwind(AssertUnwindSafe(|| play(&scenario).err()))
            .unwrap_or_else(|_| Some("a panic".into()))?;
        let wrong = wrong.chars().take(90).collect::<String>();
        Some(format!("schedule {number}: {wrong}"))
    })
}

fn model_notices() -> Option<String> {
    let checker = Cluster::small()
        .checker()
        .finish_when(HasDiscoveries::AnyFailures)
        .spawn_dfs()
        .join();
    let reached = ["another view", "two serve"];
    let found = checker
        .discoveries()
        .into_keys()
        .find(|property| !reached.contains(property));
    found.map(|property| format!("the model: {property}"))
}

fn noticed() -> Option<String> {
    rows_notice()
        .or_else(model_notices)
        .or_else(schedules_notice)
}

#[test]
fn every_guard_is_needed() {
    assert_eq!(noticed(), None, "with all guards in place");
    std::panic::set_hook(Box::new(|_| {}));
    let mut missed = Vec::new();
    for &mutant in Mutant::ALL {
        let start = Instant::now();
        plant(Some(mutant));
        let by = noticed();
        plant(None);
        println!(
            "{mutant:?}: {} ({:.2} s)",
            by.as_deref().unwrap_or("NOT NOTICED"),
            start.elapsed().as_secs_f64()
        );
        if by.is_none() {
            missed.push(mutant);
        }
    }
    drop(std::panic::take_hook());
    assert!(missed.is_empty(), "not noticed: {missed:?}");
    assert!(Mutant::ALL.len() >= 20);
}
