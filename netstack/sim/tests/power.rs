//! What the simulator notices: guards of the protocol taken out one at a time.
#![cfg(feature = "mutants")]

use darner_coherence::mutants::{Mutant, take_out};
use darner_sim::campaign::{Campaign, Failed, Go};
use darner_sim::plan::Wishes;
use darner_sim::shrink::reduce;
use std::time::Instant;

/// Guards that only cost messages or time, and guards against races so rare that it takes more steps
/// than this test has. The tests of the protocol itself notice them.
const BEYOND: [Mutant; 10] = [
    Mutant::BusyPagesMayComeAlong,
    Mutant::ClaimOfWhatIsOnTheWay,
    Mutant::CleanWrittenBackToo,
    Mutant::LossOnTheWayNotNoticed,
    Mutant::NoHold,
    // What is lost without it is pages whose home has moved, and the oracle allows for those.
    Mutant::NothingClaimed,
    Mutant::NothingPinned,
    Mutant::OvertakingWriteBackRefused,
    Mutant::ParkedInSilence,
    Mutant::StaleWriteBackRefused,
];

/// How many steps it takes at most until a guard is missed.
const STEPS: u64 = 3_000_000;

fn noticed() -> Option<Box<Failed>> {
    let campaign = Campaign {
        seed: 1,
        steps: STEPS,
        wishes: Wishes::default(),
    };
    campaign.run(|_| Go::On).err()
}

/// With a guard taken out, which is put back.
fn without<T>(mutant: Mutant, what: impl FnOnce() -> T) -> T {
    take_out(Some(mutant));
    let result = what();
    take_out(None);
    result
}

#[test]
fn guards_are_missed_and_what_shows_it_is_reduced() {
    std::panic::set_hook(Box::new(|_| {}));
    let mut missed = Vec::new();
    let all = [Mutant::PAGES, Mutant::LOCKS, Mutant::PARKING].concat();
    for mutant in all {
        if BEYOND.contains(&mutant) {
            continue;
        }
        let start = Instant::now();
        let failed = without(mutant, noticed);
        let time = start.elapsed().as_secs_f64();
        match failed {
            Some(failed) => println!(
                "{mutant:?}: {:?} with seed {} ({time:.2} s)",
                failed.violation.kind, failed.plan.seed
            ),
            None => missed.push(mutant),
        }
    }
    drop(std::panic::take_hook());
    assert!(missed.is_empty(), "not noticed: {missed:?}");
    assert!(Mutant::PAGES.len() - BEYOND.len() >= 20);
    without(Mutant::SharerNotInvalidated, reduces);
}

/// What is left of a failing episode is a few operations, and still fails in the same way.
fn reduces() {
    let failed = noticed().expect("the guard is missed");
    let reduced = reduce(&failed, 500, |_| Go::On);
    assert!(reduced.script.ops.len() <= 10, "{}", reduced.script);
    assert_eq!(reduced.failed.violation.kind, failed.violation.kind);
}
