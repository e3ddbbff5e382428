//! Any schedule: reads return the last write, one writes or many read, the directory knows of
//! all copies, and everything that is begun ends.

mod common;

use common::schedule::{cases, explain, play, scenario};
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, max_shrink_iters: 3_000, ..ProptestConfig::default() })]

    #[test]
    fn any_schedule_is_coherent_and_ends(scenario in scenario()) {
        prop_assert!(play(&scenario).is_ok(), "{}", explain(&scenario));
    }
}
