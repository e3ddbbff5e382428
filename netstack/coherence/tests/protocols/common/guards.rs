//! Litmus tests and the register farm notice guards that are taken out.
//!
//! All litmus tests but LB, whose outcome no guard prevents: a load returns only what was
//! stored before, and a thread stores after it has loaded. So one of the two loads comes before
//! both stores, whatever the protocol does.
use super::farm::{self, Deaths, Verdict};
use super::litmus::{ALL, Litmus, Placement};
use darner_coherence::mutants::{Mutant, take_out};
use fastrand::Rng;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// How often a program, or the farm, runs at most before it has to have noticed.
const RUNS: u64 = 6_000;

/// Which litmus test, and which guards it has to notice in which placement.
const NOTICED: [(&str, &[(Mutant, Placement)]); 6] = [
    (
        "SB",
        &[
            (Mutant::AcksIgnored, Placement::TwoHomes),
            (Mutant::AcksNotAwaited, Placement::TwoHomes),
            (Mutant::DirtNotNoticed, Placement::OnePage),
            (Mutant::OwnCopyKept, Placement::TwoHomes),
            (Mutant::RecallNotAwaited, Placement::TwoPages),
            (Mutant::SharerNotInvalidated, Placement::TwoPages),
        ],
    ),
    (
        "MP",
        &[
            (Mutant::DirtNotNoticed, Placement::OnePage),
            (Mutant::OwnCopyKept, Placement::TwoHomes),
            (Mutant::SharerNotInvalidated, Placement::TwoPages),
        ],
    ),
    (
        "WRC",
        &[
            (Mutant::DirtNotNoticed, Placement::TwoHomes),
            (Mutant::SharerNotInvalidated, Placement::TwoHomes),
        ],
    ),
    (
        "IRIW",
        &[
            (Mutant::DirtNotNoticed, Placement::TwoHomes),
            (Mutant::SharerNotInvalidated, Placement::TwoHomes),
        ],
    ),
    (
        "CoRR",
        &[
            (Mutant::DirtyDroppedSilently, Placement::OnePage),
            (Mutant::DirtNotNoticed, Placement::TwoPages),
        ],
    ),
    ("2+2W", &[(Mutant::OwnCopyKept, Placement::TwoPages)]),
];

/// Guards that the register farm has to notice, without deaths and with them.
const NOT_LINEARIZABLE: [(Deaths, &[Mutant]); 2] = [
    (
        Deaths::None,
        &[
            Mutant::AcksIgnored,
            Mutant::DirtNotNoticed,
            Mutant::OwnCopyKept,
            Mutant::OwnedPagesMayComeAlong,
            Mutant::RecalledBytesDropped,
            Mutant::SharerNotInvalidated,
        ],
    ),
    (
        Deaths::Some,
        &[Mutant::LossNotNoticed, Mutant::SharerNotInvalidated],
    ),
];

/// The first run, if any, for which `wrong` is what came of it. A panic is not.
fn first<T>(mutant: Mutant, run: impl Fn(&mut Rng) -> T, wrong: impl Fn(T) -> bool) -> Option<u64> {
    take_out(Some(mutant));
    let found = (0..RUNS).find(|&seed| {
        let came = catch_unwind(AssertUnwindSafe(|| run(&mut Rng::with_seed(seed))));
        came.is_ok_and(&wrong)
    });
    take_out(None);
    found
}

fn litmus(name: &str) -> &'static Litmus {
    let found = ALL.iter().find(|litmus| litmus.name == name);
    found.expect("a litmus test")
}

/// What should have been noticed, and was not.
pub fn missed() -> Vec<String> {
    let mut missed = Vec::new();
    for (name, mutants) in NOTICED {
        let litmus = litmus(name);
        for &(mutant, placement) in mutants {
            let run = |rng: &mut Rng| litmus.run(placement, rng);
            let forbidden = |loaded: Option<Vec<u16>>| loaded.as_deref() == Some(litmus.forbidden);
            let run = first(mutant, run, forbidden);
            println!("{mutant:?}: {name} {placement:?} {run:?}");
            missed.extend(run.is_none().then(|| format!("{name} {mutant:?}")));
        }
    }
    for (deaths, mutants) in NOT_LINEARIZABLE {
        for &mutant in mutants {
            let run = |rng: &mut Rng| farm::run(deaths, rng);
            let run = first(mutant, run, |verdict| verdict == Verdict::NotLinearizable);
            println!("{mutant:?}: farm {deaths:?} {run:?}");
            missed.extend(run.is_none().then(|| format!("farm {deaths:?} {mutant:?}")));
        }
    }
    missed
}
