//! Guards taken out one at a time: each must be noticed, by the rows, by random schedules, or by
//! the model.

use crate::common::model::Cluster;
use crate::common::rows::ROWS;
use crate::common::schedule::{play, scenario};
use darner_checking::{Notice, cases, missed, model_notices, row_notices, schedules_notice};
use darner_cluster::mutants::{Mutant, plant};

/// The most that are tried.
fn schedules() -> u32 {
    cases("CLUSTER_CASES", 600)
}

fn noticed() -> Option<Notice> {
    row_notices(ROWS)
        .or_else(|| model_notices("the model", Cluster::small))
        .or_else(|| schedules_notice("schedule", 0..schedules(), scenario(), play))
}

#[test]
fn every_guard_is_needed() {
    let missed = missed(Mutant::ALL, plant, noticed);
    assert!(missed.is_empty(), "not noticed: {missed:?}");
    assert!(Mutant::ALL.len() >= 20);
}
