//! Guards of range records, range locks and waiting places taken out one at a time: each must
//! be noticed.
#![cfg(feature = "mutants")]

mod locking;
mod surroundings;
mod waiting;

use darner_checking::{Explored, missed, row_notices, schedules_notice, violated};
use darner_coherence::mutants::{Mutant, take_out};
use locking::fairness::FAIRNESS;
use locking::rows::ROWS;
use locking::schedule::{
    Scenario, play, scenario, scenario_short_of_records, scenario_with_deaths,
};
use proptest::strategy::Strategy;

const SCHEDULES: u32 = 3_000;

fn model_notices(model: impl Explored) -> Option<String> {
    violated(model).map(|property| format!("the model: {property}"))
}

fn scheduled(
    what: &str,
    schedules: u32,
    scenarios: impl Strategy<Value = Scenario>,
) -> Option<String> {
    schedules_notice(what, schedules, scenarios, play)
}

fn locks_notice() -> Option<String> {
    row_notices(ROWS)
        .or_else(|| row_notices(FAIRNESS))
        .or_else(|| model_notices(locking::model::Cluster::a_thread_each(2, 1)))
        .or_else(|| scheduled("schedule", SCHEDULES, scenario()))
        .or_else(|| scheduled("schedule with deaths", SCHEDULES, scenario_with_deaths()))
        .or_else(|| {
            let scenarios = scenario_short_of_records();
            scheduled("schedule short of records", SCHEDULES / 30, scenarios)
        })
}

fn parking_notices() -> Option<String> {
    use waiting::model::Cluster;
    row_notices(waiting::rows::ROWS)
        .or_else(|| model_notices(Cluster::again_and_again(2)))
        .or_else(|| model_notices(Cluster::takers_and_putters()))
        .or_else(|| model_notices(Cluster::moved()))
        .or_else(|| model_notices(Cluster::a_death()))
}

#[test]
fn every_guard_of_locks_and_waiting_is_needed() {
    assert_eq!(locks_notice(), None, "with all guards in place");
    assert_eq!(parking_notices(), None, "with all guards in place");
    std::panic::set_hook(Box::new(|_| {}));
    let mut missed_by_all = missed(Mutant::LOCKS, take_out, locks_notice);
    missed_by_all.extend(missed(Mutant::PARKING, take_out, parking_notices));
    drop(std::panic::take_hook());
    assert!(missed_by_all.is_empty(), "not noticed: {missed_by_all:?}");
    assert!(Mutant::LOCKS.len() + Mutant::PARKING.len() >= 20);
}
