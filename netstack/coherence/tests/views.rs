//! Nodes that die, at any time: what the others read is what was written last, or they are told
//! that it is lost; and everything that is begun ends.

mod common;

use common::schedule::{
    cases, config, crowd_with_deaths, explain, play, replicas_with_deaths, scenario_with_deaths,
};
use proptest::prelude::*;

proptest! {
    #![proptest_config(config(cases()))]

    #[test]
    fn a_death_loses_only_what_the_dead_had(scenario in scenario_with_deaths()) {
        prop_assert!(play(&scenario).is_ok(), "{}", explain(&scenario));
    }
}

proptest! {
    #![proptest_config(config(cases() / 5))]

    #[test]
    fn a_death_loses_no_replicas_that_others_have(scenario in replicas_with_deaths()) {
        prop_assert!(play(&scenario).is_ok(), "{}", explain(&scenario));
    }
}

proptest! {
    // A change of view of so many is some twenty thousand messages.
    #![proptest_config(config(cases() / 10_000))]

    #[test]
    fn a_death_in_a_crowd_loses_only_what_the_dead_had(scenario in crowd_with_deaths()) {
        prop_assert!(play(&scenario).is_ok(), "{}", explain(&scenario));
    }
}
