//! Every order of everything, within bounds.

use crate::common::model::{Cluster, Heartbeats, Start};
use darner_checking::explore_part;
use darner_cluster::TieBreak;

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
    let states = explore_part("a death and a parting", Cluster { ticks: 4, ..SMALL })
        + explore_part(
            "two partings",
            Cluster {
                crashes: 0,
                partings: 2,
                ticks: 3,
                ..SMALL
            },
        )
        + explore_part(
            "a death, for longer",
            Cluster {
                partings: 0,
                ticks: 6,
                ..SMALL
            },
        )
        + explore_part(
            "a death, no half decides",
            Cluster {
                tie_break: TieBreak::Strict,
                partings: 0,
                ticks: 6,
                ..SMALL
            },
        )
        + explore_part(
            "a death and a restart",
            Cluster {
                partings: 0,
                restarts: 1,
                ticks: 2,
                ..SMALL
            },
        )
        + explore_part(
            "slow heartbeats",
            Cluster {
                crashes: 0,
                partings: 0,
                ticks: 2,
                heartbeats: Heartbeats::Slow,
                ..SMALL
            },
        )
        + explore_part("two join", APART);
    println!("all: {states} unique states");
    assert!(states >= 100_000, "{states} states");
}

#[test]
#[ignore = "takes some minutes"]
fn views_in_every_order_deep() {
    let states = explore_part("a death and a parting", Cluster { ticks: 5, ..SMALL })
        + explore_part(
            "a death, a restart and a parting",
            Cluster {
                restarts: 1,
                ticks: 2,
                ..SMALL
            },
        )
        + explore_part(
            "slow heartbeats and a death",
            Cluster {
                partings: 0,
                ticks: 2,
                heartbeats: Heartbeats::Slow,
                ..SMALL
            },
        )
        + explore_part(
            "two join, one dies",
            Cluster {
                crashes: 1,
                ..APART
            },
        );
    println!("all: {states} unique states");
    assert!(states >= 500_000, "{states} states");
}
