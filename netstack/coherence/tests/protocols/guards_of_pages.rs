//! Guards taken out one at a time: each must be noticed, by the rows, by random schedules, by
//! deaths, or by the model. Those that change what a program sees are noticed by litmus tests too.

use crate::common::adapting::scenario_adapting;
use crate::common::guards;
use crate::common::model::Cluster;
use crate::common::rows::ROWS;
use crate::common::schedule::{
    Scenario, play, scenario, scenario_with_deaths, scenario_with_drains,
};
use darner_checking::{Notice, missed, model_notices, quietly, row_notices, schedules_notice};
use darner_coherence::mutants::{Mutant, take_out};
use proptest::strategy::Strategy;
use std::ops::Range;

/// How many schedules are tried before anything that takes long, and how many in all.
const FEW: u32 = 2_000;
const ALL: u32 = 100_000;

fn scheduled(
    what: &'static str,
    numbers: Range<u32>,
    scenarios: impl Strategy<Value = Scenario>,
) -> Option<Notice> {
    schedules_notice(what, numbers, scenarios, play)
}

fn noticed() -> Option<Notice> {
    row_notices(ROWS)
        .or_else(|| model_notices("the model", || Cluster::one_page(3, 1)))
        .or_else(|| scheduled("schedule", 0..FEW, scenario()))
        .or_else(|| scheduled("schedule with deaths", 0..FEW, scenario_with_deaths()))
        .or_else(|| scheduled("schedule with drains", 0..FEW, scenario_with_drains()))
        .or_else(|| model_notices("the model of everything", || Cluster::everything(2, 0)))
        .or_else(|| model_notices("the model that adapts", || Cluster::adapting(2, 2)))
        .or_else(|| scheduled("schedule with deaths", FEW..ALL, scenario_with_deaths()))
        .or_else(|| scheduled("schedule", FEW..ALL, scenario()))
        .or_else(|| scheduled("adapting schedule", 0..ALL, scenario_adapting()))
}

#[test]
fn every_guard_of_pages_is_needed() {
    let missed = missed(Mutant::PAGES, take_out, noticed);
    assert!(missed.is_empty(), "not noticed: {missed:?}");
    assert!(Mutant::PAGES.len() >= 20);
}

/// Guards that only drains need.
#[test]
fn every_guard_of_drains_is_needed() {
    let of_drains = [Mutant::CededUnheard, Mutant::NothingSaidOfZeros];
    let noticed = || scheduled("schedule with drains", 0..FEW, scenario_with_drains());
    let missed = missed(&of_drains, take_out, noticed);
    assert!(missed.is_empty(), "not noticed: {missed:?}");
}

#[test]
fn programs_notice_guards_that_are_taken_out() {
    let missed = quietly(guards::missed);
    assert!(missed.is_empty(), "not noticed by programs: {missed:?}");
}
