//! Many steps of many clusters, and nothing wrong in any of them.

use darner_sim::campaign::{Campaign, Go, play};
use darner_sim::plan::{Agreement, Plan, Wishes};
use darner_sim::world::World;
use std::time::Instant;

/// How many steps to play.
fn steps() -> u64 {
    std::env::var("SIM_STEPS")
        .ok()
        .and_then(|steps| steps.parse().ok())
        .unwrap_or(10_000_000)
}

#[test]
fn nothing_is_wrong_in_many_steps() {
    let campaign = Campaign {
        seed: 1,
        steps: steps(),
        wishes: Wishes::default(),
    };
    let start = Instant::now();
    let counts = match campaign.run(|_| Go::On) {
        Ok(counts) => counts,
        Err(failed) => panic!(
            "{:?} in the episode with seed {}: `cargo xtask sim --seed {} --steps {}`",
            failed.violation, failed.plan.seed, failed.plan.seed, failed.plan.steps
        ),
    };
    let speed = counts.steps as f64 / start.elapsed().as_secs_f64();
    println!("{counts:?}, {speed:.0} steps/s");
    assert!(counts.steps >= steps());
    for (what, count) in [
        ("operations", counts.ops),
        ("pages moved", counts.pages),
        ("faults", counts.faults),
        ("changes of view", counts.views),
        ("lost pages", counts.lost),
    ] {
        assert!(count > 0, "no {what} in {counts:?}");
    }
}

/// Episodes in which something was wrong once: seeds, and who says who is a member.
const REGRESSIONS: [(u64, Agreement); 1] = [
    // A port of a node that had yet to hear of its first view was asked, and never answered.
    (38, Agreement::Theirs),
];

#[test]
fn what_was_wrong_once_is_not_any_more() {
    for (seed, agreement) in REGRESSIONS {
        let wishes = Wishes {
            agreement: Some(agreement),
            ..Wishes::default()
        };
        let played = play(World::drawn(Plan::drawn(seed, 2_000, &wishes)));
        assert!(played.is_ok(), "seed {seed}: {played:?}");
    }
}

#[test]
fn a_plan_plays_the_same_each_time_and_from_its_script() {
    for seed in 1..30 {
        let plan = || Plan::drawn(seed, 5_000, &Wishes::default());
        let counts = play(World::drawn(plan())).expect("nothing is wrong");
        let mut recorded = World::recorded(plan());
        assert_eq!(recorded.play(), Ok(counts), "seed {seed}");
        let script = recorded.into_script();
        let again = World::scripted(plan(), &script).play();
        assert_eq!(again, Ok(counts), "seed {seed}, from its script");
    }
}
