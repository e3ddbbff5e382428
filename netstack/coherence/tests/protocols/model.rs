//! Every order of everything, within bounds.

use crate::common::Shootdown;
use crate::common::model::Cluster;
use darner_checking::explore;

/// With rights that are not gone at once when they are taken.
fn slowly(cluster: Cluster) -> Cluster {
    let plan = crate::common::build::Plan {
        shootdown: Shootdown::Later,
        ..cluster.plan
    };
    Cluster { plan, ..cluster }
}

#[test]
fn everything_in_every_order() {
    let states = explore(
        "two pages, 2 operations and 1 eviction or move",
        Cluster::everything(2, 1),
    ) + explore(
        "one page, 3 operations and 2 evictions or moves",
        Cluster::one_page(3, 2),
    ) + explore(
        "one page, 3 operations and 1 eviction or move, slowly",
        slowly(Cluster::one_page(3, 1)),
    ) + explore(
        "one page that is pushed, 2 operations and 2 releases",
        Cluster::adapting(2, 2),
    );
    println!("all: {states} unique states");
    assert!(states >= 1_000_000, "{states} states");
}

#[test]
fn a_death_at_any_time() {
    let states = explore("one page, 2 operations and a death", Cluster::deaths(2, 1));
    assert!(states >= 15_000, "{states} states");
}

#[test]
#[ignore = "takes some minutes"]
fn a_death_at_any_time_deep() {
    explore(
        "one page, 2 operations and 2 deaths, evictions or moves",
        Cluster::deaths(2, 2),
    );
    explore("one page, 3 operations and a death", Cluster::deaths(3, 1));
}

#[test]
#[ignore = "takes some minutes"]
fn everything_in_every_order_deep() {
    let states = explore(
        "two pages, 2 operations and 2 evictions or moves",
        Cluster::everything(2, 2),
    ) + explore(
        "two pages, 3 operations and 1 eviction or move",
        Cluster::everything(3, 1),
    ) + explore(
        "two pages, 2 operations and 1 eviction or move, slowly",
        slowly(Cluster::everything(2, 1)),
    ) + explore(
        "one page, 4 operations and 2 evictions or moves",
        Cluster::one_page(4, 2),
    ) + explore(
        "one page, 3 operations and 2 evictions or moves, slowly",
        slowly(Cluster::one_page(3, 2)),
    ) + explore(
        "one page that is pushed, 3 operations and 3 releases",
        Cluster::adapting(3, 3),
    );
    println!("all: {states} unique states");
    assert!(states >= 10_000_000, "{states} states");
}
