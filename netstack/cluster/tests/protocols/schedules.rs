//! Any schedule: one view for each epoch, nobody serves who was left out, all transactions and
//! requests end once, and when all has healed those who live agree.

use crate::common::schedule::{cases, explain, play, scenario};
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, max_shrink_iters: 1_000, ..ProptestConfig::default() })]

    #[test]
    fn any_schedule_is_safe_and_settles(scenario in scenario()) {
        prop_assert!(play(&scenario).is_ok(), "{}", explain(&scenario));
    }
}
