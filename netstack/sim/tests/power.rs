//! What the simulator notices: guards of the protocol taken out one at a time.
#![cfg(feature = "mutants")]

use darner_cluster::mutants as cluster;
use darner_coherence::mutants::{Mutant, take_out};
use darner_sim::campaign::{Campaign, Failed, Go, play};
use darner_sim::fault::{Faults, Kind};
use darner_sim::plan::{Agreement, Wishes, Work};
use darner_sim::shrink::reduce;
use darner_sim::world::World;
use std::fmt::Debug;
use std::time::Instant;

/// Guards that only cost messages, room or time, and guards against races so rare that it takes more steps
/// than this test has. The tests of the protocols themselves notice them.
const BEYOND: &[Mutant] = &[
    Mutant::BusyPagesMayComeAlong,
    Mutant::ClaimOfWhatIsOnTheWay,
    // Nodes that leave here give nothing of theirs to others before.
    Mutant::CededUnheard,
    Mutant::CleanWrittenBackToo,
    Mutant::HintOvertaken,
    Mutant::LossOnTheWayNotNoticed,
    Mutant::NoHold,
    Mutant::NothingSaidOfZeros,
    // What is lost without it is pages whose home has moved, and the oracle allows for those.
    Mutant::NothingClaimed,
    Mutant::NothingPinned,
    Mutant::OvertakingWriteBackRefused,
    Mutant::ParkedInSilence,
    Mutant::StaleWriteBackRefused,
    Mutant::VainWriteBackNotTold,
    // Room, and who is served first.
    Mutant::ExtentTakenAtOnce,
    Mutant::FollowersOvertaken,
    Mutant::NeighboursStayApart,
    Mutant::RecallsIgnored,
    Mutant::ReturnedWhileAsking,
    Mutant::UseNotNoticed,
    // The same, or a change of view while a lock is held and another is asked for.
    Mutant::LocksNotReported,
    Mutant::ServedBeforeReports,
    // Another wake-up comes soon.
    Mutant::NotRecheckedAfterView,
    Mutant::WakesNotCounted,
    // A node that is in no view any more hears of no later one.
    Mutant::ExpelledKeepLocks,
];

/// Guards of nodes that do not serve: such are only where nodes agree on views themselves.
const OF_FENCES: &[Mutant] = &[Mutant::GrantedWhileStopped, Mutant::StoppedHoldersAct];

/// Guards of membership, transactions and ports that are missed soon. Views that are decided wrongly take more
/// than this test has.
const OF_CLUSTERS: &[cluster::Mutant] = &[
    cluster::Mutant::DeadlineIgnored,
    cluster::Mutant::DeathNotNoticed,
    cluster::Mutant::EndToldTwice,
    cluster::Mutant::HalfIsEnough,
    cluster::Mutant::LeaseNeverEnds,
    cluster::Mutant::LossNotTold,
    cluster::Mutant::NotSentAgain,
    cluster::Mutant::OrphansTaken,
    cluster::Mutant::PartsOutlive,
    cluster::Mutant::SlotHandedOver,
    cluster::Mutant::WaitsForever,
];

/// Guards of what passes when connections are lost.
const OF_LINKS: &[cluster::Mutant] = &[
    cluster::Mutant::AnswersForgotten,
    cluster::Mutant::OvertakesReturning,
    cluster::Mutant::OvertakesWhatCameBack,
    cluster::Mutant::RequestTakenTwice,
];

/// How many steps it takes at most until a guard is missed.
const STEPS: u64 = 2_000_000;

/// Episodes in which nodes agree on views themselves.
fn theirs() -> Wishes {
    Wishes {
        agreement: Some(Agreement::Theirs),
        ..Wishes::default()
    }
}

/// Such, in which they talk more, and lose their connections more often.
fn talk() -> Wishes {
    Wishes {
        faults: Some(Faults::of(&[Kind::Cut])),
        work: Some(Work::Talk),
        ..theirs()
    }
}

fn noticed(wishes: Wishes) -> Option<Box<Failed>> {
    let campaign = Campaign {
        seed: 1,
        steps: STEPS,
        wishes,
    };
    campaign.run(|_| Go::On).err()
}

/// Whether a guard is missed that `take_out` takes out, or puts back when it is given none. What shows it must show
/// nothing with all guards in place.
fn is_missed<M: Copy + Debug>(mutant: M, wishes: Wishes, take_out: fn(Option<M>)) -> bool {
    let start = Instant::now();
    take_out(Some(mutant));
    let failed = noticed(wishes);
    take_out(None);
    let time = start.elapsed().as_secs_f64();
    let Some(failed) = failed else {
        println!("{mutant:?}: NOT NOTICED ({time:.2} s)");
        return false;
    };
    let (kind, seed) = (failed.violation.kind, failed.plan.seed);
    println!("{mutant:?}: {kind:?} with seed {seed} ({time:.2} s)");
    let sound = play(World::drawn(failed.plan));
    assert!(sound.is_ok(), "with all guards in place: {sound:?}");
    true
}

#[test]
fn guards_are_missed_and_what_shows_it_is_reduced() {
    std::panic::set_hook(Box::new(|_| {}));
    let mut unnoticed = Vec::new();
    let all = [Mutant::PAGES, Mutant::LOCKS, Mutant::PARKING].concat();
    for &mutant in all.iter().filter(|mutant| !BEYOND.contains(mutant)) {
        let wishes = match OF_FENCES.contains(&mutant) {
            true => theirs(),
            false => Wishes::default(),
        };
        if !is_missed(mutant, wishes, take_out) {
            unnoticed.push(format!("{mutant:?}"));
        }
    }
    for &mutant in OF_CLUSTERS {
        if !is_missed(mutant, theirs(), cluster::plant) {
            unnoticed.push(format!("{mutant:?}"));
        }
    }
    for &mutant in OF_LINKS {
        if !is_missed(mutant, talk(), cluster::plant) {
            unnoticed.push(format!("{mutant:?}"));
        }
    }
    drop(std::panic::take_hook());
    assert!(unnoticed.is_empty(), "not noticed: {unnoticed:?}");
    take_out(Some(Mutant::SharerNotInvalidated));
    reduces();
    take_out(None);
}

/// What is left of a failing episode is a few operations, and still fails in the same way.
fn reduces() {
    let failed = noticed(Wishes::default()).expect("the guard is missed");
    let reduced = reduce(&failed, 500, |_| Go::On);
    assert!(reduced.script.ops.len() <= 10, "{}", reduced.script);
    assert_eq!(reduced.failed.violation.kind, failed.violation.kind);
}
