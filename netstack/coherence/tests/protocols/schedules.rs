//! Any schedule: reads return the last write, one writes or many read, the directory knows of
//! all copies, and everything that is begun ends.

use crate::common::schedule::{cases, config, crowd, explain, play, replicas, scenario};
use proptest::prelude::*;

proptest! {
    #![proptest_config(config(cases()))]

    #[test]
    fn any_schedule_is_coherent_and_ends(scenario in scenario()) {
        prop_assert!(play(&scenario).is_ok(), "{}", explain(&scenario));
    }
}

proptest! {
    #![proptest_config(config(cases() / 5))]

    #[test]
    fn any_schedule_of_replicas_is_coherent_and_ends(scenario in replicas()) {
        prop_assert!(play(&scenario).is_ok(), "{}", explain(&scenario));
    }
}

proptest! {
    #![proptest_config(config(cases() / 50))]

    #[test]
    fn any_schedule_of_a_crowd_is_coherent_and_ends(scenario in crowd()) {
        prop_assert!(play(&scenario).is_ok(), "{}", explain(&scenario));
    }
}
