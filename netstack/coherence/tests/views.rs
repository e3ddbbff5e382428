//! Nodes that die, at any time: what the others read is what was written last, or they are told
//! that it is lost; and everything that is begun ends.

mod common;

use common::schedule::{cases, explain, play, scenario_with_deaths};
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, max_shrink_iters: 3_000, ..ProptestConfig::default() })]

    #[test]
    fn a_death_loses_only_what_the_dead_had(scenario in scenario_with_deaths()) {
        prop_assert!(play(&scenario).is_ok(), "{}", explain(&scenario));
    }
}
