//! Registers that all nodes use are linearizable, also when nodes die.

mod common;

use common::farm::{Deaths, Verdict, run};
use fastrand::Rng;

/// How many histories.
const RUNS: u64 = 10_000;

/// How many operations were done, and how many were told that their page is lost.
fn all_histories(deaths: Deaths) -> (usize, usize) {
    let mut all = (0, 0);
    for seed in 0..RUNS {
        match run(deaths, &mut Rng::with_seed(seed)) {
            Verdict::Linearizable { done, lost } => all = (all.0 + done, all.1 + lost),
            wrong => panic!("{deaths:?}, seed {seed}: {wrong:?}"),
        }
    }
    println!("{RUNS} histories, {} operations, {} lost", all.0, all.1);
    all
}

#[test]
fn a_register_farm_is_linearizable() {
    let (done, lost) = all_histories(Deaths::None);
    assert!(done as u64 > 5 * RUNS && lost == 0);
}

#[test]
fn a_register_farm_is_linearizable_when_nodes_die() {
    let (done, lost) = all_histories(Deaths::Some);
    assert!(
        done as u64 > 3 * RUNS && lost > 100,
        "{done} done, {lost} lost"
    );
}
