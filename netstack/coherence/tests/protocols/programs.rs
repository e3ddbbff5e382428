//! What programs see, whatever happens inside of the nodes.
//!
//! Litmus tests see what they may see in a sequentially consistent memory; and all that they may
//! see there does happen. Registers that all nodes use are linearizable, also when nodes die.

use crate::common::farm::{self, Deaths, Verdict};
use crate::common::litmus::{ALL, Litmus, Placement};
use fastrand::Rng;
use std::collections::BTreeMap;

/// How often each program runs in each placement.
const RUNS: u64 = 2_000;

fn is_sequentially_consistent(litmus: &Litmus, placement: Placement) {
    let allowed = litmus.allowed();
    assert!(!allowed.contains(litmus.forbidden), "{}", litmus.name);
    let mut seen: BTreeMap<Vec<u16>, u32> = BTreeMap::new();
    for seed in 0..RUNS {
        let loaded = litmus
            .run(placement, &mut Rng::with_seed(seed))
            .unwrap_or_else(|| panic!("{} {placement:?} {seed} does not end", litmus.name));
        assert!(
            allowed.contains(&loaded),
            "{} {placement:?} {seed} loads {loaded:?}",
            litmus.name
        );
        *seen.entry(loaded).or_default() += 1;
    }
    println!("{} {placement:?}: {seen:?}", litmus.name);
    let missing: Vec<_> = allowed
        .iter()
        .filter(|loaded| !seen.contains_key(*loaded))
        .collect();
    assert!(
        missing.is_empty(),
        "{} {placement:?} never loads {missing:?}, which it may",
        litmus.name
    );
}

fn everywhere(name: &str) {
    let litmus = ALL
        .iter()
        .find(|litmus| litmus.name == name)
        .expect("a litmus test");
    for placement in Placement::ALL {
        is_sequentially_consistent(litmus, placement);
    }
}

#[test]
fn store_buffering() {
    everywhere("SB");
}

#[test]
fn message_passing() {
    everywhere("MP");
}

#[test]
fn load_buffering() {
    everywhere("LB");
}

#[test]
fn write_to_read_causality() {
    everywhere("WRC");
}

#[test]
fn independent_reads_of_independent_writes() {
    everywhere("IRIW");
}

#[test]
fn coherence_of_two_reads() {
    everywhere("CoRR");
}

#[test]
fn two_threads_that_write_both() {
    everywhere("2+2W");
}

/// How many histories.
const HISTORIES: u64 = 5_000;

/// How many operations were done, and how many were told that their page is lost.
fn all_histories(deaths: Deaths) -> (usize, usize) {
    let mut all = (0, 0);
    for seed in 0..HISTORIES {
        match farm::run(deaths, &mut Rng::with_seed(seed)) {
            Verdict::Linearizable { done, lost } => all = (all.0 + done, all.1 + lost),
            wrong => panic!("{deaths:?}, seed {seed}: {wrong:?}"),
        }
    }
    println!(
        "{HISTORIES} histories, {} operations, {} lost",
        all.0, all.1
    );
    all
}

#[test]
fn a_register_farm_is_linearizable() {
    let (done, lost) = all_histories(Deaths::None);
    assert!(done as u64 > 5 * HISTORIES && lost == 0);
}

#[test]
fn a_register_farm_is_linearizable_when_nodes_die() {
    let (done, lost) = all_histories(Deaths::Some);
    assert!(
        done as u64 > 3 * HISTORIES && lost > 100,
        "{done} done, {lost} lost"
    );
}
