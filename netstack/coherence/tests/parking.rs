//! Waiting places: what they cost, and that no wake-up is lost.

mod waiting;

use proptest::prelude::*;
use stateright::{Checker, Model};
use std::time::Instant;
use waiting::model::Cluster;
use waiting::rows;
use waiting::schedule::{explain, play, scenario};

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
}

fn cases() -> u32 {
    let cases = std::env::var("COHERENCE_CASES").ok();
    cases.and_then(|cases| cases.parse().ok()).unwrap_or(8_000)
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
    let states = explore("two take, two put", Cluster::takers_and_putters())
        + explore("one takes and one puts", Cluster::again_and_again(4))
        + explore("a barrier", Cluster::barrier(4))
        + explore("threads are moved", Cluster::moved())
        + explore("a node dies", Cluster::a_death());
    println!("all: {states} unique states");
}
