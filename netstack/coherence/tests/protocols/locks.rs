//! Range locks: what they cost, that they exclude, that they are fair, and that they end.

use crate::locking::model::Cluster;
use crate::locking::schedule::{
    explain, play, scenario, scenario_short_of_records, scenario_with_deaths,
};
use crate::locking::{fairness, rows};
use darner_checking::explore;
use proptest::prelude::*;

macro_rules! each {
    ($($module:ident: $($name:ident),* $(,)?;)*) => {
        $($(
            #[test]
            fn $name() {
                $module::$name();
            }
        )*)*
    };
}

each! {
    rows:
        row_14_lock_hand_off,
        row_14_lock_hand_off_contended,
        row_15_range_lock_uncontended,
        row_15_range_lock_at_home,
        row_15_several_ranges,
        row_16_strided_writers,
        neighbours_are_one_record,
        readers_share,
        trying_does_not_wait,
        disjoint_locks_do_not_wait,
        a_node_joins,
        a_node_that_stops_acts_on_nothing,
        the_expelled_hold_nothing,
        race_of_what_comes_along,
        race_of_a_part_that_is_recalled;
    fairness:
        a_writer_among_readers,
        a_writer_elsewhere,
        a_reader_among_writers,
        writers_among_writers,
        one_that_need_not_ask;
}

fn cases() -> u32 {
    darner_checking::cases("COHERENCE_CASES", 4_000)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, max_shrink_iters: 3_000, ..ProptestConfig::default() })]

    #[test]
    fn any_schedule_excludes_and_ends(scenario in scenario()) {
        prop_assert!(play(&scenario).is_ok(), "{}", explain(&scenario));
    }

    #[test]
    fn the_locks_of_the_dead_are_free(scenario in scenario_with_deaths()) {
        prop_assert!(play(&scenario).is_ok(), "{}", explain(&scenario));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases() / 40, failure_persistence: None, max_shrink_iters: 3_000, ..ProptestConfig::default() })]

    #[test]
    fn a_home_short_of_records_throws_them_away(scenario in scenario_short_of_records()) {
        let world = play(&scenario);
        prop_assert!(world.is_ok(), "{}", explain(&scenario));
        for node in world.expect("it is").nodes {
            prop_assert!(node.home().records().len() <= node.home().records().capacity());
        }
    }
}

#[test]
fn everything_in_every_order() {
    let states = explore(
        "three nodes, 3 locks, 1 gives up",
        Cluster::a_thread_each(3, 1),
    ) + explore(
        "two nodes of two threads, 4 locks",
        Cluster::two_threads_each(4),
    ) + explore("three nodes, 3 locks, 1 dies", Cluster::a_death(3));
    println!("all: {states} unique states");
    assert!(states >= 200_000, "{states} states");
}

#[test]
#[ignore = "takes some minutes"]
fn everything_in_every_order_deep() {
    let states = explore(
        "three nodes, 4 locks, 1 gives up",
        Cluster::a_thread_each(4, 1),
    ) + explore(
        "two nodes of two threads, 5 locks",
        Cluster::two_threads_each(5),
    ) + explore("three nodes, 4 locks, 1 dies", Cluster::a_death(4));
    println!("all: {states} unique states");
    assert!(states >= 2_000_000, "{states} states");
}
