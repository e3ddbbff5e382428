//! Guards taken out one at a time: each must be noticed, by the rows, by random schedules, by
//! deaths, or by the model. Those that change what a program sees are noticed by litmus tests too.
#![cfg(feature = "mutants")]

mod common;

use common::adapting::scenario_adapting;
use common::model::Cluster;
use common::rows::ROWS;
use common::schedule::{Scenario, play, scenario, scenario_with_deaths};
use darner_checking::{missed, row_notices, schedules_notice, violated};
use darner_coherence::mutants::{Mutant, take_out};
use proptest::strategy::Strategy;

const SCHEDULES: u32 = 30_000;

fn scheduled(what: &str, scenarios: impl Strategy<Value = Scenario>) -> Option<String> {
    schedules_notice(what, SCHEDULES, scenarios, play)
}

fn model_notices(name: &str, cluster: Cluster) -> Option<String> {
    violated(cluster).map(|property| format!("{name}: {property}"))
}

fn noticed() -> Option<String> {
    row_notices(ROWS)
        .or_else(|| model_notices("the model", Cluster::one_page(3, 1)))
        .or_else(|| model_notices("the model of everything", Cluster::everything(2, 0)))
        .or_else(|| scheduled("schedule", scenario()))
        .or_else(|| model_notices("the model that adapts", Cluster::adapting(2, 2)))
        .or_else(|| scheduled("schedule with deaths", scenario_with_deaths()))
        .or_else(|| scheduled("adapting schedule", scenario_adapting()))
}

#[test]
fn every_guard_is_needed() {
    assert_eq!(noticed(), None, "with all guards in place");
    std::panic::set_hook(Box::new(|_| {}));
    let missed = missed(Mutant::PAGES, take_out, noticed);
    let missed_by_programs = common::guards::missed();
    drop(std::panic::take_hook());
    assert!(missed.is_empty(), "not noticed: {missed:?}");
    assert!(
        missed_by_programs.is_empty(),
        "not noticed by programs: {missed_by_programs:?}"
    );
    assert!(Mutant::PAGES.len() >= 20);
}
