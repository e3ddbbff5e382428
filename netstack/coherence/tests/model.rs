//! Every order of everything, within bounds.

mod common;

use common::model::Cluster;
use stateright::{Checker, Model};
use std::time::Instant;

/// Explores a part of the model, and has all its properties hold.
fn explore(name: &str, cluster: Cluster) -> usize {
    let start = Instant::now();
    let checker = cluster.checker().threads(1).spawn_dfs().join();
    let states = checker.unique_state_count();
    println!(
        "{name}: {states} unique states, {:.1} s",
        start.elapsed().as_secs_f64()
    );
    checker.assert_properties();
    states
}

#[test]
fn everything_in_every_order() {
    explore("everything 2 1", Cluster::everything(2, 1));
    explore("everything 2 2", Cluster::everything(2, 2));
    explore("one page 3 1", Cluster::one_page(3, 1));
    explore("one page 4 0", Cluster::one_page(4, 0));
    explore("one page 3 2", Cluster::one_page(3, 2));
    explore("one page 4 1", Cluster::one_page(4, 1));
}
