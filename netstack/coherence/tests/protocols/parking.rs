//! Waiting places: what they cost, and that no wake-up is lost.

use crate::waiting::model::Cluster;
use crate::waiting::rows;
use crate::waiting::schedule::{explain, play, scenario};
use darner_checking::explore;
use proptest::prelude::*;

macro_rules! each {
    ($($name:ident),* $(,)?) => {
        $(
            #[test]
            fn $name() {
                rows::$name();
            }
        )*
    };
}

each! {
    row_13_barrier,
    barrier_of_many_threads,
    barrier_mismatch,
    wait_and_wake,
    waiting_at_home,
    wake_all,
    first_come_first_served,
    giving_up,
    without_room,
    requeued,
    who_came_and_died_is_not_told,
}

fn cases() -> u32 {
    darner_checking::cases("COHERENCE_CASES", 4_000)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, max_shrink_iters: 3_000, ..ProptestConfig::default() })]

    #[test]
    fn any_schedule_wakes_who_waits(scenario in scenario(0)) {
        prop_assert!(play(&scenario).is_ok(), "{}", explain(&scenario));
    }

    #[test]
    fn a_death_leaves_nobody_waiting_in_vain(scenario in scenario(2)) {
        prop_assert!(play(&scenario).is_ok(), "{}", explain(&scenario));
    }
}

#[test]
fn everything_in_every_order() {
    let states = explore("two take, two put", Cluster::takers_and_putters())
        + explore("one takes and one puts", Cluster::again_and_again(4))
        + explore("a barrier", Cluster::barrier(4))
        + explore("threads are moved", Cluster::moved())
        + explore("a node dies", Cluster::a_death());
    println!("all: {states} unique states");
}
