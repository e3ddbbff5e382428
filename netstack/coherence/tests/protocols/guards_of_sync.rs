//! Guards of range records, range locks and waiting places taken out one at a time: each must
//! be noticed.

use crate::locking::fairness::FAIRNESS;
use crate::locking::rows::ROWS;
use crate::locking::schedule::{
    Scenario, play, scenario, scenario_short_of_records, scenario_with_deaths,
};
use crate::{locking, waiting};
use darner_checking::{Notice, missed, model_notices, row_notices, schedules_notice};
use darner_coherence::mutants::{Mutant, take_out};
use proptest::strategy::Strategy;

const SCHEDULES: u32 = 3_000;

fn scheduled(
    what: &'static str,
    schedules: u32,
    scenarios: impl Strategy<Value = Scenario>,
) -> Option<Notice> {
    schedules_notice(what, 0..schedules, scenarios, play)
}

fn locks_notice() -> Option<Notice> {
    row_notices(ROWS)
        .or_else(|| row_notices(FAIRNESS))
        .or_else(|| model_notices("the model", || locking::model::Cluster::a_thread_each(2, 1)))
        .or_else(|| {
            let scenarios = scenario_short_of_records();
            scheduled("schedule short of records", SCHEDULES / 30, scenarios)
        })
        .or_else(|| scheduled("schedule", SCHEDULES, scenario()))
        .or_else(|| scheduled("schedule with deaths", SCHEDULES, scenario_with_deaths()))
}

fn parking_notices() -> Option<Notice> {
    use waiting::model::Cluster;
    row_notices(waiting::rows::ROWS)
        .or_else(|| model_notices("one takes and one puts", || Cluster::again_and_again(2)))
        .or_else(|| model_notices("two take, two put", Cluster::takers_and_putters))
        .or_else(|| model_notices("threads are moved", Cluster::moved))
        .or_else(|| model_notices("a node dies", Cluster::a_death))
}

#[test]
fn every_guard_of_locks_and_waiting_is_needed() {
    let mut missed_by_all = missed(Mutant::LOCKS, take_out, locks_notice);
    missed_by_all.extend(missed(Mutant::PARKING, take_out, parking_notices));
    assert!(missed_by_all.is_empty(), "not noticed: {missed_by_all:?}");
    assert!(Mutant::LOCKS.len() + Mutant::PARKING.len() >= 20);
}
