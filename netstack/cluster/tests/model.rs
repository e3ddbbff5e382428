//! Every order of everything, within bounds.

mod common;

use common::model::{Cluster, Heartbeats, Start};
use darner_cluster::TieBreak;
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
    let failed = ["another view", "two serve"];
    for (property, path) in checker.discoveries() {
        assert!(
            failed.contains(&property),
            "{property}: {:?}",
            path.into_actions()
        );
    }
    states
}

const SMALL: Cluster = Cluster::small();

/// Nodes that ask to be taken in by the first.
const APART: Cluster = Cluster {
    start: Start::Apart,
    crashes: 0,
    partings: 0,
    ticks: 1,
    ..SMALL
};

#[test]
fn views_in_every_order() {
    let states = explore("a death and a parting", Cluster { ticks: 4, ..SMALL })
        + explore(
            "two partings",
            Cluster {
                crashes: 0,
                partings: 2,
                ticks: 3,
                ..SMALL
            },
        )
        + explore(
            "a death, for longer",
            Cluster {
                partings: 0,
                ticks: 6,
                ..SMALL
            },
        )
        + explore(
            "a death, no half decides",
            Cluster {
                tie_break: TieBreak::Strict,
                partings: 0,
                ticks: 6,
                ..SMALL
            },
        )
        + explore(
            "a death and a restart",
            Cluster {
                partings: 0,
                restarts: 1,
                ticks: 2,
                ..SMALL
            },
        )
        + explore(
            "slow heartbeats",
            Cluster {
                crashes: 0,
                partings: 0,
                ticks: 2,
                heartbeats: Heartbeats::Slow,
                ..SMALL
            },
        )
        + explore("two join", APART);
    println!("all: {states} unique states");
    assert!(states >= 100_000, "{states} states");
}

#[test]
#[ignore = "takes some minutes"]
fn views_in_every_order_deep() {
    let states = explore("a death and a parting", Cluster { ticks: 5, ..SMALL })
        + explore(
            "a death, a restart and a parting",
            Cluster {
                restarts: 1,
                ticks: 2,
                ..SMALL
            },
        )
        + explore(
            "slow heartbeats and a death",
            Cluster {
                partings: 0,
                ticks: 2,
                heartbeats: Heartbeats::Slow,
                ..SMALL
            },
        )
        + explore(
            "two join, one dies",
            Cluster {
                crashes: 1,
                ..APART
            },
        );
    println!("all: {states} unique states");
    assert!(states >= 500_000, "{states} states");
}
