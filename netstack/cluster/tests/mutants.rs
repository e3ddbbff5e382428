//! Guards taken out one at a time: each must be noticed, by the rows, by random schedules, or by
//! the model.
#![cfg(feature = "mutants")]

mod common;

use common::model::Cluster;
use common::rows::ROWS;
use common::schedule::{play, scenario};
use darner_checking::{cases, missed, row_notices, schedules_notice, violated};
use darner_cluster::mutants::{Mutant, plant};

/// The most that are tried; all of them with all guards in place.
fn schedules() -> u32 {
    cases("CLUSTER_CASES", 600)
}

fn noticed() -> Option<String> {
    row_notices(ROWS)
        .or_else(|| violated(Cluster::small()).map(|property| format!("the model: {property}")))
        .or_else(|| schedules_notice("schedule", schedules(), scenario(), play))
}

#[test]
fn every_guard_is_needed() {
    assert_eq!(noticed(), None, "with all guards in place");
    std::panic::set_hook(Box::new(|_| {}));
    let missed = missed(Mutant::ALL, plant, noticed);
    drop(std::panic::take_hook());
    assert!(missed.is_empty(), "not noticed: {missed:?}");
    assert!(Mutant::ALL.len() >= 20);
}
